// Every MAIR byte: what it decodes to, what is reserved under which feature, and back.

import { describe, expect, it } from 'vitest';
import { decodeMair, decodeParAttr, encodeMair } from '../../src/arch/mair.ts';
import type { MemoryFeatures } from '../../src/arch/memory-type.ts';
import {
  DEVICE_nGnRE,
  DEVICE_nGnRnE,
  describeMemoryType,
  NORMAL_NC,
  NORMAL_WB,
  NORMAL_WT,
  normal,
} from '../../src/arch/memory-type.ts';
import { allTypes } from './all-types.ts';

const BYTES = Array.from({ length: 256 }, (_, byte) => byte);
const reserved = (features: MemoryFeatures) =>
  BYTES.filter((byte) => decodeMair(byte, features).encoding === 'reserved');

describe('a MAIR byte', () => {
  it.each([
    [0x00, DEVICE_nGnRnE],
    [0x04, DEVICE_nGnRE],
    [0x44, NORMAL_NC],
    [0xbb, NORMAL_WT],
    [0xff, NORMAL_WB],
  ])('%i is the type Linux writes it for', (byte, type) => {
    expect(decodeMair(byte)).toEqual({ encoding: 'allocated', type });
    expect(encodeMair(type)).toBe(byte);
  });

  it('has the outer cacheability in its high nibble and the inner in its low', () => {
    expect(decodeMair(0x3e)).toEqual({
      encoding: 'allocated',
      type: normal(
        { policy: 'WB', transient: false, readAllocate: true, writeAllocate: false },
        { policy: 'WT', transient: true, readAllocate: true, writeAllocate: true },
      ),
    });
  });

  it.each([{}, { mte2: true }, { xs: true }, { xs: true, mte2: true }])(
    'comes back from its type, with %j',
    (features) => {
      for (const byte of BYTES) {
        const decoded = decodeMair(byte, features);
        if (decoded.encoding === 'allocated') expect(encodeMair(decoded.type)).toBe(byte);
      }
    },
  );

  it.each([-1, 256, 0.5, Number.NaN])('%d is refused', (byte) => {
    expect(() => decodeMair(byte)).toThrow(/MAIR byte .* is not a whole number from 0 to 255/);
  });
});

describe('XS = 0', () => {
  it('has a byte for Device, Non-cacheable and Write-Through RA memory, and shows in no other', () => {
    const writeThroughRa = {
      policy: 'WT',
      transient: false,
      readAllocate: true,
      writeAllocate: false,
    } as const;
    expect(encodeMair({ ...DEVICE_nGnRE, xs: 0 })).toBe(0x05);
    expect(encodeMair({ ...NORMAL_NC, xs: 0 })).toBe(0x40);
    expect(encodeMair({ ...normal(writeThroughRa), xs: 0 })).toBe(0xa0);
    expect(encodeMair({ ...NORMAL_WT, xs: 0 })).toBe(0xbb);
    expect(encodeMair({ ...normal({ policy: 'NC' }, writeThroughRa), xs: 0 })).toBe(0xa4);
  });
});

describe('reserved MAIR bytes', () => {
  it('are 27, one fewer with FEAT_MTE2 and six fewer with FEAT_XS', () => {
    expect(reserved({})).toHaveLength(27);
    expect(reserved({ mte2: true })).toHaveLength(26);
    expect(reserved({ xs: true })).toHaveLength(21);
    expect(reserved({ xs: true, mte2: true })).toHaveLength(20);
    expect(reserved({}).filter((byte) => !reserved({ xs: true, mte2: true }).includes(byte))).toEqual([
      0x01, 0x05, 0x09, 0x0d, 0x40, 0xa0, 0xf0,
    ]);
  });

  it('are UNPREDICTABLE: they may act as any allocated byte', () => {
    const decoded = decodeMair(0x02);
    expect(decoded).toEqual({ encoding: 'reserved', outcomes: allTypes() });
    expect(allTypes()).toHaveLength(229);
  });
});

describe('PAR_EL1.ATTR', () => {
  it('has one value that no MAIR byte may have: Tagged memory without tag access', () => {
    const type = decodeParAttr(0xe0);
    expect(type && describeMemoryType(type)).toBe('Normal iWB-oWB RWA NoTagAccess');
    expect(type && encodeMair(type)).toBe(0xe0);
    expect(decodeMair(0xe0, { xs: true, mte2: true }).encoding).toBe('reserved');
  });

  it('reads as a MAIR byte otherwise', () => {
    expect(decodeParAttr(0x05)).toEqual({ ...DEVICE_nGnRE, xs: 0 });
    expect(decodeParAttr(0x44)).toEqual(NORMAL_NC);
    expect(decodeParAttr(0xf0)).toEqual({ ...NORMAL_WB, tagged: true });
    expect(decodeParAttr(0x02)).toBeUndefined();
  });
});

describe('a type that no byte can express', () => {
  it('is refused: transient without an allocation hint', () => {
    const half = { policy: 'WB', transient: true, readAllocate: false, writeAllocate: false } as const;
    expect(() => encodeMair(normal(half))).toThrow(/transient WB type needs a read or write allocation hint/);
  });
});
