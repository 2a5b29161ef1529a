// Dirty logging: KVM_GET_DIRTY_LOG and KVM_CLEAR_DIRTY_LOG. Write protection works on words of 64 pages, from the
// first to the last set bit, clean pages in between included (kvm_arch_mmu_enable_log_dirty_pt_masked).

import type { Ipa } from '../../arch/addresses.ts';
import type { Granule, Level } from '../../arch/geometry.ts';
import { entriesPerTable, levelSize } from '../../arch/geometry.ts';
import type { VmmCall } from '../calls.ts';
import { memAttrOf } from '../leaf.ts';
import { breakBeforeMake } from '../map.ts';
import type { Memslot, SlotRange } from '../memslot.ts';
import type { PageBitmap } from '../page-bitmap.ts';
import type { Work } from '../work.ts';
import { emit } from '../work.ts';

const ENOENT = 2;
const EINVAL = 22;
const WORD = 64;

const EAGER_SPLIT = 'KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE';
const MANUAL_PROTECT = 'KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2';
const INITIALLY_SET = 2;

/** KVM_DIRTY_LOG_INITIALLY_SET: enabling the log sets every bit and protects nothing. */
export const initiallySet = (work: Work): boolean =>
  ((work.vm.capabilities[MANUAL_PROTECT] ?? 0) & INITIALLY_SET) !== 0;

const manualProtect = (work: Work): boolean => (work.vm.capabilities[MANUAL_PROTECT] ?? 0) !== 0;

/**
 * kvm_mmu_split_huge_pages(): blocks of the ranges become pages, built anew. Permissions carry over, MemAttr and access
 * flag do not (stage2_split_walker, kvm_pgtable_stage2_create_unlinked). Only with a chunk size set.
 */
export function splitEagerly(work: Work, ranges: readonly SlotRange[]): void {
  const chunk = work.vm.capabilities[EAGER_SPLIT] ?? 0;
  if (chunk === 0) return;
  const { granule } = work.vm.geometry;
  const wholeTree = tablesFor(granule, chunk) > entriesPerTable(granule);
  for (const range of ranges) {
    splitLevel(work, range, 1, wholeTree ? 3 : 2);
    splitLevel(work, range, 2, 3);
  }
}

/** kvm_mmu_split_nr_page_tables(): table pages at hand for one chunk; a 1G block needs 513 for a tree of pages. */
const tablesFor = (granule: Granule, chunk: number): number =>
  (granule === 4096 ? Math.ceil(chunk / levelSize(granule, 1)) : 0) +
  Math.ceil(chunk / levelSize(granule, 2));

/** Every block of level `from` that the range touches becomes a table of leaves of level `to`. */
function splitLevel(work: Work, range: SlotRange, from: Level, to: Level): void {
  const { granule } = work.vm.geometry;
  const memAttr = memAttrOf('normal', work.host.cpu.fwb);
  for (const { address, level, leaf } of [...work.vm.table.leaves(range.ipa, range.ipa + range.size)]) {
    if (level !== from) continue;
    const ipa = address as Ipa;
    const attributes = { ...leaf.attributes, memAttr, af: true };
    const count = levelSize(granule, level) / levelSize(granule, to);
    const pa = leaf.outputAddress;
    breakBeforeMake(work, ipa, to);
    emit(work, { type: 'stage2-split', vm: work.id, ipa, level: to, count, pa, attributes });
  }
}

export function writeProtect(work: Work, ranges: readonly SlotRange[]): void {
  emit(work, { type: 'stage2-write-protected', vm: work.id, ranges, because: 'dirty-logging' });
}

/** @returns errno and the numbers of the dirty pages, in ascending order */
export function getDirtyLog(
  work: Work,
  call: VmmCall & { kind: 'dirty-log-get' },
): { errno: number; dirtyPages: readonly number[] } {
  const slot = work.vm.slots.find((s) => s.slot === call.slot);
  if (slot === undefined || slot.dirty === null) return { errno: ENOENT, dirtyPages: [] };
  const dirtyPages = [...slot.dirty.set()];
  if (!manualProtect(work) && dirtyPages.length > 0) {
    protectWords(work, slot, slot.dirty, 0, slot.dirty.pages);
    change(work, slot, 'get', 0, slot.dirty.pages);
  }
  return { errno: 0, dirtyPages };
}

/** @returns errno; the pages given are protected again and clean */
export function clearDirtyLog(work: Work, call: VmmCall & { kind: 'dirty-log-clear' }): number {
  if (call.firstPage % WORD !== 0) return EINVAL;
  const slot = work.vm.slots.find((s) => s.slot === call.slot);
  if (slot === undefined || slot.dirty === null) return ENOENT;
  if (!wholeWords(call.firstPage, call.pages, slot.dirty.pages)) return EINVAL;
  protectWords(work, slot, slot.dirty, call.firstPage, call.pages);
  change(work, slot, 'clear', call.firstPage, call.pages);
  return 0;
}

/** kvm_clear_dirty_log_protect(): whole words of 64 pages, but for the end of the slot. */
function wholeWords(first: number, pages: number, total: number): boolean {
  if (first > total || pages > total - first) return false;
  return pages === total - first || pages % WORD === 0;
}

function change(work: Work, slot: Memslot, kind: 'get' | 'clear', firstPage: number, pages: number): void {
  emit(work, { type: 'dirty-log-changed', vm: work.id, slot: slot.slot, change: kind, firstPage, pages });
}

function protectWords(work: Work, slot: Memslot, dirty: PageBitmap, first: number, pages: number): void {
  const ranges: SlotRange[] = [];
  for (let word = first; word < first + pages; word += WORD) {
    const set = [...dirty.set(word, Math.min(word + WORD, first + pages))];
    const from = set[0];
    const to = set.at(-1);
    if (from !== undefined && to !== undefined) ranges.push(rangeOf(work, slot, from, to));
  }
  if (ranges.length === 0) return;
  writeProtect(work, ranges);
  if (initiallySet(work)) splitEagerly(work, ranges);
}

function rangeOf(work: Work, slot: Memslot, firstPage: number, lastPage: number): SlotRange {
  const { granule } = work.vm.geometry;
  return {
    slot: slot.slot,
    ipa: (slot.ipa + firstPage * granule) as Ipa,
    size: (lastPage - firstPage + 1) * granule,
  };
}
