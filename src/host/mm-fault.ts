// handle_mm_fault() as far as stage 2 shows it: what the host puts behind a page when the VMM or KVM touches it,
// and which notifiers that sends. Zero pages, huge pages, copy on write, swap-in, hugetlb and VFIO's fault handler.

import type { Hva, Pa } from '../arch/addresses.ts';
import { alignUp } from '../arch/addresses.ts';
import type { Granule, Level } from '../arch/geometry.ts';
import { levelSize } from '../arch/geometry.ts';
import type { Because } from './because.ts';
import type { HostPte } from './host-memory.ts';
import { leafAttributes } from './leaf.ts';
import { slotRangesOfHva } from './memslot.ts';
import { notifyUnmap } from './notifier.ts';
import type { Vma } from './vma.ts';
import { vmaAt } from './vma.ts';
import type { Work } from './work.ts';
import { emit, hostPages } from './work.ts';

/** Level at which the host maps huge pages: its PMD. */
export const PMD: Level = 2;
const PUD: Level = 1;
const PTE: Level = 3;

export type MmFault =
  | { readonly kind: 'page'; readonly pa: Pa; readonly level: Level; readonly writable: boolean }
  /** VM_FAULT_SIGBUS or SIGSEGV: get_user_pages and fixup_user_fault return an error. */
  | { readonly kind: 'error'; readonly because: Because };

/** VM_FAULT_HWPOISON. */
const POISONED: MmFault = { kind: 'error', because: 'hwpoison' };

/**
 * Makes the page at `address` present, for a write if `write`, and says what the host page table then holds.
 * The events, notifiers included, are those that the host's fault handler causes.
 */
export function faultIn(work: Work, vma: Vma, address: number, write: boolean): MmFault {
  if (vma.prot === 'none' || (write && vma.prot === 'read'))
    return { kind: 'error', because: 'vma-protection' };
  switch (vma.backing.kind) {
    case 'pfnmap':
      return faultInPfn(work, vma, address);
    case 'hugetlb':
      return faultInHugetlb(work, vma, vma.backing.pageSize, address, write);
    case 'anon':
      return faultInAnon(work, vma, address, write);
  }
}

/** kvm_gmem_get_pfn(): the file's page for the slot's address, allocated by the first fault. */
export function faultInGmem(work: Work, address: number): MmFault {
  const { granule } = work.vm.geometry;
  const page = address - (address % granule);
  const { leaf } = hostPages(work).memory.walk(page);
  if (leaf?.kind === 'poisoned') return POISONED;
  if (leaf?.kind !== 'page') set(work, page, PTE, 1, newPage(work, granule));
  return { kind: 'page', pa: pageOf(work, page), level: PTE, writable: true };
}

/** Loads or stores of the VMM itself: every page of the range, or one touch each `stride` bytes. */
export function touch(work: Work, start: number, end: number, write: boolean, stride: number | null): void {
  const { granule } = work.vm.geometry;
  let address = start;
  while (address < end) {
    const vma = vmaAt(work.vm.vmas, address);
    if (vma === undefined) return;
    if (stride !== null && stride > granule) {
      faultIn(work, vma, address, write);
      address += stride;
    } else {
      const run = write ? absentRun(work, vma, address, end) : 0;
      const first = address - (address % granule);
      if (run > 1) set(work, first, PTE, run, newPage(work, granule));
      address = run > 1 ? first + run * granule : touchOne(work, vma, address, write);
    }
  }
}

/** Returns the end of what the touch made present. */
function touchOne(work: Work, vma: Vma, address: number, write: boolean): number {
  const fault = faultIn(work, vma, address, write);
  const size =
    fault.kind === 'page' ? levelSize(work.vm.geometry.granule, fault.level) : work.vm.geometry.granule;
  return address - (address % size) + size;
}

/** Pages from `address` on that a write populates one by one, so that one event can say it of all. */
function absentRun(work: Work, vma: Vma, address: number, end: number): number {
  const { granule } = work.vm.geometry;
  if (vma.backing.kind !== 'anon' || vma.prot !== 'read-write') return 0;
  let run = 0;
  for (let page = address - (address % granule); page < Math.min(end, vma.end); page += granule) {
    const { level, leaf } = hostPages(work).memory.walk(page);
    const absent = leaf === undefined || leaf.kind === 'none';
    if (!absent || (level <= PMD && takesHugePage(work, vma, page))) break;
    run += 1;
  }
  return run;
}

