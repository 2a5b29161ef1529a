// MMU notifiers of the trace: they are facts, not predictions. Their ranges are of the VMM's address space; the slots
// of the machine file turn them into IPA ranges (kvm_handle_hva_range).

import type { Hva, Ipa } from '../../../arch/addresses.ts';
import { alignDown } from '../../../arch/addresses.ts';
import { leafAttributes } from '../../../host/leaf.ts';
import type { SlotRange } from '../../../host/memslot.ts';
import { paFor, TRACED } from './repair.ts';
import type { HvaRange, VmWorld, World } from './world.ts';
import { stateOf } from './world.ts';

/** Where [start, end) lies in the slots whose hva is known. */
export function rangesOf(vm: VmWorld, start: number, end: number): SlotRange[] {
  const ranges: SlotRange[] = [];
  for (const { slot, ipa, size, hva, hvaKnown } of vm.slots) {
    const from = Math.max(start, hva);
    const to = Math.min(end, hva + size);
    if (hvaKnown && from < to) ranges.push({ slot, ipa: (ipa + from - hva) as Ipa, size: to - from });
  }
  return ranges;
}

/** kvm_unmap_gfn_range(): whether the range hit a slot. */
export function unmap(world: World, vm: VmWorld, start: number, end: number): boolean {
  vm.notifiers += 1;
  const slots = rangesOf(vm, start, end);
  if (slots.length === 0) return false;
  world.simulation.dispatch({
    type: 'notifier-invalidated',
    vm: vm.id,
    start: start as Hva,
    end: end as Hva,
    slots,
    because: TRACED,
  });
  remember(vm.notified, { start, end });
  for (const { ipa, size } of slots) forgetWindows(world, vm, ipa, ipa + size);
  return true;
}

/** How the host backs a window is open again; one that is cut may have lost more than was named. */
function forgetWindows(world: World, vm: VmWorld, start: number, end: number): void {
  const { block } = world;
  const overlaps = (window: number): boolean => window < end && window + block > start;
  for (const window of vm.windows.keys()) if (overlaps(window)) vm.windows.delete(window);
  for (const window of vm.cut) if (window >= start && window + block <= end) vm.cut.delete(window);
  for (const edge of [start, end]) if (edge % block !== 0) vm.cut.add(alignDown(edge, block));
}

/** kvm_set_spte_gfn(): the new page read-only, where a table is. */
export function setSpte(world: World, vm: VmWorld, hva: number): boolean {
  const { pageSize, cpu } = world.machine;
  const ranges = rangesOf(vm, hva, hva + pageSize);
  const attributes = leafAttributes(cpu.fwb, { write: false, exec: false, type: 'normal' });
  for (const { ipa } of ranges) {
    if (stateOf(world.simulation, vm.id).table.walk(ipa).level < 3) continue;
    const because = 'change-pte-maps-read-only';
    const pa = paFor(hva);
    world.simulation.dispatch({ type: 'stage2-set', vm: vm.id, ipa, level: 3, pa, attributes, because });
    vm.readMapped.delete(ipa);
  }
  return ranges.length > 0;
}

/** kvm_age_gfn(): access flags are cleared. */
export function age(world: World, vm: VmWorld, start: number, end: number): boolean {
  const slots = rangesOf(vm, start, end);
  if (slots.length === 0) return false;
  world.simulation.dispatch({
    type: 'notifier-aged',
    vm: vm.id,
    start: start as Hva,
    end: end as Hva,
    slots,
  });
  return true;
}

const MAX_RANGES = 1024;

/** Joins what touches; too many ranges become one, which only says less. */
export function remember(ranges: HvaRange[], range: HvaRange): void {
  let { start, end } = range;
  for (let at = ranges.length - 1; at >= 0; at -= 1) {
    const other = ranges[at] as HvaRange;
    if (other.start > end || start > other.end) continue;
    start = Math.min(start, other.start);
    end = Math.max(end, other.end);
    ranges.splice(at, 1);
  }
  ranges.push({ start, end });
  if (ranges.length <= MAX_RANGES) return;
  const all = { start: Math.min(...ranges.map((r) => r.start)), end: Math.max(...ranges.map((r) => r.end)) };
  ranges.splice(0, ranges.length, all);
}
