// What splitting a VMA does to the pages around the cut: a huge page cannot straddle two VMAs (vma_adjust_trans_huge),
// and vfio-pci of older kernels zaps the VMA that the split creates (vfio_pci_mmap_open).

import type { Hva } from '../../arch/addresses.ts';
import { levelSize } from '../../arch/geometry.ts';
import { PMD } from '../mm-fault.ts';
import { notifyUnmap } from '../notifier.ts';
import type { Vma } from '../vma.ts';
import type { Work } from '../work.ts';
import { emit, hostPages } from '../work.ts';

/**
 * split_huge_pmd_address() at a cut that is not PMD-aligned: its notifier covers the whole PMD window whether or not
 * a huge page is there, if the window lies in the VMA. Measured rules 3, 18 and 34; hugetlb is never split.
 */
export function splitHugePageAt(work: Work, vma: Vma, cut: number): void {
  const size = levelSize(work.vm.geometry.granule, PMD);
  const window = cut - (cut % size);
  if (window === cut || vma.backing.kind === 'hugetlb') return;
  if (window < vma.start || window + size > vma.end) return;
  notifyUnmap(work, window, window + size, 'vma-split');
  splitHugeEntry(work, window);
}

/** hugetlb_vm_op_split(): a hugetlb mapping is cut at its pages only. */
export function cutsHugetlb(vma: Vma, start: number, end: number): boolean {
  if (vma.backing.kind !== 'hugetlb') return false;
  const { pageSize } = vma.backing;
  return [Math.max(start, vma.start), Math.min(end, vma.end)].some((cut) => cut % pageSize !== 0);
}

/** A huge page becomes pages at the same place; a huge zero page becomes zero pages. */
export function splitHugeEntry(work: Work, window: number): void {
  const { level, leaf } = hostPages(work).memory.walk(window);
  if (level !== PMD || leaf === undefined) return;
  const { granule } = work.vm.geometry;
  const count = levelSize(granule, PMD) / granule;
  emit(work, {
    type: 'host-pages-set',
    vm: work.id,
    hva: window as Hva,
    level: 3,
    count,
    pte: leaf,
    allocated: 0,
  });
}

/** vfio_pci_mmap_open(): zap_vma_ptes() of the whole new VMA [start, end). Measured rules 24 and 35. */
export function zapNewVfioVma(work: Work, vma: Vma, start: number, end: number): void {
  if (vma.backing.kind !== 'pfnmap' || vma.backing.driver !== 'vfio-pci') return;
  if (work.host.features.vfioVmaList) notifyUnmap(work, start, end, 'vfio-vma-split');
}

/**
 * vma_complete(): what a split leaves of a VMA goes into its file's interval tree again, behind others of the same
 * offset; zaps find it there. vfio-pci's own list keeps the VMA that was split.
 */
export const reinserted = (work: Work, parts: readonly Vma[]): Vma[] =>
  parts.map((vma, index) => (work.host.features.vfioVmaList ? vma : { ...vma, id: work.vm.nextVma + index }));
