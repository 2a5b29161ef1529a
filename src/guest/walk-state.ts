// What a vCPU remembers of a walk of the guest's stage 1 tables between two descriptors (DDI0487 D8.2).

import type { Access } from '../arch/access.ts';
import type { Ipa } from '../arch/addresses.ts';
import type { Level } from '../arch/geometry.ts';

/** How far the walk of stage 1 has come. */
export interface Walk {
  /** The access of the program that waits for its translation. */
  readonly of: Access;
  readonly level: Level;
  /** Address of the entry that is being read or updated. */
  readonly at: Ipa;
  /** Restrictions of the tables above: APTable[1] and PXNTable. */
  readonly readOnly: boolean;
  readonly pxn: boolean;
  /** The leaf as hardware writes it back; null while descriptors are read. */
  readonly leaf: bigint | null;
}
