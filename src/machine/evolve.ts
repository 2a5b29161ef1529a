// The machine's `evolve`: every event to the slices it concerns. Runs on an Immer draft where a snapshot is
// wanted and on a plain object for bulk replay; both give equal states after every event.

import type { VfioPciDescription } from '../devices/description.ts';
import { PCI_COMMAND_MEMORY } from '../devices/description.ts';
import type { DeviceEvent } from '../devices/events.ts';
import { evolveDevice } from '../devices/evolve.ts';
import { EMPTY_MEMORY, writeMemory } from '../devices/memory.ts';
import type { DeviceState } from '../devices/state.ts';
import { initialDevice } from '../devices/state.ts';
import { evolveVcpu, initialVcpu } from '../guest/evolve.ts';
import type { VcpuState } from '../guest/state.ts';
import { evolveHost, evolveVm, initialHost, initialVm } from '../host/evolve.ts';
import type { HostState, VmState } from '../host/state.ts';
import type { MachineEvent } from './events.ts';
import { withDevice } from './interconnect.ts';
import type { MachineState } from './state.ts';

/** Lets a change run on the slices it concerns: on objects that change in place, or on drafts of them alone. */
export interface Slices {
  machine(change: (state: MachineState) => void): void;
  vm(id: number, change: (vm: VmState) => void): void;
  vcpu(id: number, change: (vcpu: VcpuState) => void): void;
  device(id: number, change: (device: DeviceState) => void): void;
}

/** Changes `state` in place, which may be a draft. */
export function slicesOf(state: MachineState): Slices {
  const on = <S>(slice: S | undefined, change: (slice: S) => void): void => {
    if (slice !== undefined) change(slice);
  };
  return {
    machine: (change) => change(state),
    vm: (id, change) => on(state.vms[id], change),
    vcpu: (id, change) => on(state.vcpus[id], change),
    device: (id, change) => on(state.devices[id], change),
  };
}

/** Changes a state, plain or a draft. */
export const evolve = (state: MachineState, event: MachineEvent): void =>
  evolveSlices(slicesOf(state), event);

/** Events that leave no trace in any slice: they only lead to others. */
const INERT = [
  'bus-error-reported',
  'host-panicked',
  'msix-mask-written',
  'vfio-config-accessed',
  'pci-config-read',
  'pci-change-due',
  'bar-mappings-due',
  'mmio-answered',
  'transaction-issued',
  'transaction-unclaimed',
  'barrier-executed',
  'program-ended',
  'vmm-called',
  'vmm-call-returned',
  'vcpu-run',
  'instruction-skipped',
  'mmio-exited',
  'mmio-handled',
  'gicv-trapped',
  'maintenance-interrupt',
  'wfi-executed',
  'irq-acked',
  'sigbus-sent',
  'stage1-descriptor-read',
  'stage1-descriptor-updated',
] as const;

const INERT_TYPES: ReadonlySet<string> = new Set(INERT);

const isInert = (event: MachineEvent): event is Extract<MachineEvent, { type: (typeof INERT)[number] }> =>
  INERT_TYPES.has(event.type);

/**
 * Total over the union; a slice that does not exist is left alone. What every fault brings stands first: a switch over
 * strings compares one after the other.
 */
export function evolveSlices(slices: Slices, event: MachineEvent): void {
  if (event.type === 'guest-reentered') return;
  switch (event.type) {
    case 'access-issued':
    case 'access-completed':
    case 'stage1-faulted':
    case 'stage1-switched':
    case 'stage1-walk-stepped':
    case 'stage1-translated':
    case 'stage2-faulted':
    case 'abort-injected':
    case 'run-failed':
    case 'sea-exited':
    case 'serror-injected':
    case 'nisv-exited':
    case 'access-translated':
    case 'transaction-answered':
    case 'speculation-answered':
    case 'reads-discarded':
    case 'store-buffered':
    case 'store-lines-drained':
    case 'store-lines-closed':
    case 'interrupts-masked':
    case 'interrupt-taken':
    case 'exception-returned':
      slices.vcpu(event.vcpu, (vcpu) => evolveVcpu(vcpu, event));
      return;
    case 'host-pages-set':
    case 'stage2-map-begun':
    case 'stage2-mapped':
      slices.vm(event.vm, (vm) => evolveVm(vm, event));
      return;
    case 'host-booted':
    case 'vm-created':
    case 'vcpu-created':
    case 'device-plugged':
    case 'vgic-created':
    case 'pci-command-written':
    case 'pci-power-written':
    case 'pci-reset-asked':
    case 'adversary-began':
    case 'choices-taken':
    case 'ram-written':
      slices.machine((state) => evolveMachine(state, event));
      return;
    case 'mmio-window-opened':
    case 'bar-assigned':
    case 'bar-unmapped':
    case 'bar-mapped':
    case 'pci-config-written':
    case 'pci-function-changed':
    case 'msix-raised':
    case 'msix-sent':
    case 'interrupt-line-changed':
    case 'vgic-register-accessed':
    case 'timer-written':
    case 'timer-condition-met':
    case 'timer-interrupt':
    case 'vgic-synced':
    case 'vgic-flushed':
    case 'device-interrupt':
    case 'device-updated':
    case 'device-read':
    case 'device-written':
      slices.device(event.device, (device) => evolveDevice(device, event));
      return;
    default:
      if (!isInert(event)) slices.vm(event.vm, (vm) => evolveVm(vm, event));
  }
}

