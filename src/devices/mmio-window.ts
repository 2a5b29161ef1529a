// Where accesses of a guest leave to the VMM, and which region of which device they are then.

import type { Ipa } from '../arch/addresses.ts';

/** Where a VM sees a region of an emulated device. */
export interface MmioWindow {
  readonly vm: number;
  readonly region: number;
  readonly gpa: Ipa;
  /** Bytes. */
  readonly size: number;
}
