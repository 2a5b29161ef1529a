// One assigned region of a VM: the VMM's mapping, the memslots it makes of it, and what it keeps to itself. Around an
// MSI-X table the BAR is cut into slots at page boundaries; what lies between are MMIO exits (QEMU maps the BAR once
// and lays its table over it, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE).

import type { Hva, Ipa, Pa } from '../arch/addresses.ts';
import { alignUp } from '../arch/addresses.ts';
import type { PaRange } from '../arch/transaction.ts';
import type { DeviceDescription } from '../devices/description.ts';
import { mmapRegion } from '../devices/mmap.ts';
import { PCI_CONFIG_REGION } from '../devices/pci/config-space.ts';
import { msixRanges } from '../devices/pci/msix.ts';
import type { VmmCall } from '../host/calls.ts';
import type { KernelPreset } from '../host/kernels.ts';
import type { MachineEvent } from './events.ts';
import type { Followed } from './followed-bar.ts';
import { followedBar } from './followed-bar.ts';
import type { HvaSpace } from './layout.ts';
import type { Assignment, ConfigWindow, VmDefinition } from './scenario-definition.ts';
import { withDriver } from './scenario-vary.ts';

type SetMemslot = VmmCall & { kind: 'set-memslot' };

/** A region as it came to stand in a VM. */
export interface PlacedRegion {
  readonly vm: number;
  readonly vmName: string;
  /** Device and region: `gpu.BAR0`. */
  readonly name: string;
  readonly kind: string;
  /** Number of the device's slice. */
  readonly device: number;
  readonly index: number;
  readonly ipa: Ipa;
  readonly size: number;
  /** The VMM's mapping; null where there is none. */
  readonly mapping: { readonly hva: Hva; readonly size: number } | null;
  /** Its memslots as they were set, for a VMM that takes them away and puts them back; several around MSI-X. */
  readonly slots: readonly SetMemslot[];
  /** The VMM lives without the slot. */
  readonly mayBeRefused?: boolean;
}

/** What no process maps. */
export const NO_MEMORY = { mapping: null, slots: [] } as const;

/** What a VMM finds when it assigns. */
export interface Surroundings {
  readonly devices: readonly DeviceDescription[];
  readonly space: HvaSpace;
  readonly kernel: KernelPreset;
  readonly pageSize: number;
}

interface Assigned {
  readonly placed: PlacedRegion;
  readonly events: readonly MachineEvent[];
}

/** @param slot number of the first memslot that is free */
export function assigned(
  vm: VmDefinition,
  assignment: Assignment,
  slot: number,
  around: Surroundings,
): Assigned {
  const { devices, space, kernel, pageSize } = around;
  const device = devices.findIndex(({ name }) => name === assignment.region.device);
  const description = devices[device];
  if (description === undefined) throw new RangeError(`no device '${assignment.region.device}' is plugged`);
  const { ipa, region, mayBeRefused } = assignment;
  const mapped = mappedAs(description, assignment);
  const { id, name: vmName } = vm;
  const common = { vm: id, vmName, name: region.name, kind: mapped.kind, device, index: region.index };
  const placed = { ...common, ipa, size: region.size, mayBeRefused };
  const window = windowOf(id, device, region.index, ipa);
  if (mapped.kind === 'emulated') return { placed: { ...placed, ...NO_MEMORY }, events: [window] };
  const { vfioPciAllowsAnyUncached } = kernel.features;
  const taken = othersOf(devices, region.device, region.index);
  const result = mmapRegion(mapped, region.index, { pageSize, vfioPciAllowsAnyUncached, taken });
  const called = (call: VmmCall): MachineEvent => ({ type: 'vmm-called', vm: id, call });
  const followed = vm.configs.find((it) => it.device === region.device && it.bars === 'follow');
  const follow = (slots: PlacedRegion['slots'], trapped: boolean): Followed =>
    followedBar(vm, { assignment, device, description, config: followed, slots, trapped });
  if (result.kind === 'refused') {
    const refused = called({ kind: 'mmap-refused', errno: result.errno });
    const { isOff, events } = follow([], true);
    return { placed: { ...placed, ...NO_MEMORY }, events: [refused, ...(isOff ? [] : [window]), ...events] };
  }
  const { backing } = result;
  const size = alignUp(region.size, pageSize);
  const hva = space.map(size, backing.pa + (assignment.alignment === 'page' ? pageSize : 0));
  const mmap = called({ kind: 'mmap', hva, size, prot: 'read-write', backing });
  const slots = slotsOf(assignment, mapped, { hva, size, pageSize, slot });
  const isWhole = slots.length === 1 && slots[0]?.size === size;
  const { isOff, events } = follow(slots, !isWhole);
  const there = isOff ? [] : [...(isWhole ? [] : [window]), ...slots.map(called)];
  return { placed: { ...placed, mapping: { hva, size }, slots }, events: [mmap, ...there, ...events] };
}

/** The page in which the VM's guest finds a function's config space. */
export function configWindow(
  vm: number,
  { device: name, ipa }: ConfigWindow,
  devices: readonly DeviceDescription[],
): MachineEvent {
  const device = devices.findIndex((it) => it.name === name);
  if (device === -1) throw new RangeError(`no device '${name}' is plugged`);
  return windowOf(vm, device, PCI_CONFIG_REGION, ipa);
}

const windowOf = (vm: number, device: number, region: number, gpa: Ipa): MachineEvent => ({
  type: 'mmio-window-opened',
  device,
  region,
  vm,
  gpa,
});

interface Mapping {
  readonly hva: Hva;
  readonly size: number;
  readonly pageSize: number;
  /** Number of the first slot. */
  readonly slot: number;
}

/** A memslot for each run of whole pages without MSI-X. */
function slotsOf(
  { ipa, readonly, msix, region }: Assignment,
  device: DeviceDescription,
  { hva, size, pageSize, slot }: Mapping,
): PlacedRegion['slots'] {
  const isTrapped = device.kind === 'vfio-pci' && msix === 'trapped';
  const holes = isTrapped ? msixRanges(device, region.index).toSorted((a, b) => a.start - b.start) : [];
  const runs: { start: number; end: number }[] = [];
  let start = 0;
  for (const hole of holes) {
    const end = hole.start - (hole.start % pageSize);
    if (end > start) runs.push({ start, end });
    start = Math.max(start, alignUp(hole.end, pageSize));
  }
  if (size > start) runs.push({ start, end: size });
  return runs.map((run, index) => ({
    kind: 'set-memslot',
    slot: slot + index,
    ipa: (ipa + run.start) as Ipa,
    size: run.end - run.start,
    hva: (hva + run.start) as Hva,
    readonly,
    logDirty: false,
  }));
}

/** Physical addresses of all regions but one. */
const othersOf = (devices: readonly DeviceDescription[], device: string, index: number): PaRange[] =>
  devices.flatMap(({ name, regions }) =>
    regions.flatMap(({ index: other, pa, size }): PaRange[] =>
      pa === null || (name === device && other === index) ? [] : [{ start: pa, end: (pa + size) as Pa }],
    ),
  );

/** The device as the VMM opens it. */
const mappedAs = (device: DeviceDescription, { as }: Assignment): DeviceDescription =>
  as === null || device.kind === 'emulated' || device.kind === 'gicv2' ? device : withDriver(device, as);
