// One of the numbered test cases of the specification: what is given, what is done and what follows, in words, with
// the code that proves it. `source` is the kernel function, commit or measured rule behind it.

import type { VmaBacking } from '../../../src/host/vma.ts';
import type { TestMachine } from '../../helpers/host.ts';
import { BAR_HVA } from '../../helpers/host.ts';

export interface Case {
  readonly number: number;
  readonly given: string;
  readonly when: string;
  readonly follows: string;
  readonly source: string;
  /** Where real kernels departed from the specification, and which. */
  readonly measured?: string;
  readonly check: () => void;
}

/** Descriptors without their address, as dumps print them. */
export const NC_PAGE = '400000000007d7';
export const NC_BLOCK = '400000000007d5';
export const DEVICE_PAGE = '400000000007c7';
export const DEVICE_BLOCK = '400000000007c5';

/** Guest address of the BARs in the cases. */
export const BAR_IPA = 0x40_0000_0000;

export interface Assignment {
  readonly size: number;
  readonly ipa?: number;
  readonly hva?: number;
  readonly backing?: VmaBacking;
  readonly readonly?: boolean;
  readonly slot?: number;
}

/** mmap and memslot of a BAR, or of whatever `backing` is. @returns the errno of the memslot */
export function assign(m: TestMachine, assignment: Assignment, vm = m.vm): number {
  const { size, ipa = BAR_IPA, hva = BAR_HVA, backing = m.bar(), readonly = false, slot = 0 } = assignment;
  vm.mmap(hva, size, backing);
  return vm.slot(slot, { ipa, size, hva }, { readonly });
}
