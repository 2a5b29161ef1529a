// A VMM that follows its guest's config space: memory enable and BARs that the guest wrote delete and add memslots, one
// memory transaction at a time, on the vCPU's own thread (pci_update_mappings(), kvm_set_phys_mem()). The write reached
// vfio-pci before: in between, another vCPU finds a memslot whose pages answer SIGBUS.

import type { Ipa } from '../arch/addresses.ts';
import type { AssignedBar, BarPlaceWanted, BarSlot } from '../devices/pci/assigned-bar.ts';
import { wantedPlace } from '../devices/pci/assigned-bar.ts';
import type { VmState } from '../host/state.ts';
import type { MachineEvent } from './events.ts';
import type { MachineState } from './state.ts';

type Due = Extract<MachineEvent, { readonly type: 'bar-mappings-due' }>;

/** The next step, and that there may be more; once all BARs are where they should be, the guest's write has ended. */
export function barMappings(state: MachineState, event: Due): readonly MachineEvent[] {
  const { device, vm, vcpu } = event;
  const step = nextStep(state, device, vm);
  return step === null ? [{ type: 'mmio-answered', vm, vcpu, value: null }] : [...step, event];
}

function nextStep(state: MachineState, id: number, vm: number): MachineEvent[] | null {
  const device = state.devices[id];
  const slice = state.vms[vm];
  if (device?.description.kind !== 'vfio-pci' || device.pci === null || slice === undefined) return null;
  const { description, pci } = device;
  for (const bar of device.bars.filter((it) => it.vm === vm)) {
    const wanted = forwarded(slice, bar, wantedPlace(description, pci, bar));
    if (wanted.ipa === bar.ipa) continue;
    if (bar.ipa !== null) return unmapped(id, slice, bar, wanted);
    if (wanted.ipa !== null) return mapped(id, slice, bar, wanted.ipa);
  }
  return null;
}

/** Slot 0 is RAM: host bridges forward what lies elsewhere. */
function forwarded(
  { slots, geometry }: VmState,
  { size }: AssignedBar,
  wanted: BarPlaceWanted,
): BarPlaceWanted {
  const { ipa } = wanted;
  if (ipa === null) return wanted;
  const ram = slots.find(({ slot }) => slot === 0);
  const hitsRam = ram !== undefined && ipa < ram.ipa + ram.size && ram.ipa < ipa + size;
  return hitsRam || ipa + size > 2 ** geometry.ipaBits
    ? { ipa: null, because: 'outside-host-bridge' }
    : wanted;
}

/** A slot that is gone already, as when a program of the VMM was faster, is not deleted again. */
function unmapped(
  device: number,
  { slots }: VmState,
  { vm, region, slots: own, last }: AssignedBar,
  wanted: BarPlaceWanted,
): MachineEvent[] {
  const because = wanted.ipa === null ? wanted.because : 'moved';
  const there = own.filter((one) => slots.some(({ slot }) => slot === one.slot));
  return [
    { type: 'bar-unmapped', device, vm, region, because },
    ...there.map((slot) => setMemslot(vm, { ...slot, size: 0 }, last)),
  ];
}

/** A BAR smaller than a page has its slot where it starts one (vfio_sub_page_bar_update_mapping()). */
function mapped(
  device: number,
  { geometry }: VmState,
  { vm, region, slots, trapped }: AssignedBar,
  ipa: Ipa,
): MachineEvent[] {
  const usable = ipa % geometry.granule === 0 ? slots : [];
  const window = trapped || usable.length === 0;
  return [
    { type: 'bar-mapped', device, vm, region, ipa, trapped: window },
    ...usable.map((slot) => setMemslot(vm, slot, ipa)),
  ];
}

const setMemslot = (vm: number, { slot, offset, size, hva, readonly }: BarSlot, bar: Ipa): MachineEvent => ({
  type: 'vmm-called',
  vm,
  call: { kind: 'set-memslot', slot, ipa: (bar + offset) as Ipa, size, hva, readonly, logDirty: false },
});

/** Where a BAR of the VM was and is not any more: a PCI host bridge that nobody answers gives all ones. */
export const isBarHole = ({ devices }: MachineState, vm: number, gpa: Ipa): boolean =>
  devices.some(({ bars }) =>
    bars.some((bar) => bar.vm === vm && bar.ipa === null && gpa >= bar.last && gpa < bar.last + bar.size),
  );