function faultInPfn(work: Work, vma: Vma, address: number): MmFault {
  const { backing } = vma;
  if (backing.kind !== 'pfnmap') return { kind: 'error', because: 'no-vma' };
  const ofVfio = backing.driver === 'vfio-pci';
  if (ofVfio && backing.device !== null && work.host.memoryDisabled.includes(backing.device)) {
    return { kind: 'error', because: 'device-memory-disabled' };
  }
  if (ofVfio && backing.device !== null && work.host.inD3hot.includes(backing.device)) {
    return { kind: 'error', because: 'device-in-d3hot' };
  }
  if (ofVfio && !work.vm.vfioVmas.includes(vma.id)) {
    emit(work, { type: 'vfio-vma-listed', vm: work.id, vma: vma.id });
  }
  const level = hostMapsBlock(work, vma, address) ? PMD : PTE;
  const pa = (backing.pa + address - vma.start) as Pa;
  return { kind: 'page', pa, level, writable: vma.prot === 'read-write' };
}

/**
 * vfio_pci_mmap_huge_fault(): a PMD where hva and physical address are congruent and the window lies in the VMA.
 * Measured on 6.12.117; kernels without it map pages.
 */
function hostMapsBlock(work: Work, vma: Vma, address: number): boolean {
  if (vma.backing.kind !== 'pfnmap' || vma.backing.driver !== 'vfio-pci') return false;
  if (!work.host.features.vfioHugeFault) return false;
  const size = levelSize(work.vm.geometry.granule, PMD);
  const window = address - (address % size);
  const congruent = vma.start % size === vma.backing.pa % size;
  return congruent && window >= vma.start && window + size <= vma.end;
}

/** Entries of the largest level that fill a hugetlb page: of its PUD, of its PMD, or contiguous PTEs. */
function hugetlbLevel(granule: Granule, pageSize: number): Level {
  const levels: readonly Level[] = [PUD, PMD];
  return levels.find((level) => pageSize >= levelSize(granule, level)) ?? PTE;
}

/** A hugetlb page is allocated by the first touch; a read leaves the host entry read-only (measured). */
function faultInHugetlb(work: Work, vma: Vma, pageSize: number, address: number, write: boolean): MmFault {
  const { granule } = work.vm.geometry;
  const level = hugetlbLevel(granule, pageSize);
  const start = address - (address % pageSize);
  const found = hostPages(work).memory.walk(address).leaf;
  if (found?.kind === 'poisoned') return POISONED;
  const present = found?.kind === 'page';
  if (!present || (write && !found.writable)) {
    const pa = present ? pageOf(work, start) : allocate(work, pageSize);
    set(work, start, level, pageSize / levelSize(granule, level), {
      kind: 'page',
      pa,
      writable: write,
      young: true,
    });
  }
  return presentPage(work, vma, address);
}

function faultInAnon(work: Work, vma: Vma, address: number, write: boolean): MmFault {
  const { granule } = work.vm.geometry;
  const { level, leaf } = hostPages(work).memory.walk(address);
  if (leaf === undefined || leaf.kind === 'none') return populate(work, vma, address, level, write);
  if (leaf.kind === 'poisoned') return POISONED;
  const page = address - (address % granule);
  if (leaf.kind === 'swapped') {
    const writable = write || work.host.features.swapInWritable;
    set(work, page, PTE, 1, { ...newPage(work, granule), writable });
  } else if (leaf.kind === 'zero' && write) {
    copyZeroPage(work, address, level);
  } else if (leaf.kind === 'page' && write && !leaf.writable) {
    const size = levelSize(granule, level);
    set(work, address - (address % size), level, 1, { ...leaf, writable: true });
  } else {
    return present(work, vma, address, level, leaf);
  }
  return presentPage(work, vma, address);
}

