import { isDraftable, produce } from 'immer';
import { describe, expect, it } from 'vitest';
import type { TableShape } from '../../src/arch/translation-table.ts';
import { TranslationTable } from '../../src/arch/translation-table.ts';

const PAGE = 0x1000;
const BLOCK = 0x20_0000;
const GIB = 0x4000_0000;

// 40 bits of 4K pages: two concatenated tables at level 1.
const shape: TableShape = { granule: 4096, startLevel: 1, inputBits: 40 };
const empty = TranslationTable.empty<string>(shape);

describe('a translation table', () => {
  it('given a page and a block, is walked as hardware walks it', () => {
    const table = empty.withLeaf(0x4000_0000, 3, 'page').withLeaf(0x4020_0000, 2, 'block');

    expect(table.walk(0x4000_0abc)).toEqual({ level: 3, leaf: 'page' });
    expect(table.walk(0x4000_1000)).toEqual({ level: 3, leaf: undefined });
    expect(table.walk(0x403f_ffff)).toEqual({ level: 2, leaf: 'block' });
    expect(table.walk(0x4040_0000)).toEqual({ level: 2, leaf: undefined });
    expect(table.walk(0x8000_0000)).toEqual({ level: 1, leaf: undefined });
    expect([...table.tables()]).toEqual([
      { address: 0x4000_0000, level: 1 },
      { address: 0x4000_0000, level: 2 },
    ]);
  });

  it('reaches the last byte of the second concatenated root', () => {
    const last = 2 ** 40 - PAGE;

    const table = empty.withLeaf(last, 3, 'last');

    expect(table.walk(2 ** 40 - 1)).toEqual({ level: 3, leaf: 'last' });
    expect([...table.leaves()]).toEqual([{ address: last, level: 3, leaf: 'last' }]);
  });

  it('is a value: what was there before a change is still there', () => {
    const before = empty.withLeaf(0, 3, 'a');

    const after = before.withLeaf(0, 3, 'b').without(0, 2 ** 40);

    expect(after.leafCount).toBe(0);
    expect(before.walk(0).leaf).toBe('a');
    expect(empty.leafCount).toBe(0);
  });

  it('is deeply equal to another of the same content, however that came about', () => {
    const there = empty
      .withLeaf(0, 3, 'a')
      .withLeaf(GIB, 2, 'b')
      .without(GIB, GIB + 1);

    expect(there).toEqual(empty.withLeaf(0, 3, 'a'));
    expect(there).not.toEqual(empty.withLeaf(0, 3, 'b'));
  });

  it('is neither drafted nor frozen by Immer', () => {
    const table = empty.withLeaf(0, 3, 'a');

    const state = produce({ table, count: 0 }, (draft) => {
      draft.count += 1;
    });

    expect(isDraftable(table)).toBe(false);
    expect(state.table).toBe(table);
    expect(Object.isFrozen(table)).toBe(false);
  });

  it.each<[string, () => unknown]>([
    ['a walk beyond the input size', () => empty.walk(2 ** 40)],
    ['a negative address', () => empty.walk(-1)],
    ['a leaf that is not aligned', () => empty.withLeaf(PAGE, 2, 'x')],
    ['a leaf above the start level', () => empty.withLeaf(0, 0, 'x')],
    ['a range that ends before it starts', () => empty.without(PAGE, 0)],
    ['a root of 32 tables', () => TranslationTable.empty({ granule: 4096, startLevel: 2, inputBits: 35 })],
    ['a root of one entry', () => TranslationTable.empty({ granule: 4096, startLevel: 0, inputBits: 39 })],
    ['more than 52 bits', () => TranslationTable.empty({ granule: 4096, startLevel: -1, inputBits: 53 })],
    ['half a bit', () => TranslationTable.empty({ granule: 4096, startLevel: 1, inputBits: 39.5 })],
    ['a range that starts below 0', () => empty.without(-PAGE, PAGE)],
  ])('refuses %s', (_, act) => {
    expect(act).toThrow(RangeError);
  });
});

