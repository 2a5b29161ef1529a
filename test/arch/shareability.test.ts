// The SH field and the types that override it.

import { describe, expect, it } from 'vitest';
import { DEVICE_GRE, NON_CACHEABLE, NORMAL_NC, NORMAL_WB, normal } from '../../src/arch/memory-type.ts';
import {
  combineShareability,
  decodeShareability,
  encodeShareability,
  isAlwaysOuterShareable,
} from '../../src/arch/shareability.ts';

describe('the SH field', () => {
  it('means one domain, but for the reserved 0b01, which may mean any', () => {
    expect([0b00, 0b10, 0b11].map(decodeShareability)).toEqual([['NSH'], ['OSH'], ['ISH']]);
    expect([...decodeShareability(0b01)].sort()).toEqual(['ISH', 'NSH', 'OSH']);
  });

  it('comes back from its domain', () => {
    for (const sh of [0b00, 0b10, 0b11]) expect(encodeShareability(decodeShareability(sh)[0])).toBe(sh);
  });

  it('of more than two bits is refused', () => {
    expect(() => decodeShareability(4)).toThrow('SH field 4 is not a whole number from 0 to 3');
  });
});

describe('combined shareability', () => {
  it('is Outer if either stage is, else Inner if either is', () => {
    const outer = { shareability: 'OSH', because: 'outer-shareable-at-either-stage' };
    const inner = { shareability: 'ISH', because: 'inner-shareable-at-either-stage' };
    for (const other of ['NSH', 'ISH', 'OSH'] as const) {
      expect(combineShareability(other, 'OSH')).toEqual(outer);
      expect(combineShareability('OSH', other)).toEqual(outer);
    }
    expect(combineShareability('ISH', 'NSH')).toEqual(inner);
    expect(combineShareability('NSH', 'ISH')).toEqual(inner);
    expect(combineShareability('ISH', 'ISH')).toEqual(inner);
    const neither = { shareability: 'NSH', because: 'non-shareable-at-both-stages' };
    expect(combineShareability('NSH', 'NSH')).toEqual(neither);
  });

  it('is Outer whatever the fields for Device and iNC-oNC, not for one Non-cacheable half', () => {
    const half = NORMAL_WB.outer;
    const types = [DEVICE_GRE, NORMAL_NC, normal(NON_CACHEABLE, half), NORMAL_WB];
    expect(types.map(isAlwaysOuterShareable)).toEqual([true, true, false, false]);
  });
});
