import { describe, expect, it } from 'vitest';
import type { FaultStatus } from '../../src/arch/fault-status.ts';
import {
  decodeFaultStatus,
  describeFaultStatus,
  encodeFaultStatus,
  linuxFaultName,
} from '../../src/arch/fault-status.ts';

describe('fault status codes', () => {
  it('given 0x07, name a translation fault of level 3', () => {
    const status = decodeFaultStatus(0x07);

    expect(status).toEqual({ kind: 'translation', level: 3 });
    expect(describeFaultStatus(status)).toBe('Translation fault, level 3 (ESR_ELx_FSC_FAULT)');
  });

  it.each<[number, FaultStatus]>([
    [0x00, { kind: 'address-size', level: 0 }],
    [0x03, { kind: 'address-size', level: 3 }],
    [0x29, { kind: 'address-size', level: -1 }],
    [0x2c, { kind: 'address-size', level: -2 }],
    [0x04, { kind: 'translation', level: 0 }],
    [0x2b, { kind: 'translation', level: -1 }],
    [0x2a, { kind: 'translation', level: -2 }],
    [0x0b, { kind: 'access-flag', level: 3 }],
    [0x0e, { kind: 'permission', level: 2 }],
    [0x10, { kind: 'sync-external' }],
    [0x11, { kind: 'tag-check' }],
    [0x16, { kind: 'sync-external-on-walk', level: 2 }],
    [0x13, { kind: 'sync-external-on-walk', level: -1 }],
    [0x12, { kind: 'sync-external-on-walk', level: -2 }],
    [0x18, { kind: 'parity' }],
    [0x1f, { kind: 'parity-on-walk', level: 3 }],
    [0x1b, { kind: 'parity-on-walk', level: -1 }],
    [0x21, { kind: 'alignment' }],
    [0x24, { kind: 'granule-protection-on-walk', level: 0 }],
    [0x23, { kind: 'granule-protection-on-walk', level: -1 }],
    [0x22, { kind: 'granule-protection-on-walk', level: -2 }],
    [0x28, { kind: 'granule-protection' }],
    [0x30, { kind: 'tlb-conflict' }],
    [0x31, { kind: 'unsupported-atomic-update' }],
    [0x34, { kind: 'lockdown' }],
    [0x35, { kind: 'unsupported-exclusive-or-atomic' }],
    [0x3f, { kind: 'reserved', code: 0x3f }],
  ])('0x%s is %j', (code, status) => {
    expect(decodeFaultStatus(code)).toEqual(status);
    expect(encodeFaultStatus(status)).toBe(code);
  });

  it('all 64 codes survive decoding and encoding, each described in its own words', () => {
    const codes = Array.from({ length: 64 }, (_, code) => code);

    expect(codes.map((code) => encodeFaultStatus(decodeFaultStatus(code)))).toEqual(codes);
    expect(new Set(codes.map((code) => describeFaultStatus(decodeFaultStatus(code)))).size).toBe(64);
  });

  it('carry the names of Linux where it has them', () => {
    expect(linuxFaultName({ kind: 'permission', level: 3 })).toBe('ESR_ELx_FSC_PERM');
    expect(linuxFaultName({ kind: 'alignment' })).toBeUndefined();
    expect(linuxFaultName({ kind: 'reserved', code: 1 })).toBeUndefined();
  });

  it('refuses a level that the fault cannot report, and a code of 7 bits', () => {
    expect(() => encodeFaultStatus({ kind: 'permission', level: -1 })).toThrow(/permission .* level -1/);
    expect(() => encodeFaultStatus({ kind: 'parity-on-walk', level: -2 })).toThrow(RangeError);
    expect(() => decodeFaultStatus(64)).toThrow(RangeError);
  });
});