/** do_huge_pmd_anonymous_page() or do_anonymous_page() where nothing was, down to `level`. */
function populate(work: Work, vma: Vma, address: number, level: Level, write: boolean): MmFault {
  const huge = level <= PMD && takesHugePage(work, vma, address);
  const at = huge ? PMD : PTE;
  const size = levelSize(work.vm.geometry.granule, at);
  const pte: HostPte = write ? newPage(work, size) : { kind: 'zero' };
  set(work, address - (address % size), at, 1, pte);
  return present(work, vma, address, at, pte);
}

/** thp_vma_allowable_order() and do_huge_pmd_anonymous_page(): an empty PMD whose window lies in the VMA. */
function takesHugePage(work: Work, vma: Vma, address: number): boolean {
  if (vma.backing.kind !== 'anon' || vma.backing.thp === 'nohugepage' || work.host.thp === 'never')
    return false;
  if (work.host.thp === 'madvise' && vma.backing.thp !== 'hugepage') return false;
  const size = levelSize(work.vm.geometry.granule, PMD);
  const window = address - (address % size);
  return window >= vma.start && window + size <= vma.end;
}

/**
 * The first write to a zero page: the huge zero page is split into zero pages first, then the page is copied.
 * Each sends its notifier; with change_pte KVM then maps the copy read-only.
 */
function copyZeroPage(work: Work, address: number, level: Level): void {
  const { granule } = work.vm.geometry;
  if (level === PMD) {
    const size = levelSize(granule, PMD);
    const window = address - (address % size);
    notifyUnmap(work, window, window + size, 'huge-page-split');
    set(work, window, PTE, size / granule, { kind: 'zero' });
  }
  const page = address - (address % granule);
  notifyUnmap(work, page, page + granule, 'copy-on-write');
  const copy = newPage(work, granule);
  set(work, page, PTE, 1, copy);
  if (work.host.features.setSpteNotifier) changePte(work, page, copy.pa);
}

/** kvm_set_spte_gfn(): a read-only leaf, never executable; fails with -ENOMEM where a table is missing. */
function changePte(work: Work, page: number, pa: Pa): void {
  const attributes = leafAttributes(work.host.cpu.fwb, { write: false, exec: false, type: 'normal' });
  for (const range of slotRangesOfHva(work.vm.slots, page, page + work.vm.geometry.granule)) {
    if (work.vm.table.walk(range.ipa).level < PTE) continue;
    const because = 'change-pte-maps-read-only';
    emit(work, { type: 'stage2-set', vm: work.id, ipa: range.ipa, level: PTE, pa, attributes, because });
  }
}

/** What the host page table now holds at `address`. */
function presentPage(work: Work, vma: Vma, address: number): MmFault {
  const { level, leaf } = hostPages(work).memory.walk(address);
  return present(work, vma, address, level, leaf);
}

function present(work: Work, vma: Vma, address: number, level: Level, pte: HostPte | undefined): MmFault {
  const { granule } = work.vm.geometry;
  if (pte?.kind === 'page') {
    const writable = pte.writable && vma.prot === 'read-write';
    return { kind: 'page', pa: (pte.pa + (address % levelSize(granule, level))) as Pa, level, writable };
  }
  const offset = level === PMD ? address % levelSize(granule, PMD) : 0;
  return { kind: 'page', pa: (zeroPage(level) + offset) as Pa, level, writable: false };
}

/** The shared zero page and the huge zero page, one each for the whole host. */
const zeroPage = (level: Level): number => (level === PMD ? 2 ** 40 - 2 ** 29 : 2 ** 40 - 2 ** 28);

function newPage(work: Work, size: number): HostPte & { kind: 'page' } {
  return { kind: 'page', pa: allocate(work, size), writable: true, young: true };
}

const allocate = (work: Work, size: number): Pa => alignUp(hostPages(work).nextPage, size);

function pageOf(work: Work, address: number): Pa {
  const { leaf } = hostPages(work).memory.walk(address);
  return (leaf?.kind === 'page' ? leaf.pa : 0) as Pa;
}

function set(work: Work, address: number, level: Level, count: number, pte: HostPte): void {
  const end = pte.kind === 'page' ? pte.pa + count * levelSize(work.vm.geometry.granule, level) : 0;
  const allocated = Math.max(0, end - hostPages(work).nextPage);
  emit(work, { type: 'host-pages-set', vm: work.id, hva: address as Hva, level, count, pte, allocated });
}
