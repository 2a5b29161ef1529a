// What every part makes of an event: each is given its own slice and plain data about its surroundings, and
// answers with events. Nobody calls across, and no part knows that the others are there.

import { rangeAt } from '../arch/transaction.ts';
import { decideTransaction, decideVmmConfig, unclaimedTransaction } from '../devices/decide.ts';
import type { DeviceMemory } from '../devices/memory.ts';
import { readMemory } from '../devices/memory.ts';
import { decideMsix, decideUnmasked } from '../devices/pci/msix.ts';
import type { GuestInput } from '../guest/decide.ts';
import { decideGuest, GUEST_HEARS } from '../guest/decide.ts';
import type { RamContents } from '../guest/ram.ts';
import { decideHost, HOST_HEARS } from '../host/decide.ts';
import type { HostState } from '../host/state.ts';
import { chooserFor } from './adversary.ts';
import { barMappings } from './bar-mappings.ts';
import type { MachineEvent } from './events.ts';
import { NO_REGION } from './interconnect.ts';
import {
  enters,
  interrupted,
  kicks,
  leaves,
  maintained,
  timers,
  timerTaken,
  waited,
  wires,
} from './interrupts.ts';
import { kernelMmio, requester, trappedGicv, userSpaceMmio } from './mmio.ts';
import { decidePci } from './pci-change.ts';
import type { MachineState } from './state.ts';
import { withDrains } from './translation-drain.ts';

const DEVICES_HEAR = [
  'transaction-issued',
  'mmio-exited',
  'mmio-handled',
  'gicv-trapped',
  'vfio-config-accessed',
  'msix-raised',
  'msix-mask-written',
] as const;

const PCI_HEARS = [
  'pci-command-written',
  'pci-power-written',
  'pci-reset-asked',
  'pci-change-due',
  'bar-mappings-due',
] as const;

/** What moves interrupts besides the exits and entries of vCPUs. */
const INTERRUPTS_HEAR = [
  'device-read',
  'device-written',
  'device-updated',
  'device-interrupt',
  'msix-sent',
  'interrupt-line-changed',
  'vgic-synced',
  'maintenance-interrupt',
  'timer-written',
  'timer-condition-met',
  'timer-interrupt',
  'wfi-executed',
] as const;

/** Events after which a vCPU is in the guest again, that the guest itself does not answer. */
const ENTRIES = ['abort-injected', 'serror-injected', 'nisv-exited'] as const;

/** Events that some part answers. */
export const HEARD = [
  ...HOST_HEARS,
  ...GUEST_HEARS,
  ...DEVICES_HEAR,
  ...INTERRUPTS_HEAR,
  ...ENTRIES,
  ...PCI_HEARS,
] as const;

/** @param unassigned who answers MMIO exits outside all windows */
export function decide(
  state: MachineState,
  event: MachineEvent,
  unassigned: 'vmm' | 'listener' = state.devices.length > 0 ? 'vmm' : 'listener',
): readonly MachineEvent[] {
  const { host } = state;
  if (host === null) return [];
  switch (event.type) {
    case 'guest-reentered':
    case 'instruction-skipped':
    case 'run-failed':
    case 'access-issued':
      return entered(enters(state, event, 'trap'), guest(state, host, event));
    case 'stage2-faulted':
      return faulted(state, host, event);
    case 'vcpu-run':
    case 'stage2-map-begun': {
      const vm = state.vms[event.vm];
      return vm === undefined ? [] : decideHost(host, vm, event);
    }
    case 'access-translated':
    case 'barrier-executed':
    case 'program-ended':
    case 'stage1-walk-stepped':
    case 'stage1-descriptor-read':
    case 'stage1-descriptor-updated':
    case 'stage1-translated':
    case 'transaction-answered':
      return guest(state, host, event);
    case 'mmio-answered':
      return entered([...enters(state, event, 'trap'), ...kicks(state, event.vm)], guest(state, host, event));
    case 'vmm-called': {
      const vm = state.vms[event.vm];
      return vm === undefined ? [] : withDrains(state, decideHost(host, vm, event));
    }
    case 'pci-command-written':
    case 'pci-power-written':
    case 'pci-reset-asked':
      return decidePci(state, host, event);
    case 'pci-change-due':
      return [{ type: 'pci-function-changed', device: event.device, change: event.change }];
    case 'bar-mappings-due':
      return barMappings(state, event);
    case 'vfio-config-accessed':
      return vmmConfig(state, event);
    case 'msix-raised':
    case 'msix-mask-written':
      return msix(state, event);
    case 'transaction-issued':
      return transaction(state, host, event);
    case 'bus-error-reported':
      return busError(state, host, event);
    case 'mmio-exited':
      return userSpaceMmio(state, event, unassigned);
    case 'mmio-handled':
      return kernelMmio(state, event);
    case 'gicv-trapped':
      return trappedGicv(state, event);
    case 'abort-injected':
    case 'serror-injected':
    case 'nisv-exited':
      return enters(state, event, 'trap');
    default:
      return decideInterrupts(state, event);
  }
}

