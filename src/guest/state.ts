// What a vCPU remembers between events: one flat slice each.

import type { Access } from '../arch/access.ts';
import type { Ipa } from '../arch/addresses.ts';
import type { Level } from '../arch/geometry.ts';
import type { Translation } from './events.ts';
import type { Stage1Regime } from './stage1-regime.ts';
import type { StoreBuffer } from './store-buffer.ts';

export type { Stage1Regime };

/** An access that waits for a device. */
export interface Waiting {
  readonly translation: Translation;
  /** Answers so far, one for each of its transactions; null for a write. */
  readonly answers: readonly (bigint | null)[];
}

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

export interface VcpuState {
  /** Number of the VM's slice. */
  vm: number;
  /** Number of the vCPU in its VM. */
  index: number;
  stage1: Stage1Regime;
  /** The access under way; null between accesses. */
  pending: Access | null;
  /** Stage-2 faults that the pending access took. */
  attempts: number;
  /** Null while no table of the guest is walked. */
  walk: Walk | null;
  /** Local exclusive monitor (DDI0487 B2.12). */
  monitor: boolean;
  /** Null while the pending access waits for no device. */
  waiting: Waiting | null;
  storeBuffer: StoreBuffer;
}
