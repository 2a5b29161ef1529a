// The names of memory types, as tables and logs print them.

import { describe, expect, it } from 'vitest';
import { decodeMair } from '../../src/arch/mair.ts';
import {
  CACHE_POLICIES,
  DEVICE_GRE,
  DEVICE_nGnRE,
  DEVICE_nGnRnE,
  DEVICE_nGRE,
  DEVICE_TYPES,
  describeMemoryType,
  isNonCacheable,
  isWriteBack,
  isWriteBackRwa,
  lowerPolicy,
  NON_CACHEABLE,
  NORMAL_NC,
  NORMAL_WB,
  NORMAL_WT,
  normal,
  stricterDevice,
  WRITE_BACK_RWA,
  xsOf,
} from '../../src/arch/memory-type.ts';
import { allTypes } from './all-types.ts';

const ALL = { xs: true, mte2: true };

function describeByte(byte: number): string {
  const decoded = decodeMair(byte, ALL);
  return decoded.encoding === 'allocated' ? describeMemoryType(decoded.type) : 'reserved';
}

describe('the spelling of a memory type', () => {
  it('is the manual’s for the types that Linux uses', () => {
    expect(describeMemoryType(DEVICE_nGnRnE)).toBe('Device-nGnRnE');
    expect(describeMemoryType(DEVICE_nGnRE)).toBe('Device-nGnRE');
    expect(describeMemoryType(DEVICE_nGRE)).toBe('Device-nGRE');
    expect(describeMemoryType(DEVICE_GRE)).toBe('Device-GRE');
    expect(describeMemoryType(NORMAL_NC)).toBe('Normal Non-cacheable');
    expect(describeMemoryType(NORMAL_WT)).toBe('Normal iWT-oWT RWA');
    expect(describeMemoryType(NORMAL_WB)).toBe('Normal iWB-oWB RWA');
  });

  it.each([
    [0x4f, 'Normal iWB-oNC RWA'],
    [0xe4, 'Normal iNC-oWB RA'],
    [0xdd, 'Normal iWB-oWB WA'],
    [0xcc, 'Normal iWB-oWB'],
    [0x77, 'Normal iWB-oWB RWA transient'],
    [0xae, 'Normal iWB-oWT RA'],
    [0xbe, 'Normal iWB RA, oWT RWA'],
    [0xbc, 'Normal iWB no-allocate, oWT RWA'],
    [0xf0, 'Normal iWB-oWB RWA Tagged'],
    [0x05, 'Device-nGnRE XS=0'],
    [0x40, 'Normal Non-cacheable XS=0'],
    [0xa0, 'Normal iWT-oWT RA XS=0'],
  ])('writes hints once where both halves agree or only one has any: MAIR byte %i', (byte, text) => {
    expect(describeByte(byte)).toBe(text);
  });

  it('says where stage 2 forbids tag accesses to Tagged memory', () => {
    const memory = { ...NORMAL_WB, tagged: true, noTagAccess: true } as const;
    expect(describeMemoryType(memory)).toBe('Normal iWB-oWB RWA NoTagAccess');
  });

  it('is different for every allocated byte and fits a table cell', () => {
    const names = allTypes(ALL).map(describeMemoryType);
    expect(new Set(names).size).toBe(names.length);
    expect(Math.max(...names.map((name) => name.length))).toBeLessThanOrEqual(44);
  });
});

describe('the strictness of two types that meet', () => {
  it('among Device types is nGnRnE, nGnRE, nGRE, GRE (R_TNHFM)', () => {
    expect(DEVICE_TYPES).toEqual(['nGnRnE', 'nGnRE', 'nGRE', 'GRE']);
    expect(stricterDevice('nGRE', 'nGnRE')).toBe('nGnRE');
    expect(stricterDevice('nGnRnE', 'GRE')).toBe('nGnRnE');
    expect(stricterDevice('GRE', 'GRE')).toBe('GRE');
  });

  it('among policies is NC, WT, WB (R_GQFSF)', () => {
    expect(CACHE_POLICIES).toEqual(['NC', 'WT', 'WB']);
    expect(lowerPolicy('WB', 'WT')).toBe('WT');
    expect(lowerPolicy('NC', 'WB')).toBe('NC');
    expect(lowerPolicy('WB', 'WB')).toBe('WB');
  });
});

describe('a Normal type', () => {
  const mixed = normal(NON_CACHEABLE, WRITE_BACK_RWA);

  it('has one cacheability for both domains unless two are given, and is Untagged', () => {
    const half = { policy: 'WB', transient: false, readAllocate: true, writeAllocate: true };
    expect(NORMAL_WB).toEqual({ type: 'Normal', inner: half, outer: half, tagged: false });
    expect(mixed).toEqual({ type: 'Normal', inner: { policy: 'NC' }, outer: half, tagged: false });
  });

  it('is Non-cacheable or Write-Back in both domains or not at all; Device is neither', () => {
    const types = [NORMAL_NC, NORMAL_WT, NORMAL_WB, mixed, normal(WRITE_BACK_RWA, NON_CACHEABLE), DEVICE_GRE];
    expect(types.map(isNonCacheable)).toEqual([true, false, false, false, false, false]);
    expect(types.map(isWriteBack)).toEqual([false, false, true, false, false, false]);
  });

  it('lets exclusives and Allocation Tags count on Write-Back RWA non-transient alone', () => {
    expect(isWriteBackRwa(WRITE_BACK_RWA)).toBe(true);
    expect(isWriteBackRwa(NON_CACHEABLE)).toBe(false);
    for (const missing of [
      { policy: 'WT' },
      { transient: true },
      { readAllocate: false },
      { writeAllocate: false },
    ] as const) {
      expect(isWriteBackRwa({ ...WRITE_BACK_RWA, ...missing })).toBe(false);
    }
  });
});

describe('XS', () => {
  it('is 0 for iWB-oWB without being said, and 1 for all else unless encoded', () => {
    expect(xsOf(NORMAL_WB)).toBe(0);
    expect([NORMAL_WT, NORMAL_NC, DEVICE_GRE].map(xsOf)).toEqual([1, 1, 1]);
    expect(xsOf({ ...DEVICE_GRE, xs: 0 })).toBe(0);
  });
});
