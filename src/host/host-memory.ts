// The user page table of a VMM process: what the host has behind each page of anonymous memory. Same structure and
// granule as any VMSAv8-64 table, hence a TranslationTable; a PTE table that was emptied by a zap stays (the kernel
// frees it at munmap only), which decides whether the next fault may take a huge page.

import type { Pa } from '../arch/addresses.ts';
import type { Granule, Level } from '../arch/geometry.ts';
import { TranslationTable } from '../arch/translation-table.ts';

export type HostPte =
  /** A page, or at the PMD level a huge page. */
  | { readonly kind: 'page'; readonly pa: Pa; readonly writable: boolean; readonly young: boolean }
  /** The shared zero page, or at the PMD level the huge zero page. */
  | { readonly kind: 'zero' }
  | { readonly kind: 'swapped' }
  /** Taken away by memory_failure(): whoever touches it gets SIGBUS. */
  | { readonly kind: 'poisoned' }
  /** pte_none() in a PTE table that exists. */
  | { readonly kind: 'none' };

export type HostMemory = TranslationTable<HostPte>;

export const emptyHostMemory = (granule: Granule): HostMemory =>
  TranslationTable.empty<HostPte>({ granule, startLevel: granule === 65536 ? 1 : 0, inputBits: 48 });

/** `count` neighbouring entries of one level; the physical addresses of pages ascend from the first. */
export function setHostPages(
  memory: HostMemory,
  first: number,
  level: Level,
  count: number,
  pte: HostPte,
  size: number,
): HostMemory {
  let next = memory;
  for (let index = 0; index < count; index++) {
    const entry = pte.kind === 'page' ? { ...pte, pa: (pte.pa + index * size) as Pa } : pte;
    next = next.withLeaf(first + index * size, level, entry);
  }
  return next;
}
