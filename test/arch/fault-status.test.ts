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

  it.each([
    [0x02, 'Address size fault, level 2 (ESR_ELx_FSC_ADDRSZ)'],
    [0x06, 'Translation fault, level 2 (ESR_ELx_FSC_FAULT)'],
    [0x0a, 'Access flag fault, level 2 (ESR_ELx_FSC_ACCESS)'],
    [0x0e, 'Permission fault, level 2 (ESR_ELx_FSC_PERM)'],
    [0x10, 'Synchronous External abort (ESR_ELx_FSC_EXTABT)'],
    [0x11, 'Synchronous Tag Check Fault (ESR_ELx_FSC_MTE)'],
    [0x13, 'Synchronous External abort on translation table walk, level -1 (ESR_ELx_FSC_SEA_TTW)'],
    [0x18, 'Synchronous parity or ECC error (ESR_ELx_FSC_SECC)'],
    [0x1e, 'Synchronous parity or ECC error on translation table walk, level 2 (ESR_ELx_FSC_SECC_TTW)'],
    [0x21, 'Alignment fault'],
    [0x26, 'Granule Protection Fault on walk, level 2'],
    [0x28, 'Granule Protection Fault on the output address'],
    [0x30, 'TLB conflict abort'],
    [0x31, 'Unsupported atomic hardware update fault'],
    [0x34, 'IMPLEMENTATION DEFINED fault (Lockdown)'],
    [0x35, 'IMPLEMENTATION DEFINED fault (unsupported Exclusive or Atomic access) (ESR_ELx_FSC_EXCL_ATOMIC)'],
    [0x3f, 'reserved fault status code 0x3f'],
  ])('%i reads as in the Arm ARM and in asm/esr.h: %s', (code, words) => {
    expect(describeFaultStatus(decodeFaultStatus(code))).toBe(words);
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
    expect(() => encodeFaultStatus({ kind: 'page' } as unknown as FaultStatus)).toThrow(
      /no fault is called page/,
    );
  });
});
