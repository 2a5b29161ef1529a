// PAR_EL1 as AT S12E1R leaves it, both ways.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pa } from '../../src/arch/addresses.ts';
import type { Par } from '../../src/arch/par.ts';
import { decodePar, encodePar } from '../../src/arch/par.ts';
import { property } from '../helpers/twice.ts';

const RUN = { seed: 4_6, numRuns: 1_000 };
const bits = (width: number) => fc.integer({ min: 0, max: 2 ** width - 1 });

const anySuccess: fc.Arbitrary<Par> = fc.record({
  fault: fc.constant(false as const),
  attr: bits(8),
  pa: fc.nat({ max: 2 ** 31 - 1 }).map((page) => pa(page * 2 ** 9 * 4096)),
  sh: bits(2),
  ns: fc.boolean(),
  implementationDefined: fc.boolean(),
  nse: fc.boolean(),
});

const anyFault: fc.Arbitrary<Par> = fc.record({
  fault: fc.constant(true as const),
  fst: bits(6),
  ptw: fc.boolean(),
  stage: fc.constantFrom(1 as const, 2 as const),
  assuredOnly: fc.boolean(),
  topLevel: fc.boolean(),
  overlay: fc.boolean(),
  dirtyBit: fc.boolean(),
  implementationDefined: bits(16),
});

describe('PAR_EL1', () => {
  it('of a translation shows ATTR, PA and SH', () => {
    const par: Par = {
      fault: false,
      attr: 0xff,
      pa: pa(0x8_4020_3000),
      sh: 0b11,
      ns: true,
      implementationDefined: false,
      nse: true,
    };
    expect(encodePar(par)).toBe(0xff00_0008_4020_3b80n);
    expect(decodePar(0xff00_0008_4020_3b80n)).toEqual(par);
  });

  it('of a stage 2 translation fault at level 2 on a stage 1 walk shows S, PTW and FST', () => {
    const par = decodePar(0xb0dn);
    expect(par).toMatchObject({ fault: true, fst: 0b000110, ptw: true, stage: 2 });
    expect(encodePar(par)).toBe(0xb0dn);
  });

  it('comes back from its fields', () => {
    fc.assert(
      property(fc.oneof(anySuccess, anyFault), (par) => {
        expect(decodePar(encodePar(par))).toEqual(par);
      }),
      RUN,
    );
  });

  it('comes back from its value, but for RES0 and RES1 bits', () => {
    const res0 = (0xfn << 52n) | (0x3fn << 1n);
    const faultRes0 = (0xffff_ffffn << 16n) | (1n << 10n) | (1n << 7n);
    fc.assert(
      property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const expected = value & 1n ? (value & ~faultRes0) | (1n << 11n) : value & ~res0;
        expect(encodePar(decodePar(value))).toBe(expected);
      }),
      RUN,
    );
  });

  it('holds a PA of 52 bits', () => {
    const par = decodePar((2n ** 52n - 4096n) | (1n << 11n));
    expect(par).toMatchObject({ fault: false, pa: 2 ** 52 - 4096 });
  });

  it('refuses fields that do not fit', () => {
    const good = decodePar(0xff00_0000_4000_0b80n);
    const fault = decodePar(0x80dn);
    if (good.fault || !fault.fault) throw new Error('the values above are one of each');
    expect(() => encodePar({ ...good, pa: pa(0x800) })).toThrow('PAR_EL1.PA 2048 is not a multiple of 4096');
    expect(() => encodePar({ ...good, attr: 256 })).toThrow('PAR_EL1.ATTR 256');
    expect(() => encodePar({ ...good, sh: 4 })).toThrow('PAR_EL1.SH 4');
    expect(() => encodePar({ ...good, sh: -1 })).toThrow('PAR_EL1.SH -1');
    expect(() => encodePar({ ...good, attr: 1.5 })).toThrow('PAR_EL1.ATTR 1.5');
    expect(() => encodePar({ ...fault, fst: 64 })).toThrow('PAR_EL1.FST 64');
    expect(() => encodePar({ ...fault, implementationDefined: 2 ** 16 })).toThrow(
      'IMPLEMENTATION DEFINED 65536',
    );
    expect(() => decodePar(2n ** 64n)).toThrow('does not fit 64 bits');
    expect(() => decodePar(-1n)).toThrow('does not fit 64 bits');
  });
});
