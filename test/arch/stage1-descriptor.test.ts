import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ipa } from '../../src/arch/addresses.ts';
import type { Granule, Level } from '../../src/arch/geometry.ts';
import { levelSize } from '../../src/arch/geometry.ts';
import type { Stage1Leaf } from '../../src/arch/stage1-descriptor.ts';
import {
  decodeStage1,
  encodeStage1Leaf,
  encodeStage1Table,
  isStage1LeafLevel,
  stage1EntryAddress,
  stage1StartLevel,
  updatedStage1,
} from '../../src/arch/stage1-descriptor.ts';

const GRANULES: readonly Granule[] = [4096, 16384, 65536];
const LEVELS: readonly Level[] = [0, 1, 2, 3];

const KERNEL_DATA: Stage1Leaf = {
  output: ipa(0x4000_0000),
  attrIndx: 0,
  el0: false,
  readOnly: false,
  sh: 3,
  af: true,
  dbm: false,
  pxn: true,
  uxn: true,
};

describe('a stage 1 descriptor', () => {
  it('of a kernel data page is 0x60000040000703 (PAGE_KERNEL without DBM)', () => {
    expect(encodeStage1Leaf(4096, 3, KERNEL_DATA)).toBe(0x60_0000_4000_0703n);
  });

  it('comes back from its 64 bits, at every level where one may stand', () => {
    const leaf = fc.record({
      page: fc.nat(2 ** 20),
      attrIndx: fc.nat(7),
      sh: fc.nat(3),
      flags: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
    });
    fc.assert(
      fc.property(fc.constantFrom(...GRANULES), fc.constantFrom(...LEVELS), leaf, (granule, level, some) => {
        if (!isStage1LeafLevel(granule, level)) return;
        const output = ipa((some.page * levelSize(granule, level)) % 2 ** 47);
        const [el0, readOnly, af, dbm, pxn, uxn] = some.flags.map(Boolean) as [
          boolean,
          boolean,
          boolean,
          boolean,
          boolean,
          boolean,
        ];
        const want = { output, attrIndx: some.attrIndx, sh: some.sh, el0, readOnly, af, dbm, pxn, uxn };
        const found = decodeStage1(granule, level, encodeStage1Leaf(granule, level, want));
        expect(found).toEqual({ kind: 'leaf', leaf: want });
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it('with 0b01 where no block may stand, or at level 3, is invalid', () => {
    expect(decodeStage1(4096, 0, 0x4000_0001n)).toEqual({ kind: 'invalid' });
    expect(decodeStage1(16384, 1, 0x4000_0001n)).toEqual({ kind: 'invalid' });
    expect(decodeStage1(4096, 3, 0x4000_0701n)).toEqual({ kind: 'invalid' });
    expect(decodeStage1(4096, 1, 0x4000_0701n).kind).toBe('leaf');
  });

  it('with bit 0 clear is invalid, whatever the rest says', () => {
    expect(decodeStage1(4096, 3, 0n)).toEqual({ kind: 'invalid' });
    expect(decodeStage1(4096, 3, 0x4000_0702n)).toEqual({ kind: 'invalid' });
    expect(decodeStage1(4096, 1, 0x4000_0702n)).toEqual({ kind: 'invalid' });
  });

  it.each([
    ['a block where none may stand', () => encodeStage1Leaf(4096, 0, { ...KERNEL_DATA, output: ipa(0) })],
    ['a block off its grid', () => encodeStage1Leaf(4096, 2, { ...KERNEL_DATA, output: ipa(0x1000) })],
    ['an output of 49 bits', () => encodeStage1Leaf(4096, 3, { ...KERNEL_DATA, output: ipa(2 ** 48) })],
    ['a table off its granule', () => encodeStage1Table(16384, ipa(0x1000))],
  ])('refuses to encode %s', (_, encode) => {
    expect(encode).toThrow(RangeError);
  });

  it('of a table carries APTable[1] and PXNTable', () => {
    const table = encodeStage1Table(4096, ipa(0x4000_1000)) | (1n << 62n) | (1n << 59n);
    expect(decodeStage1(4096, 2, table)).toEqual({
      kind: 'table',
      next: 0x4000_1000,
      readOnly: true,
      pxn: true,
    });
  });

  it('as hardware writes it back has AF set, and AP[2] clear after a write', () => {
    const old = encodeStage1Leaf(4096, 3, { ...KERNEL_DATA, af: false, readOnly: true, dbm: true });
    expect(decodeStage1(4096, 3, updatedStage1(old, false))).toMatchObject({
      leaf: { af: true, readOnly: true },
    });
    expect(decodeStage1(4096, 3, updatedStage1(old, true))).toMatchObject({
      leaf: { af: true, readOnly: false },
    });
  });
});

describe('a stage 1 walk', () => {
  it.each([
    [4096, 48, 0],
    [4096, 39, 1],
    [4096, 30, 2],
    [16384, 48, 0],
    [16384, 47, 1],
    [16384, 36, 2],
    [65536, 48, 1],
    [65536, 42, 2],
  ] as const)('of %i-byte pages and %i bits starts at level %i', (granule, bits, level) => {
    expect(stage1StartLevel(granule, bits)).toBe(level);
  });

  it('takes the entry by the bits of its level', () => {
    expect(stage1EntryAddress(4096, 3, ipa(0x5000), 0x8000_1000)).toBe(0x5008);
    expect(stage1EntryAddress(4096, 1, ipa(0x5000), 0x8000_1000)).toBe(0x5010);
    expect(stage1EntryAddress(65536, 2, ipa(0x10000), 0x6000_0000)).toBe(0x10018);
  });
});
