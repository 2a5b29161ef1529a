// madvise as KVM's guests notice it: MADV_DONTNEED drops pages and splits what it cuts, MADV_PAGEOUT hands pages to
// reclaim. Which pages reclaim takes is given with the call.

import type { Hva } from '../../arch/addresses.ts';
import type { Level } from '../../arch/geometry.ts';
import { levelSize } from '../../arch/geometry.ts';
import type { VmmCall } from '../calls.ts';
import type { HostPte } from '../host-memory.ts';
import { faultIn, PMD } from '../mm-fault.ts';
import { notifyAge, notifyUnmap } from '../notifier.ts';
import type { Vma } from '../vma.ts';
import { vmasIn } from '../vma.ts';
import type { Work } from '../work.ts';
import { emit, hostPages } from '../work.ts';
import { splitHugeEntry } from './split.ts';

type Advice = (VmmCall & { kind: 'madvise' })['advice'];

const EINVAL = 22;
const ENOMEM = 12;

export function madvise(work: Work, call: VmmCall & { kind: 'madvise' }): number {
  const end = call.hva + call.size;
  let start: number = call.hva;
  let errno = 0;
  for (const vma of vmasIn(work.vm.vmas, start, end)) {
    if (vma.start > start) errno = ENOMEM;
    const from = Math.max(start, vma.start);
    if (!advisable(vma, from, call.advice)) return EINVAL;
    start = Math.min(end, vma.end);
    if (call.advice === 'dontneed') discard(work, vma, from, start);
    if (call.advice === 'hwpoison') poison(work, vma, from, start);
  }
  if (call.advice === 'pageout') pageout(work, call);
  return start < end ? ENOMEM : errno;
}

/** madvise_dontneed_free_valid_vma() and can_madv_lru_vma(). */
function advisable({ backing }: Vma, from: number, advice: Advice): boolean {
  if (backing.kind === 'pfnmap') return false;
  if (advice === 'hwpoison') return true;
  if (backing.kind !== 'hugetlb') return true;
  return advice === 'dontneed' && from % backing.pageSize === 0;
}

/** zap_page_range_single(): one notifier for the range, then one for each huge page that is cut (measured rule 8). */
function discard(work: Work, vma: Vma, start: number, end: number): void {
  if (vma.backing.kind === 'hugetlb') {
    discardHugetlb(work, start, end - (end % vma.backing.pageSize));
    return;
  }
  const size = levelSize(work.vm.geometry.granule, PMD);
  notifyUnmap(work, start, end, 'discard');
  for (let window = start - (start % size); window < end; window += size) {
    const { level, leaf } = hostPages(work).memory.walk(window);
    const from = Math.max(start, window);
    const to = Math.min(end, window + size);
    if (level === PMD && leaf !== undefined && to - from < size) {
      notifyUnmap(work, window, window + size, 'huge-page-split');
      splitHugeEntry(work, window);
    }
    dropPages(work, from, to);
  }
}

/** The end is rounded down to whole hugetlb pages; nothing may be left to do. */
function discardHugetlb(work: Work, start: number, end: number): void {
  if (end <= start) return;
  notifyUnmap(work, start, end, 'discard');
  emit(work, { type: 'host-pages-freed', vm: work.id, start: start as Hva, end: end as Hva });
}

/** Entries become empty; a PTE table stays where it is, as zap_pte_range() leaves it. */
function dropPages(work: Work, start: number, end: number): void {
  const { granule } = work.vm.geometry;
  for (const { address, level } of [...hostPages(work).memory.leaves(start, end)]) {
    if (level === PMD) {
      const to = (address + levelSize(granule, PMD)) as Hva;
      emit(work, { type: 'host-pages-freed', vm: work.id, start: address as Hva, end: to });
    } else {
      setEntry(work, address, level, { kind: 'none' });
    }
  }
}

/**
 * memory_failure() of each page: a transparent huge page is split first, a hugetlb page goes as a whole. What is not
 * there is faulted in first, as get_user_pages_fast() of madvise_inject_error() does.
 */
function poison(work: Work, vma: Vma, start: number, end: number): void {
  const { granule } = work.vm.geometry;
  const unit = vma.backing.kind === 'hugetlb' ? vma.backing.pageSize : granule;
  const huge = levelSize(granule, PMD);
  for (let page = start - (start % unit); page < end; page += unit) {
    if (faultIn(work, vma, page, true).kind === 'error') continue;
    const { level } = hostPages(work).memory.walk(page);
    if (vma.backing.kind !== 'hugetlb' && level === PMD) {
      const window = page - (page % huge);
      notifyUnmap(work, window, window + huge, 'huge-page-split');
      splitHugeEntry(work, window);
    }
    notifyUnmap(work, page, page + unit, 'memory-failure');
    const at = hostPages(work).memory.walk(page).level;
    const count = unit / levelSize(granule, at);
    const pte: HostPte = { kind: 'poisoned' };
    const hva = page as Hva;
    emit(work, { type: 'host-pages-set', vm: work.id, hva, level: at, count, pte, allocated: 0 });
  }
}

function pageout(work: Work, call: VmmCall & { kind: 'madvise' }): void {
  for (const { kind, start, end } of call.reclaim) {
    if (kind === 'age') {
      notifyAge(work, start, end);
      continue;
    }
    notifyUnmap(work, start, end, 'reclaim');
    swapOut(work, start, end);
  }
}

/** Pages go to swap; what is left of a huge page of which some went stays behind as pages. */
function swapOut(work: Work, start: number, end: number): void {
  const size = levelSize(work.vm.geometry.granule, PMD);
  for (let window = start - (start % size); window < end; window += size) splitHugeEntry(work, window);
  for (const { address, level, leaf } of [...hostPages(work).memory.leaves(start, end)]) {
    if (leaf.kind !== 'page') continue;
    setEntry(work, address, level, { kind: 'swapped' });
  }
}

/** One entry of the page table loses its page; nothing is allocated. */
function setEntry(work: Work, address: number, level: Level, pte: HostPte): void {
  const hva = address as Hva;
  emit(work, { type: 'host-pages-set', vm: work.id, hva, level, count: 1, pte, allocated: 0 });
}