type MachineWide = Extract<
  MachineEvent,
  {
    type:
      | 'host-booted'
      | 'vm-created'
      | 'vcpu-created'
      | 'device-plugged'
      | 'vgic-created'
      | 'pci-command-written'
      | 'pci-power-written'
      | 'pci-reset-asked'
      | 'adversary-began'
      | 'choices-taken'
      | 'ram-written';
  }
>;

/** Events that make slices or concern several. */
function evolveMachine(state: MachineState, event: MachineWide): void {
  switch (event.type) {
    case 'host-booted':
      state.host = initialHost(event);
      state.ram = event.ramContents === true ? EMPTY_MEMORY : null;
      return;
    case 'ram-written':
      if (state.ram !== null) state.ram = writeMemory(state.ram, event.pa, event.bytes);
      return;
    case 'vm-created':
      if (state.host !== null) state.vms[event.vm] = initialVm(state.host, event);
      return;
    case 'vcpu-created':
      state.vcpus[event.vcpu] = initialVcpu(event);
      return;
    case 'device-plugged':
      plug(state, event);
      return;
    case 'adversary-began':
      state.adversary = { script: event.script, taken: 0, prng: event.prng };
      return;
    case 'choices-taken': {
      const { adversary } = state;
      const { choices, prng } = event;
      if (adversary !== null)
        state.adversary = { ...adversary, taken: adversary.taken + choices.length, prng };
      return;
    }
    case 'pci-command-written':
    case 'pci-power-written':
    case 'pci-reset-asked':
      if (state.host !== null) evolveHost(state.host, event);
      return;
    case 'vgic-created': {
      const vm = state.vms[event.vm];
      if (vm === undefined) return;
      evolveVm(vm, event);
      for (const device of state.devices) initialiseVgic(device, event.vm, vm, state.host);
    }
  }
}

/** __vfio_pci_memory_enabled(): physical functions without memory enable. */
const isMemoryOff = (description: VfioPciDescription): boolean =>
  !description.function.virtualFunction && (description.command & PCI_COMMAND_MEMORY) === 0;

/** Where a device is plugged before the host booted. */
const SMALLEST_PAGE = 4096;

function plug(state: MachineState, event: DeviceEvent & { type: 'device-plugged' }): void {
  const { device, description } = event;
  const slice = initialDevice(description);
  state.vms.forEach((vm, id) => {
    initialiseVgic(slice, id, vm, state.host);
  });
  state.devices[device] = slice;
  const { host } = state;
  if (host !== null && description.kind === 'vfio-pci' && isMemoryOff(description))
    host.memoryDisabled = [...host.memoryDisabled, description.name];
  state.interconnect = withDevice(
    state.interconnect,
    device,
    description,
    state.host?.pageSize ?? SMALLEST_PAGE,
  );
}

/** A GICv2 keeps a distributor and CPU interfaces for each VM that has one. */
function initialiseVgic(
  device: DeviceState,
  vm: number,
  { vgic, vcpus }: VmState,
  host: HostState | null,
): void {
  const { description } = device;
  if (description.kind !== 'gicv2' || vgic?.version !== 2 || host === null) return;
  const { vgicRevision3, vgicLrFirst: lrFirst } = host.features;
  const { listRegisters } = description;
  const traits = { listRegisters, revision: vgicRevision3 ? 3 : 2, lrFirst };
  evolveDevice(device, { type: 'vgic-initialised', vm, vcpus, traits });
}
