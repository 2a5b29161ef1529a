// Virtual memory areas of a VMM process, as far as KVM looks at them in user_mem_abort: bounds, protection, what
// backs them and the flag VM_ALLOW_ANY_UNCACHED. A list of VMAs is sorted by start and never overlaps.

import type { Hva, Pa } from '../arch/addresses.ts';

export type Prot = 'none' | 'read' | 'read-write';

/** `thp`: MADV_NOHUGEPAGE, MADV_HUGEPAGE, or neither. */
export type VmaBacking =
  | { readonly kind: 'anon'; readonly thp: 'nohugepage' | 'hugepage' | 'default' }
  | { readonly kind: 'hugetlb'; readonly pageSize: number }
  | {
      readonly kind: 'pfnmap';
      /** Who maps: decides faults, zaps and huge mappings. */
      readonly driver: 'vfio-pci' | 'vfio-platform' | 'devmem' | 'sysfs';
      /** Name of the device, for zaps; null for /dev/mem. */
      readonly device: string | null;
      /** Physical address of the VMA's first byte. */
      readonly pa: Pa;
      /** VM_ALLOW_ANY_UNCACHED, VMA flag bit 39. */
      readonly allowAnyUncached: boolean;
      /** vm_page_prot is a cacheable type. */
      readonly cacheable: boolean;
      /** pfn_is_map_memory(): the pages are RAM that the kernel maps, such as /dev/mem over RAM or a shmem buffer. */
      readonly ram?: boolean;
      /** Offset in the device's file, orders the zaps of unmap_mapping_range; bytes. */
      readonly fileOffset: number;
    };

export interface Vma {
  readonly start: Hva;
  /** First byte behind. */
  readonly end: Hva;
  readonly prot: Prot;
  readonly backing: VmaBacking;
  /** Rises with every VMA that the process maps or splits off; orders vfio-pci's VMA list. */
  readonly id: number;
  /** The mmap call that made it: parts of one anonymous mapping merge again, neighbours by chance do not. */
  readonly origin: number;
  /** vfio-pci has mapped pages here: page tables stay when they are zapped. */
  readonly hasTables?: true;
}

/** find_vma() limited to a hit: the VMA that contains `address`. */
export function vmaAt(vmas: readonly Vma[], address: number): Vma | undefined {
  let low = 0;
  let high = vmas.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const vma = vmas[middle] as Vma;
    if (address < vma.start) high = middle - 1;
    else if (address >= vma.end) low = middle + 1;
    else return vma;
  }
  return undefined;
}

/** VMAs that overlap [start, end), in order. */
export function vmasIn(vmas: readonly Vma[], start: number, end: number): Vma[] {
  return vmas.filter((vma) => vma.start < end && vma.end > start);
}

/** The part of a VMA between two addresses inside it; a PFNMAP backing moves along. */
export function sliceVma(vma: Vma, start: number, end: number): Vma {
  const moved = start - vma.start;
  const { backing } = vma;
  const part =
    backing.kind === 'pfnmap'
      ? { ...backing, pa: (backing.pa + moved) as Pa, fileOffset: backing.fileOffset + moved }
      : backing;
  return { ...vma, start: start as Hva, end: end as Hva, backing: part };
}

/** The list with [start, end) replaced by `fresh`; VMAs that stick out keep their outer parts. */
export function replaceVmas(vmas: readonly Vma[], start: number, end: number, fresh: readonly Vma[]): Vma[] {
  const kept: Vma[] = [];
  for (const vma of vmas) {
    if (vma.end <= start || vma.start >= end) {
      kept.push(vma);
      continue;
    }
    if (vma.start < start) kept.push(sliceVma(vma, vma.start, start));
    if (vma.end > end) kept.push(sliceVma(vma, end, vma.end));
  }
  return [...kept, ...fresh].sort((a, b) => a.start - b.start);
}

/**
 * vma_merge(): neighbours of one anonymous mapping with the same protection are one VMA again. PFNMAP and hugetlb
 * VMAs never merge (VM_SPECIAL).
 */
export function mergeVmas(vmas: readonly Vma[]): Vma[] {
  const merged: Vma[] = [];
  for (const vma of vmas) {
    const last = merged.at(-1);
    if (last !== undefined && merges(last, vma)) merged[merged.length - 1] = { ...last, end: vma.end };
    else merged.push(vma);
  }
  return merged;
}

const merges = (a: Vma, b: Vma): boolean =>
  a.end === b.start &&
  a.origin === b.origin &&
  a.prot === b.prot &&
  a.backing.kind === 'anon' &&
  b.backing.kind === 'anon' &&
  a.backing.thp === b.backing.thp;
