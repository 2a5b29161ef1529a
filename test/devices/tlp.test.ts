import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tlpsOf } from '../../src/devices/tlp.ts';
import { property } from '../helpers/twice.ts';

const BAR = 0x1000_0000;
const write = (offset: number, size: number) => ({ kind: 'write', address: BAR + offset, size }) as const;

describe('a gathered write of 64 bytes', () => {
  it('is one posted packet of 16 doublewords, all bytes enabled', () => {
    expect(tlpsOf(write(0, 64))).toEqual([
      {
        type: 'MWr',
        posted: true,
        address: BAR,
        length: 16,
        firstBe: 0b1111,
        lastBe: 0b1111,
        header: 3,
        bytes: 64,
      },
    ]);
  });
});

describe('byte enables (2.2.5)', () => {
  it.each([
    ['a byte at offset 1', 1, 1, 1, 0b0010, 0],
    ['two bytes inside a doubleword', 1, 2, 1, 0b0110, 0],
    ['a doubleword', 4, 4, 1, 0b1111, 0],
    ['an unaligned 8-byte store', 0x104, 8, 2, 0b1111, 0b1111],
    ['8 bytes from offset 3', 3, 8, 3, 0b1000, 0b0111],
    ['5 bytes from offset 0', 0, 5, 2, 0b1111, 0b0001],
  ])('of %s', (_what, offset, size, length, firstBe, lastBe) => {
    expect(tlpsOf(write(offset, size))).toMatchObject([{ length, firstBe, lastBe, bytes: size }]);
  });
});

describe('a read', () => {
  it('is non-posted: a completion answers it', () => {
    expect(tlpsOf({ kind: 'read', address: BAR, size: 4 })).toMatchObject([{ type: 'MRd', posted: false }]);
  });

  it('may be as long as Max_Read_Request_Size, which is not the payload', () => {
    expect(tlpsOf({ kind: 'read', address: BAR, size: 512 })).toHaveLength(1);
    expect(tlpsOf(write(0, 512))).toHaveLength(4);
  });
});

describe('an address', () => {
  it('below 4 GiB has a header of three doublewords, above of four (2.2.4.1)', () => {
    expect(tlpsOf({ kind: 'write', address: 2 ** 32 - 4, size: 4 })).toMatchObject([{ header: 3 }]);
    expect(tlpsOf({ kind: 'write', address: 2 ** 39, size: 4 })).toMatchObject([{ header: 4 }]);
  });
});

describe('limits', () => {
  it.each([0, 64, 100, 8192])('of %i bytes do not exist', (maxPayload) => {
    expect(() => tlpsOf(write(0, 4), { maxPayload })).toThrow(/PCI Express has 128/);
  });

  it('refuse a transaction without bytes', () => {
    expect(() => tlpsOf(write(0, 0))).toThrow(/at least 1/);
  });

  it('hold for every transaction, which keeps its bytes', () => {
    const limit = fc.constantFrom(128, 256, 512, 1024, 2048, 4096);
    const request = fc.record({
      kind: fc.constantFrom('read' as const, 'write' as const),
      address: fc.nat(2 ** 30),
      size: fc.integer({ min: 1, max: 9000 }),
    });
    fc.assert(
      property(request, limit, (it, max) => {
        const packets = tlpsOf(it, { maxPayload: max, maxReadRequest: max });
        let at = it.address;
        for (const { address, length, firstBe, lastBe, bytes } of packets) {
          expect(address % 4).toBe(0);
          expect(address + Math.clz32(firstBe & -firstBe) * -1 + 31).toBe(at);
          expect(length * 4).toBeLessThanOrEqual(max);
          expect(Math.floor(address / 4096)).toBe(Math.floor((address + length * 4 - 1) / 4096));
          expect(lastBe === 0).toBe(length === 1);
          at += bytes;
        }
        expect(at).toBe(it.address + it.size);
      }),
      { seed: 20, numRuns: 300 },
    );
  });
});
