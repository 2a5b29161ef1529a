import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ipa } from '../../src/arch/addresses.ts';
import { decodeFaultStatus } from '../../src/arch/fault-status.ts';
import { decodeHpfar, encodeHpfar, hpfarValid } from '../../src/arch/hpfar.ts';
import { property } from '../helpers/twice.ts';

describe('HPFAR_EL2', () => {
  it('given a fault at 0x10000abc, holds the 4K page of it, shifted right by 8', () => {
    const hpfar = encodeHpfar(ipa(0x1000_0abc), 'base');

    expect(hpfar).toBe(0x100000n);
    expect(decodeHpfar(hpfar, 'base')).toEqual({ ipa: 0x1000_0000, nonSecure: false });
  });

  it('holds 48 bits of address, 52 with FEAT_LPA', () => {
    expect(() => encodeHpfar(ipa(2 ** 48), 'base')).toThrow(/48 bits/);
    expect(encodeHpfar(ipa(2 ** 52 - 1), 'FEAT_LPA')).toBe(0xfff_ffff_fff0n);
    expect(decodeHpfar(0xfff_ffff_fff0n, 'base').ipa).toBe(2 ** 48 - 4096);
  });

  it('has NS in bit 63', () => {
    expect(encodeHpfar(ipa(0x1000), 'FEAT_D128', true)).toBe(0x8000_0000_0000_0010n);
    expect(decodeHpfar(0x8000_0000_0000_0010n, 'FEAT_D128')).toEqual({ ipa: 0x1000, nonSecure: true });
  });

  it('decoding gives the page that was encoded', () => {
    fc.assert(
      property(fc.integer({ min: 0, max: 2 ** 52 - 1 }), fc.boolean(), (address, nonSecure) => {
        const page = address - (address % 4096);
        const hpfar = encodeHpfar(ipa(address), 'FEAT_LPA', nonSecure);
        expect(decodeHpfar(hpfar, 'FEAT_LPA')).toEqual({ ipa: page, nonSecure });
      }),
      { seed: 8, numRuns: 200 },
    );
  });

  it.each([
    [0x07, false, true],
    [0x0b, false, true],
    [0x01, false, true],
    [0x0f, false, false],
    [0x0f, true, true],
    [0x21, false, false],
    [0x10, false, false],
    [0x15, true, false],
  ])('after fault status %i with S1PTW %s is valid: %s', (code, s1ptw, valid) => {
    expect(hpfarValid(decodeFaultStatus(code), s1ptw)).toBe(valid);
  });
});
