import { describe, expect, it } from 'vitest';
import { alignDown, alignUp, hva, ipa, pa, va } from '../../src/arch/addresses.ts';

const LAST = 2 ** 52 - 1;

describe('an address', () => {
  it.each([
    ['IPA', ipa],
    ['PA', pa],
    ['HVA', hva],
    ['VA', va],
  ] as const)('%s is a whole number of bytes from 0 to below 2^52', (name, make) => {
    expect(make(0)).toBe(0);
    expect(make(LAST)).toBe(LAST);
    for (const wrong of [-1, LAST + 1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => make(wrong)).toThrow(RangeError);
      expect(() => make(wrong)).toThrow(`${name} ${wrong} is not`);
    }
  });

  it('is aligned down and up beyond 32 bits, and stays where it is aligned already', () => {
    const at = 0x60_0012_3456;
    expect(alignDown(at, 0x20_0000)).toBe(0x60_0000_0000);
    expect(alignUp(at, 0x20_0000)).toBe(0x60_0020_0000);
    expect(alignDown(at, 0x1000)).toBe(0x60_0012_3000);
    expect(alignUp(at, 0x1000)).toBe(0x60_0012_4000);
    expect(alignDown(0x60_0000_0000, 0x1000)).toBe(0x60_0000_0000);
    expect(alignUp(0x60_0000_0000, 0x1000)).toBe(0x60_0000_0000);
  });
});
