import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pa } from '../../src/arch/addresses.ts';
import type { LeafAttributes, Stage2Leaf } from '../../src/arch/descriptor.ts';
import { decodeDescriptor, encodeLeaf, encodeTable } from '../../src/arch/descriptor.ts';
import type { Granule, Level, Stage2Geometry } from '../../src/arch/geometry.ts';
import { blockLevels, levelSize, stage2Geometry } from '../../src/arch/geometry.ts';
import { property } from '../helpers/twice.ts';

const fourK = stage2Geometry({ granule: 4096, ipaBits: 40, lpa2: false });
const lpa2 = stage2Geometry({ granule: 4096, ipaBits: 40, lpa2: true });
const wide64K = stage2Geometry({ granule: 65536, ipaBits: 52, lpa2: false });

// What KVM writes for a device: read-write, execute never, Inner Shareable, access flag set.
const DEVICE: LeafAttributes = {
  memAttr: 0b0001,
  read: true,
  write: true,
  xn: 0b10,
  sh: 3,
  af: true,
  fnXS: false,
  nT: false,
  dbm: false,
  contiguous: false,
  software: 0,
};
const NORMAL_NC: LeafAttributes = { ...DEVICE, memAttr: 0b0101 };
const RAM: LeafAttributes = { ...DEVICE, memAttr: 0b1111, xn: 0 };
const RAM_FWB: LeafAttributes = { ...RAM, memAttr: 0b0110 };
const RAM_READ_ONLY: LeafAttributes = { ...DEVICE, memAttr: 0b1111, write: false };

const leafAt = (address: number, attributes: LeafAttributes): Stage2Leaf => ({
  outputAddress: pa(address),
  attributes,
});

describe('a leaf descriptor', () => {
  it('given a 2M block of a Normal-NC BAR, is what a 6.12 host was measured to write', () => {
    const leaf = leafAt(0x8041000000, NORMAL_NC);

    const descriptor = encodeLeaf(fourK, 2, leaf);

    expect(descriptor).toBe(0x00400080410007d5n);
    expect(decodeDescriptor(fourK, 2, descriptor)).toEqual({ kind: 'leaf', leaf });
  });

  it.each<[string, Stage2Geometry, Level, number, LeafAttributes, bigint]>([
    ['Normal-NC page', fourK, 3, 0, NORMAL_NC, 0x00400000000007d7n],
    ['Device page', fourK, 3, 0, DEVICE, 0x00400000000007c7n],
    ['Device block', fourK, 2, 0, DEVICE, 0x00400000000007c5n],
    ['RAM page, no FWB', fourK, 3, 0, RAM, 0x7ffn],
    ['RAM block, no FWB', fourK, 1, 0, RAM, 0x7fdn],
    ['RAM page, FWB', fourK, 3, 0, RAM_FWB, 0x7dbn],
    ['RAM block, FWB', fourK, 2, 0, RAM_FWB, 0x7d9n],
    ['read-only RAM page', fourK, 3, 0, RAM_READ_ONLY, 0x004000000000077fn],
    ['read-only RAM block', fourK, 2, 0, RAM_READ_ONLY, 0x004000000000077dn],
    ['LPA2, Device page', lpa2, 3, 0xa000000, DEVICE, 0x004000000a0004c7n],
    ['LPA2, Normal-NC page', lpa2, 3, 0x11145000, NORMAL_NC, 0x00400000111454d7n],
    ['LPA2, RAM page', lpa2, 3, 0x425a6000, RAM_FWB, 0x00000000425a64dbn],
    ['LPA2, RAM block, XN', lpa2, 2, 0x46400000, { ...RAM_FWB, xn: 2 }, 0x00400000464004d9n],
    ['LPA2, OA[51:50]', lpa2, 3, 0xf_2345_6789_a000, DEVICE, 0x00432345_6789a7c7n],
    ['64K, OA[51:48]', wide64K, 3, 0xf_2345_6789_0000, DEVICE, 0x00402345_6789f7c7n],
    ['aged page', fourK, 3, 0x1000, { ...RAM, af: false }, 0x13ffn],
    [
      'upper attributes',
      fourK,
      3,
      0,
      { ...RAM, xn: 1, dbm: true, contiguous: true, software: 9 },
      0x04b80000000007ffn,
    ],
    ['nT block with FnXS', fourK, 2, 0x200000, { ...RAM, nT: true, fnXS: true }, 0x210ffdn],
  ])('%s', (_, geometry, level, address, attributes, descriptor) => {
    const leaf = leafAt(address, attributes);

    expect(encodeLeaf(geometry, level, leaf).toString(16)).toBe(descriptor.toString(16));
    expect(decodeDescriptor(geometry, level, descriptor)).toEqual({ kind: 'leaf', leaf });
  });

  it('with LPA2 has no SH field: whatever the leaf says, VTCR_EL2.SH0 rules', () => {
    const outer = encodeLeaf(lpa2, 3, leafAt(0x1000, { ...RAM, sh: 2 }));

    expect(outer).toBe(encodeLeaf(lpa2, 3, leafAt(0x1000, RAM)));
    expect(decodeDescriptor(lpa2, 3, outer)).toEqual({ kind: 'leaf', leaf: leafAt(0x1000, RAM) });
  });

  it('keeps every field, in every granule, at every level where a leaf may stand', () => {
    fc.assert(
      property(anyLeaf, ({ geometry, level, leaf }) => {
        const descriptor = encodeLeaf(geometry, level, leaf);
        expect(decodeDescriptor(geometry, level, descriptor)).toEqual({ kind: 'leaf', leaf });
      }),
      { seed: 2, numRuns: 500 },
    );
  });

  it.each<[string, () => bigint]>([
    ['a block at level 0 of 4K without LPA2', () => encodeLeaf(fourK, 0, leafAt(0, RAM))],
    ['a leaf above the start level', () => encodeLeaf(lpa2, 0, leafAt(0, RAM))],
    ['a misaligned output address', () => encodeLeaf(fourK, 2, leafAt(0x1000, RAM))],
    ['an output address of 49 bits', () => encodeLeaf(fourK, 3, leafAt(2 ** 48, RAM))],
    ['a MemAttr of 5 bits', () => encodeLeaf(fourK, 3, leafAt(0, { ...RAM, memAttr: 16 }))],
    ['nT in a page', () => encodeLeaf(fourK, 3, leafAt(0, { ...RAM, nT: true }))],
    ['a misaligned table', () => encodeTable(fourK, pa(0x800))],
  ])('refuses %s', (_, encode) => {
    expect(encode).toThrow(RangeError);
  });
});

