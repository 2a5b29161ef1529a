import { describe, expect, it } from 'vitest';
import type { Granule, Level } from '../../src/arch/geometry.ts';
import {
  blockLevels,
  entriesPerTable,
  granuleShift,
  isLeafLevel,
  kvmMinBlockLevel,
  levelSize,
  stage2Geometry,
} from '../../src/arch/geometry.ts';

const K = 1024;
const M = 1024 * K;
const G = 1024 * M;
const T = 1024 * G;

describe('the stage 2 that KVM chooses', () => {
  it('given 4K pages and the default IPA size of 40 bits, concatenates two tables at level 1', () => {
    const geometry = stage2Geometry({ granule: 4096, ipaBits: 40, lpa2: false });

    expect(geometry).toEqual({
      granule: 4096,
      ipaBits: 40,
      lpa2: false,
      startLevel: 1,
      concatenatedTables: 2,
    });
  });

  it.each<[Granule, number, boolean, Level, number]>([
    [4096, 32, false, 2, 4],
    [4096, 34, false, 2, 16],
    [4096, 35, false, 1, 1],
    [4096, 36, false, 1, 1],
    [4096, 43, false, 1, 16],
    [4096, 44, false, 0, 1],
    [4096, 48, false, 0, 1],
    [4096, 48, true, 0, 1],
    [4096, 52, true, 0, 16],
    [16384, 32, false, 2, 1],
    [16384, 40, false, 2, 16],
    [16384, 41, false, 1, 1],
    [16384, 48, false, 1, 2],
    [16384, 51, true, 1, 16],
    [16384, 52, true, 0, 1],
    [65536, 32, false, 2, 1],
    [65536, 40, false, 2, 1],
    [65536, 46, false, 2, 16],
    [65536, 48, false, 1, 1],
    [65536, 52, false, 1, 1],
  ])(
    'granule %i, IPA %i bits, LPA2 %s: start level %i, %i root tables',
    (granule, ipaBits, lpa2, level, tables) => {
      const geometry = stage2Geometry({ granule, ipaBits, lpa2 });

      expect(geometry.startLevel).toBe(level);
      expect(geometry.concatenatedTables).toBe(tables);
    },
  );

  it.each<[Granule, number, boolean]>([
    [4096, 31, false],
    [4096, 49, false],
    [4096, 53, true],
    [16384, 52, false],
    [65536, 53, false],
    [4096, 40.5, false],
    [65536, 48, true],
  ])('refuses granule %i with IPA %d bits and LPA2 %s', (granule, ipaBits, lpa2) => {
    expect(() => stage2Geometry({ granule, ipaBits, lpa2 })).toThrow(RangeError);
  });
});

describe('levels', () => {
  it.each<[Granule, Level, number]>([
    [4096, -1, 256 * T],
    [4096, 0, 512 * G],
    [4096, 1, G],
    [4096, 2, 2 * M],
    [4096, 3, 4 * K],
    [16384, 0, 128 * T],
    [16384, 1, 64 * G],
    [16384, 2, 32 * M],
    [16384, 3, 16 * K],
    [65536, 1, 4 * T],
    [65536, 2, 512 * M],
    [65536, 3, 64 * K],
  ])('an entry of the %i granule at level %i spans %i bytes', (granule, level, size) => {
    expect(levelSize(granule, level)).toBe(size);
  });

  it('the 64K granule has no level 0, the 16K granule no level -1, and none a level 4', () => {
    expect(() => levelSize(4096, 4 as Level)).toThrow(/4K granule has no lookup level 4/);
    expect(() => levelSize(65536, 0)).toThrow(RangeError);
    expect(() => levelSize(16384, -1)).toThrow(RangeError);
  });

  it('a table holds 512, 2048 or 8192 descriptors', () => {
    expect(([4096, 16384, 65536] as const).map(entriesPerTable)).toEqual([512, 2048, 8192]);
    expect(([4096, 16384, 65536] as const).map(granuleShift)).toEqual([12, 14, 16]);
  });
});

describe('where a block may stand', () => {
  it.each<[Granule, number, boolean, readonly Level[]]>([
    [4096, 48, false, [1, 2, 3]],
    [4096, 48, true, [0, 1, 2, 3]],
    [4096, 32, false, [2, 3]],
    [16384, 48, false, [2, 3]],
    [16384, 48, true, [1, 2, 3]],
    [65536, 48, false, [2, 3]],
    [65536, 52, false, [1, 2, 3]],
  ])('granule %i, IPA %i bits, LPA2 %s: levels %j', (granule, ipaBits, lpa2, levels) => {
    const geometry = stage2Geometry({ granule, ipaBits, lpa2 });

    expect(blockLevels(geometry)).toEqual(levels);
    expect(isLeafLevel(geometry, 3)).toBe(true);
    expect(isLeafLevel(geometry, -1)).toBe(false);
  });

  it('KVM maps no block above level 1 with 4K pages and none above level 2 otherwise, LPA2 or not', () => {
    expect(([4096, 16384, 65536] as const).map(kvmMinBlockLevel)).toEqual([1, 2, 2]);
  });
});
