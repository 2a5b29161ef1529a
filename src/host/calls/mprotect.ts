// mprotect: a VMA whose protection changes is split at the ends of the range, then its pages change protection with
// one notifier. A VMA that has the protection already is left alone (measured rule 33).

import type { Hva } from '../../arch/addresses.ts';
import { levelSize } from '../../arch/geometry.ts';
import type { VmmCall } from '../calls.ts';
import { PMD } from '../mm-fault.ts';
import { notifyUnmap } from '../notifier.ts';
import type { Vma } from '../vma.ts';
import { sliceVma, vmasIn } from '../vma.ts';
import type { Work } from '../work.ts';
import { emit, hostPages } from '../work.ts';
import { cutsHugetlb, reinserted, splitHugePageAt, zapNewVfioVma } from './split.ts';

const ENOMEM = 12;
const EINVAL = 22;

export function mprotect(work: Work, call: VmmCall & { kind: 'mprotect' }): number {
  const end = call.hva + call.size;
  let start: number = call.hva;
  for (const vma of vmasIn(work.vm.vmas, start, end)) {
    if (vma.start > start) return ENOMEM;
    const to = Math.min(end, vma.end);
    if (vma.prot !== call.prot) {
      if (cutsHugetlb(vma, start, to)) return EINVAL;
      protectVma(work, vma, start, to, call.prot);
    }
    start = to;
  }
  return start < end ? ENOMEM : 0;
}

/** mprotect_fixup(): split below start, then above end; then change_protection(). */
function protectVma(work: Work, vma: Vma, start: number, end: number, prot: Vma['prot']): void {
  const parts: Vma[] = [];
  let { nextVma } = work.vm;
  let middle = vma;
  if (start > vma.start) {
    zapNewVfioVma(work, middle, middle.start, start);
    splitHugePageAt(work, middle, start);
    parts.push({ ...sliceVma(middle, middle.start, start), id: nextVma++ });
    middle = sliceVma(middle, start, middle.end);
  }
  if (end < vma.end) {
    zapNewVfioVma(work, middle, end, middle.end);
    splitHugePageAt(work, middle, end);
    parts.push({ ...sliceVma(middle, end, middle.end), id: nextVma++ });
    middle = sliceVma(middle, middle.start, end);
  }
  parts.push({ ...middle, prot });
  const vmas = parts.length > 1 ? reinserted(work, parts) : parts;
  nextVma = Math.max(nextVma, ...vmas.map(({ id }) => id + 1));
  emit(work, { type: 'vmas-changed', vm: work.id, start: vma.start, end: vma.end as Hva, vmas, nextVma });
  const from = firstPopulated(work, vma, start, end);
  if (from < end) notifyUnmap(work, from, end, 'protection-change');
  loseWrite(work, vma, start, end);
}

/**
 * vm_page_prot of a private mapping is read-only: an entry that is not made writable again waits for a write fault,
 * and KVM maps what it finds. hugetlb_change_protection(), and change_huge_pmd() of older kernels.
 */
function loseWrite(work: Work, vma: Vma, start: number, end: number): void {
  const { kind } = vma.backing;
  if (kind === 'pfnmap' || (kind === 'anon' && work.host.features.mprotectUpgradesHugePages)) return;
  for (const { address, level, leaf } of [...hostPages(work).memory.leaves(start, end)]) {
    if (leaf.kind !== 'page' || !leaf.writable || (kind === 'anon' && level > PMD)) continue;
    const hva = address as Hva;
    const pte = { ...leaf, writable: false };
    emit(work, { type: 'host-pages-set', vm: work.id, hva, level, count: 1, pte, allocated: 0 });
  }
}

/**
 * change_pmd_range() begins its notifier at the first populated PMD; where change_pud_range() does it, the whole range
 * is notified (a PUD spans at least 1 GiB). vfio-pci of those kernels populates a VMA whole, by its first fault;
 * hugetlb has a notifier of its own.
 */
function firstPopulated(work: Work, vma: Vma, start: number, end: number): number {
  const { backing } = vma;
  if (!work.host.features.mprotectNotifiesPmds || backing.kind === 'hugetlb') return start;
  if (backing.kind === 'pfnmap') {
    const isPopulated = backing.driver !== 'vfio-pci' || vma.hasTables === true;
    return isPopulated ? start : end;
  }
  const size = levelSize(work.vm.geometry.granule, PMD);
  for (let address = start; address < end; address += size - (address % size)) {
    const { level, leaf } = hostPages(work).memory.walk(address);
    if (level > PMD || leaf !== undefined) return address;
  }
  return end;
}
