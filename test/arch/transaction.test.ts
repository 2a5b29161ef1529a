import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Pa } from '../../src/arch/addresses.ts';
import { bytesOfValue, rangeAt, valueOfBytes } from '../../src/arch/transaction.ts';
import { property } from '../helpers/twice.ts';

describe('the bytes of a value', () => {
  it('stand lowest first, as a little-endian guest stores them', () => {
    expect(bytesOfValue(0x1122_3344n, 4)).toEqual([0x44, 0x33, 0x22, 0x11]);
    expect(valueOfBytes([0x44, 0x33, 0x22, 0x11])).toBe(0x1122_3344n);
  });

  it('are cut or filled to the size', () => {
    expect(bytesOfValue(0x1_0000_0002n, 4)).toEqual([2, 0, 0, 0]);
    expect(bytesOfValue(3n, 16)).toEqual([3, ...Array.from({ length: 15 }, () => 0)]);
    expect(valueOfBytes([])).toBe(0n);
  });

  it('give the value back, up to the 64 bytes of a line', () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 64 }).map((array) => [...array]);
    fc.assert(
      property(bytes, (some) => {
        expect(bytesOfValue(valueOfBytes(some), some.length)).toEqual(some);
        expect(valueOfBytes(some)).toBe(BigInt(`0x${Buffer.from(some.toReversed()).toString('hex')}`));
      }),
      { seed: 5, numRuns: 200 },
    );
  });
});

describe('the range at an address', () => {
  const ranges = [
    { start: 0x1000 as Pa, end: 0x2000 as Pa, name: 'a' },
    { start: 0x2000 as Pa, end: 0x2010 as Pa, name: 'b' },
    { start: 0x80_0000_0000 as Pa, end: 0x80_0100_0000 as Pa, name: 'c' },
  ];

  it.each([
    [0xfff, undefined],
    [0x1000, 'a'],
    [0x1fff, 'a'],
    [0x2000, 'b'],
    [0x2010, undefined],
    [0x80_00ff_ffff, 'c'],
    [0x80_0100_0000, undefined],
  ])('0x%x', (address, name) => {
    expect(rangeAt(ranges, address)?.name).toBe(name);
  });
});