describe('the root', () => {
  it('has two entries at least', () => {
    const table = TranslationTable.empty<string>({ granule: 4096, startLevel: 1, inputBits: 31 });
    expect(table.withLeaf(2 ** 30, 1, 'second').walk(2 ** 31 - 1)).toEqual({ level: 1, leaf: 'second' });
  });
});

describe('installing a leaf', () => {
  it('a block over a table of pages collapses it: the pages are gone', () => {
    const pages = empty.withLeaf(0, 3, 'p0').withLeaf(PAGE, 3, 'p1').withLeaf(BLOCK, 3, 'q');

    const table = pages.withLeaf(0, 2, 'block');

    expect(table.walk(PAGE)).toEqual({ level: 2, leaf: 'block' });
    expect(table.leafCount).toBe(2);
  });

  it('a page under a block leaves the rest of the block invalid, to be faulted in again', () => {
    const block = empty.withLeaf(0, 2, 'block');

    const table = block.withLeaf(PAGE, 3, 'page');

    expect(table.walk(PAGE).leaf).toBe('page');
    expect(table.walk(0)).toEqual({ level: 3, leaf: undefined });
    expect(table.leafCount).toBe(1);
  });

  it('a page under a 1G block goes through an empty table at each level', () => {
    const table = empty.withLeaf(GIB, 1, 'huge').withLeaf(GIB + BLOCK, 3, 'page');

    expect(table.walk(GIB)).toEqual({ level: 2, leaf: undefined });
    expect(table.walk(GIB + BLOCK + PAGE)).toEqual({ level: 3, leaf: undefined });
    expect(table.leafCount).toBe(1);
  });

  it('the very same leaf again gives the very same table', () => {
    const table = empty.withLeaf(0, 3, 'a');

    expect(table.withLeaf(0, 3, 'a')).toBe(table);
  });
});

describe('removing leaves', () => {
  it('frees a last-level table that becomes empty, so that the next fault is one of level 2', () => {
    const table = empty.withLeaf(0, 3, 'a').withLeaf(BLOCK, 3, 'b').without(0, PAGE);

    expect(table.walk(0)).toEqual({ level: 2, leaf: undefined });
  });

  it('cascades: with the last page of a gigabyte its level 2 table goes too, the root stays', () => {
    const table = empty.withLeaf(0, 3, 'a').without(0, PAGE);

    expect(table.walk(0)).toEqual({ level: 1, leaf: undefined });
    expect([...table.tables()]).toEqual([]);
  });

  it('keeps a table that keeps an entry', () => {
    const table = empty.withLeaf(0, 3, 'a').withLeaf(PAGE, 3, 'b').without(0, PAGE);

    expect(table.walk(0)).toEqual({ level: 3, leaf: undefined });
  });

  it('a range of one page inside a block takes the whole block', () => {
    const table = empty.withLeaf(0, 2, 'block').without(PAGE, 2 * PAGE);

    expect(table.leafCount).toBe(0);
  });

  it('an empty range, or one without leaves, changes nothing', () => {
    const table = empty.withLeaf(0, 3, 'a');

    expect(table.without(0, 0)).toBe(table);
    expect(table.without(PAGE, 2 ** 40)).toBe(table);
    expect(table.updated(0, 2 ** 40, (leaf) => leaf)).toBe(table);
  });

  it('a range may reach beyond the input size, where there is nothing', () => {
    const table = empty.withLeaf(0, 3, 'a').withLeaf(PAGE, 3, 'b');

    expect(table.without(PAGE, 2 ** 52).leafCount).toBe(1);
    expect(table.without(2 ** 50, 2 ** 52)).toBe(table);
    expect([...table.leaves(2 ** 50, 2 ** 52)]).toEqual([]);
  });
});
