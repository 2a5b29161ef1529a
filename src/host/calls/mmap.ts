// mmap and munmap of a VMM process: VMAs come and go, page tables are freed, and a cut through a huge page's window
// notifies more than was asked for (measured rules 18, 24, 34, 35).

import type { Hva } from '../../arch/addresses.ts';
import type { Because } from '../because.ts';
import type { VmmCall } from '../calls.ts';
import { notifyUnmap } from '../notifier.ts';
import type { Vma } from '../vma.ts';
import { sliceVma, vmasIn } from '../vma.ts';
import type { Work } from '../work.ts';
import { emit } from '../work.ts';
import { cutsHugetlb, reinserted, splitHugePageAt, zapNewVfioVma } from './split.ts';

const EINVAL = 22;

export function mmap(work: Work, call: VmmCall & { kind: 'mmap' }): number {
  const { hva: start, size, prot, backing } = call;
  const end = (start + size) as Hva;
  const errno = takeAway(work, start, end, 'fixed-mapping');
  if (errno !== 0) return errno;
  const id = work.vm.nextVma;
  const vma: Vma = { start, end, prot, backing, id, origin: id };
  emit(work, { type: 'vmas-changed', vm: work.id, start, end, vmas: [vma], nextVma: vma.id + 1 });
  return 0;
}

export function munmap(work: Work, call: VmmCall & { kind: 'munmap' }): number {
  return takeAway(work, call.hva, call.hva + call.size, 'unmap');
}

/** do_vmi_align_munmap(): splits at both ends, then unmap_vmas() with one notifier, then free_pgtables(). */
function takeAway(work: Work, start: number, end: number, because: Because): number {
  const hit = vmasIn(work.vm.vmas, start, end);
  if (hit.length === 0) return 0;
  if (hit.some((vma) => cutsHugetlb(vma, start, end))) return EINVAL;
  const kept = reinserted(
    work,
    hit.flatMap((vma) => splitForMunmap(work, vma, start, end)),
  );
  notifyUnmap(work, start, end, because);
  emit(work, { type: 'host-pages-freed', vm: work.id, start: start as Hva, end: end as Hva });
  const from = Math.min(start, ...hit.map((vma) => vma.start)) as Hva;
  const to = Math.max(end, ...hit.map((vma) => vma.end)) as Hva;
  const nextVma = work.vm.nextVma + kept.length;
  emit(work, { type: 'vmas-changed', vm: work.id, start: from, end: to, vmas: kept, nextVma });
  return 0;
}

/**
 * __split_vma(start, new above), then __split_vma(end, new below): the new VMA is the one that vfio-pci zaps.
 * @returns the parts that stay: what lies behind a hole in the middle belongs to the first split's new VMA
 */
function splitForMunmap(work: Work, vma: Vma, start: number, end: number): Vma[] {
  const kept: Vma[] = [];
  let rest = vma;
  if (start > vma.start) {
    zapNewVfioVma(work, rest, start, rest.end);
    splitHugePageAt(work, rest, start);
    kept.push(sliceVma(vma, vma.start, start));
    rest = { ...sliceVma(rest, start, rest.end), id: work.vm.nextVma };
  }
  if (end < vma.end) {
    zapNewVfioVma(work, rest, rest.start, end);
    splitHugePageAt(work, rest, end);
    kept.push(sliceVma(rest, end, rest.end));
  }
  return kept;
}