function decideInterrupts(state: MachineState, event: MachineEvent): readonly MachineEvent[] {
  switch (event.type) {
    case 'device-read':
    case 'device-updated':
      return wires(state, event.device);
    case 'device-written':
      return [...wires(state, event.device), ...ended(state, event)];
    case 'timer-written':
    case 'timer-condition-met':
      return timers(state, event.vm);
    case 'timer-interrupt':
      return timerTaken(state, event);
    case 'device-interrupt':
      return interrupted(state, event);
    case 'msix-sent':
      return interrupted(state, { device: event.device, line: `MSI-X ${event.vector}`, level: null });
    case 'interrupt-line-changed':
      return kicks(state, event.vm);
    case 'vgic-synced':
      return [...kicks(state, event.vm), ...timers(state, event.vm)];
    case 'maintenance-interrupt':
      return maintained(state, event);
    case 'wfi-executed':
      return waited(state, event);
    default:
      return [];
  }
}

/** A write to a GIC may have ended a timer's interrupt. */
const ended = (state: MachineState, event: MachineEvent & { type: 'device-written' }): MachineEvent[] =>
  state.devices[event.device]?.description.kind === 'gicv2' ? timers(state, event.by.vm) : [];

/** Most entries load nothing, and most vCPUs have no GIC: then the answer of the guest is all there is. */
const entered = (
  loaded: readonly MachineEvent[],
  answer: readonly MachineEvent[],
): readonly MachineEvent[] => (loaded.length === 0 ? answer : [...loaded, ...answer]);

type Faulted = Extract<MachineEvent, { readonly type: 'stage2-faulted' }>;

/** The list registers are folded on the way to the host, unless the hypervisor's own code makes the access. */
function faulted(state: MachineState, host: HostState, event: Faulted): readonly MachineEvent[] {
  const vm = state.vms[event.vm];
  if (vm === undefined) return [];
  const answer = decideHost(host, vm, event);
  if (answer[0]?.type === 'gicv-trapped') return answer;
  return entered(leaves(state, event, 'trap'), answer);
}

function guest(state: MachineState, host: HostState, event: GuestInput): readonly MachineEvent[] {
  const vm = state.vms[event.vm];
  const vcpu = state.vcpus[event.vcpu];
  if (vm === undefined || vcpu === undefined) return [];
  const { interconnect, adversary } = state;
  const isObserved = state.vcpus.length > 1 || interconnect.length > 1;
  const ram = ramContents(state.ram);
  const { protectedTableWalk: ptw, mmioSignExtends } = host.features;
  const { geometry, table } = vm;
  const regime = { geometry, table, cpu: host.cpu, interconnect, isObserved, ptw, mmioSignExtends, ram };
  if (adversary === null) return decideGuest(vcpu, event.vcpu, regime, event);
  const { choose, taken } = chooserFor(adversary);
  const events = decideGuest(vcpu, event.vcpu, { ...regime, choose }, event);
  const made = taken();
  if (made.choices.length === 0) return events;
  return [{ type: 'choices-taken', vm: event.vm, vcpu: event.vcpu, ...made }, ...events];
}

/** The VMM's own access to config space; nothing answers for a device that is not behind vfio-pci. */
function vmmConfig(
  state: MachineState,
  event: MachineEvent & { type: 'vfio-config-accessed' },
): readonly MachineEvent[] {
  const id = state.devices.findIndex(({ description }) => description.name === event.device);
  const device = state.devices[id];
  return device === undefined ? [] : decideVmmConfig(device, id, event);
}

type MsixInput = Extract<MachineEvent, { type: 'msix-raised' | 'msix-mask-written' }>;

/** Messages of a vector that was raised, or of those that waited for a mask. */
function msix(state: MachineState, event: MsixInput): readonly MachineEvent[] {
  const device = state.devices[event.device];
  if (device === undefined) return [];
  return event.type === 'msix-raised'
    ? decideMsix(device, event.device, event.vector)
    : decideUnmasked(device, event.device);
}

/** RAM as a processor reads it. */
function ramContents(ram: DeviceMemory | null): RamContents | null {
  if (ram === null) return null;
  return (pa, size) => {
    const bytes = readMemory(ram, pa, size);
    return bytes.every((byte) => byte !== null) ? bytes : null;
  };
}

type Issued = Extract<MachineEvent, { readonly type: 'transaction-issued' }>;

function transaction(state: MachineState, host: HostState, event: Issued): readonly MachineEvent[] {
  const by = requester(state, event);
  const { pa, access } = event.transaction;
  const route = rangeAt(state.interconnect, pa);
  const device = route === undefined ? undefined : state.devices[route.device];
  if (route !== undefined && device?.memoryEnabled === true && route.region !== NO_REGION) {
    const at = { region: route.region, offset: pa - route.start };
    return decideTransaction(device, route.device, { by, transaction: event.transaction, ...at });
  }
  const because = device === undefined || route?.region === NO_REGION ? 'no-device' : 'memory-space-disabled';
  const unclaimed = unclaimedTransaction(by, event.transaction, because);
  if (host.pcieErrors === 'contained') return unclaimed;
  const { vm, vcpu } = event;
  const lost = unclaimed.filter(({ type }) => type === 'transaction-unclaimed');
  return [...lost, { type: 'bus-error-reported', vm, vcpu, access }];
}

/** Firmware stops the host, or the processor takes the abort: synchronously at a read, else as an SError. */
function busError(
  state: MachineState,
  host: HostState,
  event: MachineEvent & { type: 'bus-error-reported' },
): readonly MachineEvent[] {
  const { vm, vcpu, access } = event;
  if (host.pcieErrors === 'fatal') {
    const log = 'Kernel panic - not syncing: Fatal hardware error!';
    return [{ type: 'host-panicked', vm, vcpu, log, because: 'uncontained-bus-error' }];
  }
  if (access !== null) return guest(state, host, event);
  return [{ type: 'serror-injected', vm, vcpu, because: 'asynchronous-abort' }];
}
