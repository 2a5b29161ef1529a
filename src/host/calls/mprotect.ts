// mprotect: a VMA whose protection changes is split at the ends of the range, then its pages change protection with
// one notifier. A VMA that has the protection already is left alone (measured rule 33).

import type { Hva } from '../../arch/addresses.ts';
import type { VmmCall } from '../calls.ts';
import { notifyUnmap } from '../notifier.ts';
import type { Vma } from '../vma.ts';
import { sliceVma, vmasIn } from '../vma.ts';
import type { Work } from '../work.ts';
import { emit } from '../work.ts';
import { splitHugePageAt, zapNewVfioVma } from './split.ts';

export function mprotect(work: Work, call: VmmCall & { kind: 'mprotect' }): number {
  const start = call.hva;
  const end = call.hva + call.size;
  for (const vma of vmasIn(work.vm.vmas, start, end)) {
    if (vma.prot !== call.prot) protectVma(work, vma, Math.max(start, vma.start), Math.min(end, vma.end), call.prot);
  }
  return 0;
}

/** mprotect_fixup(): split below start, then above end; then change_protection(). */
function protectVma(work: Work, vma: Vma, start: number, end: number, prot: Vma['prot']): void {
  const parts: Vma[] = [];
  let { nextVma } = work.vm;
  let middle = vma;
  if (start > vma.start) {
    splitHugePageAt(work, middle, start);
    zapNewVfioVma(work, middle, middle.start, start);
    parts.push({ ...sliceVma(middle, middle.start, start), id: nextVma++ });
    middle = sliceVma(middle, start, middle.end);
  }
  if (end < vma.end) {
    splitHugePageAt(work, middle, end);
    zapNewVfioVma(work, middle, end, middle.end);
    parts.push({ ...sliceVma(middle, end, middle.end), id: nextVma++ });
    middle = sliceVma(middle, middle.start, end);
  }
  parts.push({ ...middle, prot });
  emit(work, { type: 'vmas-changed', vm: work.id, start: vma.start, end: vma.end as Hva, vmas: parts, nextVma });
  notifyUnmap(work, start, end, 'protection-change');
}
