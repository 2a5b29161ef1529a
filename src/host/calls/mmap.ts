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
import { splitHugePageAt, zapNewVfioVma } from './split.ts';

export function mmap(work: Work, call: VmmCall & { kind: 'mmap' }): number {
  const { hva: start, size, prot, backing } = call;
  const end = (start + size) as Hva;
  takeAway(work, start, end, 'fixed-mapping');
  const vma: Vma = { start, end, prot, backing, id: work.vm.nextVma };
  emit(work, { type: 'vmas-changed', vm: work.id, start, end, vmas: [vma], nextVma: vma.id + 1 });
  return 0;
}

export function munmap(work: Work, call: VmmCall & { kind: 'munmap' }): number {
  takeAway(work, call.hva, call.hva + call.size, 'unmap');
  return 0;
}

/** do_vmi_align_munmap(): splits at both ends, unmap_region() with one notifier a VMA, free_pgtables(). */
function takeAway(work: Work, start: number, end: number, because: Because): void {
  const hit = vmasIn(work.vm.vmas, start, end);
  for (const vma of hit) splitForMunmap(work, vma, start, end);
  for (const vma of hit) {
    notifyUnmap(work, Math.max(vma.start, start), Math.min(vma.end, end), because);
  }
  if (hit.length === 0) return;
  emit(work, { type: 'host-pages-freed', vm: work.id, start: start as Hva, end: end as Hva });
  const { nextVma } = work.vm;
  emit(work, { type: 'vmas-changed', vm: work.id, start: start as Hva, end: end as Hva, vmas: [], nextVma });
}

/** __split_vma(start, new above) then __split_vma(end, new below): the new VMA is the one that vfio-pci zaps. */
function splitForMunmap(work: Work, vma: Vma, start: number, end: number): void {
  let rest = vma;
  if (start > vma.start) {
    splitHugePageAt(work, rest, start);
    zapNewVfioVma(work, rest, start, rest.end);
    rest = sliceVma(rest, start, rest.end);
  }
  if (end < vma.end) {
    splitHugePageAt(work, rest, end);
    zapNewVfioVma(work, rest, rest.start, end);
  }
}
