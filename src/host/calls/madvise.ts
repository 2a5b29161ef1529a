// madvise as KVM's guests notice it: MADV_DONTNEED drops pages and splits what it cuts, MADV_PAGEOUT hands pages to
// reclaim. Which pages reclaim takes is given with the call.

import type { Hva } from '../../arch/addresses.ts';
import { levelSize } from '../../arch/geometry.ts';
import type { VmmCall } from '../calls.ts';
import { PMD } from '../mm-fault.ts';
import { notifyAge, notifyUnmap } from '../notifier.ts';
import type { Vma } from '../vma.ts';
import { vmasIn } from '../vma.ts';
import type { Work } from '../work.ts';
import { emit } from '../work.ts';
import { splitHugeEntry } from './split.ts';

const EINVAL = 22;

export function madvise(work: Work, call: VmmCall & { kind: 'madvise' }): number {
  const start = call.hva;
  const end = call.hva + call.size;
  const vmas = vmasIn(work.vm.vmas, start, end);
  if (vmas.some((vma) => vma.backing.kind === 'pfnmap')) return EINVAL;
  if (call.advice === 'pageout') {
    pageout(work, call);
    return 0;
  }
  for (const vma of vmas) discard(work, vma, Math.max(start, vma.start), Math.min(end, vma.end));
  return 0;
}

/** zap_page_range_single(): one notifier for the range, then one for each huge page that is cut (measured rule 8). */
function discard(work: Work, vma: Vma, start: number, end: number): void {
  const size = levelSize(work.vm.geometry.granule, PMD);
  notifyUnmap(work, start, end, 'discard');
  if (vma.backing.kind === 'hugetlb') {
    emit(work, { type: 'host-pages-freed', vm: work.id, start: start as Hva, end: end as Hva });
    return;
  }
  for (let window = start - (start % size); window < end; window += size) {
    const { level, leaf } = work.vm.memory.walk(window);
    const from = Math.max(start, window);
    const to = Math.min(end, window + size);
    if (level === PMD && leaf !== undefined && to - from < size) {
      notifyUnmap(work, window, window + size, 'huge-page-split');
      splitHugeEntry(work, window);
    }
    dropPages(work, from, to);
  }
}

/** Entries become empty; a PTE table stays where it is, as zap_pte_range() leaves it. */
function dropPages(work: Work, start: number, end: number): void {
  const { granule } = work.vm.geometry;
  for (const { address, level } of [...work.vm.memory.leaves(start, end)]) {
    if (level === PMD) {
      const to = (address + levelSize(granule, PMD)) as Hva;
      emit(work, { type: 'host-pages-freed', vm: work.id, start: address as Hva, end: to });
    } else {
      const pte = { kind: 'none' } as const;
      emit(work, { type: 'host-pages-set', vm: work.id, hva: address as Hva, level, count: 1, pte, allocated: 0 });
    }
  }
}

function pageout(work: Work, call: VmmCall & { kind: 'madvise' }): void {
  for (const { kind, start, end } of call.reclaim) {
    if (kind === 'age') {
      notifyAge(work, start, end);
      continue;
    }
    notifyUnmap(work, start, end, 'reclaim');
    for (const { address, level, leaf } of [...work.vm.memory.leaves(start, end)]) {
      if (leaf.kind === 'none') continue;
      const pte = { kind: 'swapped' } as const;
      emit(work, { type: 'host-pages-set', vm: work.id, hva: address as Hva, level, count: 1, pte, allocated: 0 });
    }
  }
}
