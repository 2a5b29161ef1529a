import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BusRequest, Tlp } from '../../src/devices/tlp.ts';
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

describe('the rules of the Base Specification', () => {
  const limit = fc.constantFrom(128, 256, 512, 1024, 2048, 4096);
  const request = fc.record({
    kind: fc.constantFrom('read' as const, 'write' as const),
    // Around 4 KiB boundaries, and on both sides of 4 GiB.
    address: fc
      .tuple(fc.constantFrom(0, 2 ** 32 - 8192, 2 ** 40), fc.nat(16384))
      .map(([base, offset]) => base + offset),
    size: fc.oneof(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 9000 })),
  });
  const bit = (enables: number, index: number): boolean => ((enables >> index) & 1) === 1;

  /** The addresses that a packet's byte enables mean. */
  const meant = ({ address, length, firstBe, lastBe }: Tlp): number[] =>
    Array.from({ length: length * 4 }, (_, at) => at).flatMap((at) => {
      const doubleword = Math.floor(at / 4);
      const enables = doubleword === 0 ? firstBe : doubleword === length - 1 ? lastBe : 0b1111;
      return bit(enables, at % 4) ? [address + at] : [];
    });

  const holds = (
    rule: (packets: readonly Tlp[], asked: BusRequest, limits: readonly [number, number]) => void,
  ) =>
    fc.assert(
      fc.property(request, limit, limit, (asked, maxPayload, maxReadRequest) => {
        rule(tlpsOf(asked, { maxPayload, maxReadRequest }), asked, [maxPayload, maxReadRequest]);
      }),
      { seed: 21, numRuns: 100 },
    );

  it('2.2.5: the enables of all packets mean each byte once, in order, and no other', () => {
    holds((packets, { address, size }) =>
      expect(packets.flatMap(meant)).toEqual(Array.from({ length: size }, (_, at) => address + at)),
    );
  });

  it('2.2.5: Last DW BE is 0 for one doubleword, else neither field is 0', () => {
    holds((packets) => {
      for (const { length, firstBe, lastBe } of packets) {
        expect(firstBe).not.toBe(0);
        expect(lastBe === 0).toBe(length === 1);
      }
    });
  });

  it('2.2.5: enables of several doublewords are contiguous across their borders', () => {
    holds((packets) => {
      for (const { length, firstBe, lastBe } of packets) {
        if (length === 1) continue;
        expect([0b1111, 0b1110, 0b1100, 0b1000]).toContain(firstBe);
        expect([0b1111, 0b0111, 0b0011, 0b0001]).toContain(lastBe);
      }
    });
  });

  it('2.2.7: no request crosses a 4 KiB boundary; length is 1 to 1024 doublewords', () => {
    holds((packets) => {
      for (const { address, length } of packets) {
        expect(length).toBeGreaterThanOrEqual(1);
        expect((address % 4096) + length * 4).toBeLessThanOrEqual(4096);
      }
    });
  });

  it('2.2.7: writes keep to Max_Payload_Size, reads to Max_Read_Request_Size', () => {
    holds((packets, { kind }, [maxPayload, maxReadRequest]) => {
      const most = kind === 'write' ? maxPayload : maxReadRequest;
      expect(packets.every(({ length }) => length * 4 <= most)).toBe(true);
    });
  });

  it('2.2.4.1: addresses below 4 GiB go by the short header, and only they', () => {
    holds((packets) => {
      for (const { address, header } of packets) expect(header).toBe(address < 2 ** 32 ? 3 : 4);
    });
  });
});