describe('what else may stand in an entry', () => {
  it('an even descriptor is invalid, whatever the rest says (a locked or counted entry of KVM)', () => {
    expect(decodeDescriptor(fourK, 3, 0n)).toEqual({ kind: 'invalid' });
    expect(decodeDescriptor(fourK, 2, 0x400n)).toEqual({ kind: 'invalid' });
  });

  it('bits[1:0] = 0b01 are reserved at level 3 and where no block may stand', () => {
    expect(decodeDescriptor(fourK, 3, 0x7fdn)).toEqual({ kind: 'reserved' });
    expect(decodeDescriptor(fourK, 0, 0x7fdn)).toEqual({ kind: 'reserved' });
    expect(decodeDescriptor(stage2Geometry({ granule: 16384, ipaBits: 48, lpa2: false }), 1, 1n)).toEqual({
      kind: 'reserved',
    });
  });

  it.each<[string, Stage2Geometry, number, bigint]>([
    ['4K', fourK, 0x4258_b000, 0x4258b003n],
    ['LPA2', lpa2, 0xc_0000_4258_b000, 0x4258b303n],
    ['64K with 52 bits', wide64K, 0xa_0000_4258_0000, 0x4258a003n],
  ])('a table descriptor, %s', (_, geometry, next, descriptor) => {
    expect(encodeTable(geometry, pa(next))).toBe(descriptor);
    expect(decodeDescriptor(geometry, 2, descriptor)).toEqual({ kind: 'table', next });
  });

  it('refuses what is no unsigned 64-bit number', () => {
    expect(() => decodeDescriptor(fourK, 3, -1n)).toThrow(RangeError);
    expect(() => decodeDescriptor(fourK, 3, 1n << 64n)).toThrow(RangeError);
  });
});

const geometries = fc
  .constantFrom<[Granule, number, boolean][]>(
    [4096, 48, false],
    [4096, 52, true],
    [16384, 48, false],
    [16384, 52, true],
    [65536, 52, false],
  )
  .map(([granule, ipaBits, withLpa2]) => stage2Geometry({ granule, ipaBits, lpa2: withLpa2 }));

const anyLeaf = geometries.chain((geometry) =>
  fc.constantFrom(...blockLevels(geometry)).chain((level) => {
    const size = levelSize(geometry.granule, level);
    const addressBits = geometry.lpa2 || geometry.granule === 65536 ? 52 : 48;
    return fc.record({
      geometry: fc.constant(geometry),
      level: fc.constant(level),
      leaf: fc.record({
        outputAddress: fc
          .integer({ min: 0, max: 2 ** addressBits / size - 1 })
          .map((page) => pa(page * size)),
        attributes: fc.record<LeafAttributes>({
          memAttr: fc.integer({ min: 0, max: 15 }),
          read: fc.boolean(),
          write: fc.boolean(),
          xn: fc.constantFrom<(0 | 1 | 2 | 3)[]>(0, 1, 2, 3),
          sh: geometry.lpa2 ? fc.constant(3) : fc.constantFrom<(0 | 1 | 2 | 3)[]>(0, 1, 2, 3),
          af: fc.boolean(),
          fnXS: fc.boolean(),
          nT: level === 3 ? fc.constant(false) : fc.boolean(),
          dbm: fc.boolean(),
          contiguous: fc.boolean(),
          software: fc.integer({ min: 0, max: 15 }),
        }),
      }),
    });
  }),
);
