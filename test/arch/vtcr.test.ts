import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Granule, Level } from '../../src/arch/geometry.ts';
import { stage2Geometry } from '../../src/arch/geometry.ts';
import type { PaBits, Vtcr } from '../../src/arch/vtcr.ts';
import { decodeVtcr, encodeVtcr, kvmVtcr } from '../../src/arch/vtcr.ts';
import { property } from '../helpers/twice.ts';

describe('VTCR_EL2 of a VM', () => {
  it('given a 40-bit VM on a cortex-a76, has the value that KVM was measured to write', () => {
    const geometry = stage2Geometry({ granule: 4096, ipaBits: 40, lpa2: false });

    const vtcr = kvmVtcr(geometry, { paRangeBits: 40, vmidBits: 16 });

    expect(encodeVtcr(vtcr)).toBe(0x802a3558);
  });

  it.each<[string, Granule, number, boolean, PaBits, 8 | 16, number]>([
    ['6.1 max', 4096, 40, false, 48, 16, 0x802d3558],
    ['6.1 cortex-a72', 4096, 40, false, 44, 8, 0x80243558],
    ['6.12 max, LPA2', 4096, 40, true, 52, 16, 0x1802e3558],
    ['6.12 max, LPA2 in the processor but not in use', 4096, 40, false, 52, 16, 0x802d3558],
    ['6.12 max, IPA 44 bits', 4096, 44, false, 48, 16, 0x802d3594],
    ['6.12 max, LPA2, IPA 48 bits', 4096, 48, true, 52, 16, 0x1802e3590],
    ['6.12 max, LPA2, IPA 52 bits', 4096, 52, true, 52, 16, 0x1802e358c],
    ['6.12-16K max', 16384, 40, true, 52, 16, 0x1802eb558],
    ['6.12-16K cortex-a76', 16384, 40, false, 40, 16, 0x802ab558],
  ])('measured: %s', (_, granule, ipaBits, lpa2, paRangeBits, vmidBits, value) => {
    const vtcr = kvmVtcr(stage2Geometry({ granule, ipaBits, lpa2 }), { paRangeBits, vmidBits });

    expect(encodeVtcr(vtcr).toString(16)).toBe(value.toString(16));
    expect(decodeVtcr(value)).toEqual(vtcr);
  });

  it('given erratum AC03_CPU_38, leaves the access flag to software', () => {
    const geometry = stage2Geometry({ granule: 4096, ipaBits: 40, lpa2: false });

    const vtcr = kvmVtcr(geometry, { paRangeBits: 48, vmidBits: 16, erratumAc03Cpu38: true });

    expect(encodeVtcr(vtcr)).toBe(0x800d3558);
  });

  it('given 64K pages, takes all 52 bits of the host for PS without LPA2', () => {
    const geometry = stage2Geometry({ granule: 65536, ipaBits: 48, lpa2: false });

    expect(kvmVtcr(geometry, { paRangeBits: 52, vmidBits: 16 })).toMatchObject({ paBits: 52, ds: false });
  });
});

describe('fields', () => {
  const startLevels: Readonly<Record<Granule, readonly Level[]>> = {
    4096: [-1, 0, 1, 2, 3],
    16384: [0, 1, 2, 3],
    65536: [1, 2, 3],
  };
  const twoBits = fc.constantFrom<(0 | 1 | 2 | 3)[]>(0, 1, 2, 3);
  const vtcrs = fc.constantFrom<Granule[]>(4096, 16384, 65536).chain((granule) =>
    fc.record<Vtcr>({
      ipaBits: fc.integer({ min: 1, max: 64 }),
      granule: fc.constant(granule),
      startLevel: fc.constantFrom(...startLevels[granule]),
      irgn0: twoBits,
      orgn0: twoBits,
      sh0: twoBits,
      paBits: fc.constantFrom<PaBits[]>(32, 36, 40, 42, 44, 48, 52, 56),
      vmidBits: fc.constantFrom<(8 | 16)[]>(8, 16),
      ha: fc.boolean(),
      hd: fc.boolean(),
      hwu: fc.integer({ min: 0, max: 15 }),
      nsw: fc.boolean(),
      nsa: fc.boolean(),
      ds: fc.boolean(),
    }),
  );

  it('decoding gives what was encoded', () => {
    fc.assert(
      property(vtcrs, (vtcr) => {
        expect(decodeVtcr(encodeVtcr(vtcr))).toEqual(vtcr);
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  it.each([
    ['reserved TG0', 0x8000c000, /TG0 is 0b11/],
    ['SL0 = 0b11 with 64K', 0x800040c0, /no start level of the 64K granule/],
    ['SL2 with SL0 = 0b01', 0x280000040, /no start level of the 4K granule/],
    ['SL2 with the 16K granule, which has no level -1', 0x280008000, /no start level of the 16K granule/],
    ['a bit above SL2', 2 ** 34, /bits above SL2/],
    ['a number below zero', -1, /no register value/],
    ['no whole number', 1.5, /no register value/],
  ])('refuses %s', (_, value, words) => {
    expect(() => decodeVtcr(value)).toThrow(words);
  });

  it('refuses to encode a level the granule cannot start at', () => {
    const geometry = stage2Geometry({ granule: 65536, ipaBits: 48, lpa2: false });
    const vtcr = kvmVtcr(geometry, { paRangeBits: 48, vmidBits: 8 });

    expect(() => encodeVtcr({ ...vtcr, startLevel: 0 })).toThrow(/level 0/);
    expect(() => encodeVtcr({ ...vtcr, granule: 16384, startLevel: -1 })).toThrow(/level -1/);
  });

  it.each([
    [{}, 0x80000000],
    [{ hwu: 0b0001 }, 0x82000000],
    [{ hwu: 0b1000 }, 0x90000000],
    [{ nsw: true }, 0xa0000000],
    [{ nsa: true }, 0xc0000000],
    [{ ds: true }, 0x180000000],
    [{ startLevel: -1 }, 0x280000000],
  ] as const)('%j alone is 0x%x: the other bits stay, bit 31 is RES1', (fields, value) => {
    const zero = decodeVtcr(0);

    expect(zero).toMatchObject({ ipaBits: 64, granule: 4096, startLevel: 2, paBits: 32, vmidBits: 8 });
    expect(encodeVtcr({ ...zero, ...fields })).toBe(value);
  });
});
