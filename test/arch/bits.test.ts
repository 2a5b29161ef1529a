import { describe, expect, it } from 'vitest';
import { field, flag } from '../../src/arch/bits.ts';

describe('a register field', () => {
  it('of one bit is its weight where it is set, beyond bit 31 too', () => {
    expect([flag(true, 0), flag(true, 33), flag(false, 33), flag(undefined, 0)]).toEqual([1, 2 ** 33, 0, 0]);
  });

  it('of several bits takes every value that fits and refuses the others by name', () => {
    expect([field('SH', 0, 2), field('SH', 3, 2)]).toEqual([0, 3]);
    for (const wrong of [-1, 4, 1.5]) {
      expect(() => field('SH', wrong, 2)).toThrow(RangeError);
      expect(() => field('SH', wrong, 2)).toThrow(`SH ${wrong} does not fit into 2 bits`);
    }
  });
});
