// Shareability: the SH field of stage 1 and stage 2, how the two combine, and what is Outer Shareable
// whatever the field says (DDI0487 R_DNZJQ, R_YHCTP, R_PYFVQ; DecodeShareability, S2CombineS1Shareability).

import type { MemoryType, NonEmpty } from './memory-type.ts';
import { isNonCacheable } from './memory-type.ts';

export type Shareability = 'NSH' | 'OSH' | 'ISH';

/** Which rule decided a combined shareability. */
export type ShareabilityRule =
  | 'device-and-non-cacheable-are-outer-shareable'
  | 'outer-shareable-at-either-stage'
  | 'inner-shareable-at-either-stage'
  | 'non-shareable-at-both-stages';

const BY_FIELD: readonly NonEmpty<Shareability>[] = [['NSH'], ['OSH', 'ISH', 'NSH'], ['OSH'], ['ISH']];
const FIELD: Readonly<Record<Shareability, number>> = { NSH: 0b00, OSH: 0b10, ISH: 0b11 };

/**
 * What an SH field (0 to 3) means: one value, or for the reserved 0b01 the three that are permitted
 * (CONSTRAINED UNPREDICTABLE), the widest first, because a wider domain never breaks what a narrower one
 * promised.
 * @throws RangeError outside 0 to 3
 */
export function decodeShareability(sh: number): NonEmpty<Shareability> {
  const outcomes = BY_FIELD[sh];
  if (outcomes === undefined) throw new RangeError(`SH field ${sh} is not a whole number from 0 to 3`);
  return outcomes;
}

/** The SH field of a descriptor or of PAR_EL1: 0b00 NSH, 0b10 OSH, 0b11 ISH. */
export function encodeShareability(shareability: Shareability): number {
  return FIELD[shareability];
}

/** Device and iNC-oNC are Outer Shareable whatever their SH field says (R_PYFVQ, EffectiveShareability). */
export function isAlwaysOuterShareable(memory: MemoryType): boolean {
  return memory.type === 'Device' || isNonCacheable(memory);
}

/**
 * OSH if either stage is OSH, else ISH if either is, else NSH (S2CombineS1Shareability). FWB has no part in
 * it.
 */
export function combineShareability(
  stage1: Shareability,
  stage2: Shareability,
): { readonly shareability: Shareability; readonly because: ShareabilityRule } {
  if (stage1 === 'OSH' || stage2 === 'OSH') {
    return { shareability: 'OSH', because: 'outer-shareable-at-either-stage' };
  }
  if (stage1 === 'ISH' || stage2 === 'ISH') {
    return { shareability: 'ISH', because: 'inner-shareable-at-either-stage' };
  }
  return { shareability: 'NSH', because: 'non-shareable-at-both-stages' };
}
