// What every part makes of an event: each is given its own slice and plain data about its surroundings, and
// answers with events. Nobody calls across, and no part knows that the others are there.

import { rangeAt } from '../arch/transaction.ts';
import type { MmioInput } from '../devices/decide.ts';
import {
  decideMmio,
  decideTransaction,
  inKernelAccess,
  unassignedMmio,
  unclaimedTransaction,
  unmodelledMmio,
} from '../devices/decide.ts';
import { GICC, GICD, GICV, regionOf } from '../devices/description.ts';
import type { Requester } from '../devices/events.ts';
import { syncHwstate } from '../devices/gicv2/hwstate.ts';
import { gicOf } from '../devices/gicv2/lines.ts';
import type { GuestInput } from '../guest/decide.ts';
import { decideGuest, GUEST_HEARS } from '../guest/decide.ts';
import { decideHost, decideZap, HOST_HEARS } from '../host/decide.ts';
import type { HostState } from '../host/state.ts';
import { chooserFor } from './adversary.ts';
import type { MachineEvent } from './events.ts';
import { windowAt } from './interconnect.ts';
import {
  endedLevels,
  enters,
  halted,
  interrupted,
  kicks,
  leaves,
  maintained,
  waited,
  wires,
} from './interrupts.ts';
import type { MachineState } from './state.ts';

const DEVICES_HEAR = ['transaction-issued', 'mmio-exited', 'mmio-handled', 'gicv-trapped'] as const;

/** What moves interrupts besides the exits and entries of vCPUs. */
const INTERRUPTS_HEAR = [
  'device-read',
  'device-written',
  'device-updated',
  'device-interrupt',
  'interrupt-line-changed',
  'vgic-synced',
  'maintenance-interrupt',
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
  'pci-command-written',
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
    case 'pci-command-written':
      return decideZap(host, state.vms, event);
    case 'access-translated':
    case 'barrier-executed':
    case 'program-ended':
    case 'transaction-answered':
      return guest(state, host, event);
    case 'guest-reentered':
    case 'instruction-skipped':
    case 'run-failed':
    case 'access-issued':
      return entered(enters(state, event, 'trap'), guest(state, host, event));
    case 'mmio-answered':
      return entered([...enters(state, event, 'trap'), ...kicks(state, event.vm)], guest(state, host, event));
    case 'vmm-called':
    case 'vcpu-run':
    case 'stage2-map-begun': {
      const vm = state.vms[event.vm];
      return vm === undefined ? [] : decideHost(host, vm, event);
    }
    case 'stage2-faulted':
      return faulted(state, host, event);
    case 'transaction-issued':
      return transaction(state, event);
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
    case 'device-written':
    case 'device-updated':
      return wires(state, event.device);
    case 'device-interrupt':
      return interrupted(state, event);
    case 'interrupt-line-changed':
    case 'vgic-synced':
      return kicks(state, event.vm);
    case 'maintenance-interrupt':
      return maintained(state, event);
    case 'wfi-executed':
      return waited(state, event);
    default:
      return [];
  }
}

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
  const regime = { geometry: vm.geometry, table: vm.table, cpu: host.cpu, interconnect, isObserved };
  if (adversary === null) return decideGuest(vcpu, event.vcpu, regime, event);
  const { choose, taken } = chooserFor(adversary);
  const events = decideGuest(vcpu, event.vcpu, { ...regime, choose }, event);
  const made = taken();
  if (made.choices.length === 0) return events;
  return [{ type: 'choices-taken', vm: event.vm, vcpu: event.vcpu, ...made }, ...events];
}

const requester = (state: MachineState, { vm, vcpu }: { vm: number; vcpu: number }): Requester => ({
  vm,
  vcpu,
  index: state.vcpus[vcpu]?.index ?? 0,
});

type Issued = Extract<MachineEvent, { readonly type: 'transaction-issued' }>;

function transaction(state: MachineState, event: Issued): readonly MachineEvent[] {
  const by = requester(state, event);
  const route = rangeAt(state.interconnect, event.transaction.pa);
  const device = route === undefined ? undefined : state.devices[route.device];
  if (route === undefined || device === undefined)
    return unclaimedTransaction(by, event.transaction, 'no-device');
  const offset = event.transaction.pa - route.start;
  return decideTransaction(device, route.device, {
    by,
    transaction: event.transaction,
    region: route.region,
    offset,
  });
}

type Mmio = Extract<MachineEvent, { readonly type: 'mmio-exited' | 'mmio-handled' }>;

/** The access as KVM decoded it; a store's value is that of the register it read. */
function mmioInput(state: MachineState, event: Mmio | Trapped): Omit<MmioInput, 'region' | 'offset'> {
  const { size, write } = event;
  const value = write ? (state.vcpus[event.vcpu]?.pending?.value ?? null) : null;
  return { by: requester(state, event), size, write, value };
}

function userSpaceMmio(
  state: MachineState,
  event: Mmio,
  unassigned: 'vmm' | 'listener',
): readonly MachineEvent[] {
  const hit = windowAt(state.devices, event.vm, event.gpa);
  const device = hit === null ? undefined : state.devices[hit.device];
  const input = mmioInput(state, event);
  if (hit !== null && device !== undefined) return decideMmio(device, hit.device, { ...input, ...hit });
  return unassigned === 'vmm' ? unassignedMmio(input.by, event.write) : [];
}

/** An ioeventfd, or a VM's GICv2: its distributor, and GICC_DIR. Other in-kernel devices are not modelled. */
function kernelMmio(state: MachineState, event: Mmio): readonly MachineEvent[] {
  const input = mmioInput(state, event);
  if (event.because === 'ioeventfd') return unmodelledMmio(input.by);
  const vgic = state.vms[event.vm]?.vgic;
  const gic = gicOf(state.devices, event.vm);
  const device = state.devices[gic?.device ?? -1];
  if (vgic?.version !== 2 || gic === null || device === undefined) return unmodelledMmio(input.by);
  const inGicc = event.gpa >= vgic.gicc && event.gpa < vgic.gicc + regionOf(device.description, GICC).size;
  const at = inGicc
    ? { ...input, region: GICC, offset: event.gpa - vgic.gicc }
    : { ...input, region: GICD, offset: event.gpa - vgic.gicd };
  const { halts, ends } = inKernelAccess(device, gic.vgic, at);
  if (!halts) return [...endedLevels(state, event.vm, ends), ...decideMmio(device, gic.device, at)];
  const others = gic.vgic.cpus.flatMap((_cpu, cpu) => (cpu === input.by.index ? [] : [cpu]));
  const folded = others.reduce(syncHwstate, gic.vgic);
  const stopped = { ...device, vgics: { ...device.vgics, [event.vm]: folded } };
  return halted(state, event, decideMmio(stopped, gic.device, at));
}

type Trapped = Extract<MachineEvent, { readonly type: 'gicv-trapped' }>;

/** The interface itself, at the host's address: what a trapped access does there is what a mapped one does. */
function trappedGicv(state: MachineState, event: Trapped): readonly MachineEvent[] {
  const input = mmioInput(state, event);
  const gicc = state.vms[event.vm]?.vgic;
  const gic = gicOf(state.devices, event.vm);
  const device = state.devices[gic?.device ?? -1];
  if (gicc?.version !== 2 || gic === null || device === undefined) return unmodelledMmio(input.by);
  return decideMmio(device, gic.device, { ...input, region: GICV, offset: event.gpa - gicc.gicc });
}
