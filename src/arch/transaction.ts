// What leaves a processor towards a device or memory: one read or write of contiguous bytes, as the memory type let
// it become (DDI0487 B2.10). Gathered stores are one write, a split pair is several.

import type { Pa } from './addresses.ts';
import type { MemoryType } from './memory-type.ts';

export interface Transaction {
  readonly kind: 'read' | 'write';
  readonly pa: Pa;
  /** Bytes, at least 1. */
  readonly size: number;
  /** Bytes written, in ascending address order; null where the values are not known, and for reads. */
  readonly bytes: readonly number[] | null;
  /** The combined memory type by which it was made. */
  readonly memoryType: MemoryType;
  /** Stores of the program that went into it; 1 but for gathered writes. */
  readonly stores: number;
  /** Access that waits for the answer; null for a write that was acknowledged early. */
  readonly access: number | null;
}
