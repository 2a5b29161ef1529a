// Accesses that somebody emulates: user space in the windows of its devices, the kernel for its ioeventfds and a VM's
// GICv2, the hypervisor's own code for a GICV that cannot be mapped. Each goes to the device whose registers they are.

import type { MmioInput } from '../devices/decide.ts';
import {
  decideMmio,
  emptyBridge,
  inKernelAccess,
  unassignedMmio,
  unmodelledMmio,
} from '../devices/decide.ts';
import { GICC, GICD, GICV, regionOf } from '../devices/description.ts';
import type { Requester } from '../devices/events.ts';
import { syncHwstate } from '../devices/gicv2/hwstate.ts';
import { gicOf } from '../devices/gicv2/lines.ts';
import { storedValue } from '../guest/register-value.ts';
import { isBarHole } from './bar-mappings.ts';
import type { MachineEvent } from './events.ts';
import { windowAt } from './interconnect.ts';
import { endedLevels, halted } from './interrupts.ts';
import type { MachineState } from './state.ts';

/** Whose access an event is. */
export const requester = (state: MachineState, { vm, vcpu }: { vm: number; vcpu: number }): Requester => ({
  vm,
  vcpu,
  index: state.vcpus[vcpu]?.index ?? 0,
});

type Mmio = Extract<MachineEvent, { readonly type: 'mmio-exited' | 'mmio-handled' }>;

/** The access as KVM decoded it; a store's value is that of the register it read. */
function mmioInput(state: MachineState, event: Mmio | Trapped): Omit<MmioInput, 'region' | 'offset'> {
  const { size, write } = event;
  const pending = state.vcpus[event.vcpu]?.pending ?? null;
  const value = write && pending !== null ? storedValue(pending) : null;
  return { by: requester(state, event), size, write, value };
}

/** The window of an emulated device, or what a VMM does where there is none. */
export function userSpaceMmio(
  state: MachineState,
  event: Mmio,
  unassigned: 'vmm' | 'listener',
): readonly MachineEvent[] {
  const hit = windowAt(state.devices, event.vm, event.gpa);
  const device = hit === null ? undefined : state.devices[hit.device];
  const input = mmioInput(state, event);
  if (hit !== null && device !== undefined) return decideMmio(device, hit.device, { ...input, ...hit });
  if (isBarHole(state, event.vm, event.gpa)) return emptyBridge(input.by, event);
  return unassigned === 'vmm' ? unassignedMmio(input.by, event.write) : [];
}

/** An ioeventfd, or a VM's GICv2: its distributor, and GICC_DIR. Other in-kernel devices are not modelled. */
export function kernelMmio(state: MachineState, event: Mmio): readonly MachineEvent[] {
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
export function trappedGicv(state: MachineState, event: Trapped): readonly MachineEvent[] {
  const input = mmioInput(state, event);
  const gicc = state.vms[event.vm]?.vgic;
  const gic = gicOf(state.devices, event.vm);
  const device = state.devices[gic?.device ?? -1];
  if (gicc?.version !== 2 || gic === null || device === undefined) return unmodelledMmio(input.by);
  return decideMmio(device, gic.device, { ...input, region: GICV, offset: event.gpa - gicc.gicc });
}
