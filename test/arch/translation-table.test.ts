import fc from 'fast-check';
import { isDraftable, produce } from 'immer';
import { describe, expect, it } from 'vitest';
import type { Level } from '../../src/arch/geometry.ts';
import { levelSize } from '../../src/arch/geometry.ts';
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
    ['more than 52 bits', () => TranslationTable.empty({ granule: 4096, startLevel: 0, inputBits: 53 })],
  ])('refuses %s', (_, act) => {
    expect(act).toThrow(RangeError);
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

// The naive model: leaves in a Map. Tables need none, because one stands wherever a leaf is below, and only there.
interface ModelLeaf {
  readonly address: number;
  readonly level: Level;
  readonly leaf: string;
}

const spanOf = (granule: TableShape['granule'], { level }: { readonly level: Level }) =>
  levelSize(granule, level);

function overlaps(of: TableShape, leaf: ModelLeaf, start: number, end: number): boolean {
  return leaf.address < end && leaf.address + spanOf(of.granule, leaf) > start && start < end;
}

type Command =
  | { readonly kind: 'leaf'; readonly page: number; readonly level: Level; readonly leaf: string }
  | { readonly kind: 'without' | 'updated'; readonly page: number; readonly pages: number };

function applyToModel(of: TableShape, model: readonly ModelLeaf[], command: Command): readonly ModelLeaf[] {
  const start = command.page * of.granule;
  if (command.kind === 'leaf') {
    const span = levelSize(of.granule, command.level);
    const address = start - (start % span);
    const kept = model.filter((old) => !overlaps(of, old, address, address + span));
    return [...kept, { address, level: command.level, leaf: command.leaf }].sort(
      (a, b) => a.address - b.address,
    );
  }
  const end = start + command.pages * of.granule;
  return model.flatMap((old) => {
    if (!overlaps(of, old, start, end)) {
      return [old];
    }
    const leaf = command.kind === 'without' ? undefined : changed(old.leaf, old.address);
    return leaf === undefined ? [] : [{ ...old, leaf }];
  });
}

function applyToTable(table: TranslationTable<string>, command: Command): TranslationTable<string> {
  const { granule } = table.shape;
  const start = command.page * granule;
  if (command.kind === 'leaf') {
    return table.withLeaf(start - (start % levelSize(granule, command.level)), command.level, command.leaf);
  }
  const end = start + command.pages * granule;
  return command.kind === 'without' ? table.without(start, end) : table.updated(start, end, changed);
}

// Drops some, keeps some, alters the rest.
function changed(leaf: string, address: number): string | undefined {
  return leaf === 'drop' ? undefined : leaf === 'keep' ? leaf : `${leaf}${address % 7}`.slice(0, 6);
}

function modelTables(of: TableShape, model: readonly ModelLeaf[]): readonly string[] {
  const names = model.flatMap((leaf) => {
    const above: string[] = [];
    for (let level = of.startLevel; level < leaf.level; level = (level + 1) as Level) {
      above.push(`${leaf.address - (leaf.address % levelSize(of.granule, level))}/${level}`);
    }
    return above;
  });
  return [...new Set(names)].sort();
}

function modelWalk(of: TableShape, model: readonly ModelLeaf[], address: number) {
  const tables = new Set(modelTables(of, model));
  for (let level = of.startLevel; level <= 3; level = (level + 1) as Level) {
    const base = address - (address % levelSize(of.granule, level));
    const found = model.find((leaf) => leaf.level === level && leaf.address === base);
    if (found !== undefined || !tables.has(`${base}/${level}`)) {
      return { level, leaf: found?.leaf };
    }
  }
  return { level: 3, leaf: undefined };
}

const shapes: readonly TableShape[] = [
  shape,
  { granule: 4096, startLevel: 0, inputBits: 52 },
  { granule: 4096, startLevel: -1, inputBits: 52 },
  { granule: 16384, startLevel: 2, inputBits: 40 },
  { granule: 65536, startLevel: 2, inputBits: 46 },
];

// Few neighbourhoods, so that commands meet: the first pages, a block boundary, the upper end.
function commandsFor(of: TableShape): fc.Arbitrary<Command> {
  const pages = 2 ** of.inputBits / of.granule;
  const perTable = of.granule / 8;
  const page = fc
    .tuple(
      fc.constantFrom(0, perTable - 3, perTable * perTable - 2, pages - 6),
      fc.integer({ min: 0, max: 5 }),
    )
    .map(([near, offset]) => Math.min(near + offset, pages - 1));
  const leaf = fc.constantFrom('a', 'b', 'drop', 'keep');
  const length = fc.constantFrom(0, 1, 2, 4, perTable, pages);
  return fc.oneof(
    fc.record({ kind: fc.constant('leaf' as const), page, level: fc.constantFrom<Level[]>(2, 3, 3), leaf }),
    fc.record({ kind: fc.constantFrom('without' as const, 'updated' as const), page, pages: length }),
  );
}

const runs = fc
  .constantFrom(...shapes)
  .chain((of) => fc.record({ of: fc.constant(of), commands: fc.array(commandsFor(of), { maxLength: 25 }) }));

function checkAgainstModel(table: TranslationTable<string>, model: readonly ModelLeaf[]): void {
  const of = table.shape;
  expect([...table.leaves()]).toEqual(model);
  expect(table.leafCount).toBe(model.length);
  expect([...table.tables()].map(({ address, level }) => `${address}/${level}`).sort()).toEqual(
    modelTables(of, model),
  );
}

describe('against a flat list of leaves', () => {
  it('has the same leaves, tables and count after every command, and old versions stay as they were', () => {
    fc.assert(
      fc.property(runs, ({ of, commands }) => {
        let table = TranslationTable.empty<string>(of);
        let model: readonly ModelLeaf[] = [];
        const versions = [{ table, model }];
        for (const command of commands) {
          table = applyToTable(table, command);
          model = applyToModel(of, model, command);
          versions.push({ table, model });
        }
        for (const version of versions) {
          checkAgainstModel(version.table, version.model);
        }
      }),
      { seed: 3, numRuns: 250 },
    );
  });

  it('a walk reports the same level and leaf', () => {
    fc.assert(
      fc.property(runs, fc.array(fc.nat(), { minLength: 5, maxLength: 5 }), ({ of, commands }, picks) => {
        const table = commands.reduce(applyToTable, TranslationTable.empty<string>(of));
        const model = commands.reduce<readonly ModelLeaf[]>((leaves, c) => applyToModel(of, leaves, c), []);
        const touched = [0, ...commands.map(({ page }) => page)];
        for (const pick of picks) {
          const address = (touched[pick % touched.length] ?? 0) * of.granule + (pick % of.granule);
          expect(table.walk(address)).toEqual(modelWalk(of, model, address));
        }
      }),
      { seed: 4, numRuns: 250 },
    );
  });

  it('leaves of a range are those that overlap it', () => {
    fc.assert(
      fc.property(runs, fc.nat(), fc.nat({ max: 600 }), ({ of, commands }, pick, pages) => {
        const table = commands.reduce(applyToTable, TranslationTable.empty<string>(of));
        const start = (commands[pick % Math.max(1, commands.length)]?.page ?? 0) * of.granule;
        const end = start + pages * of.granule;
        const inside = [...table.leaves()].filter((leaf) => overlaps(of, leaf, start, end));
        expect([...table.leaves(start, end)]).toEqual(inside);
      }),
      { seed: 5, numRuns: 150 },
    );
  });

  it('no leaf overlaps another', () => {
    fc.assert(
      fc.property(runs, ({ of, commands }) => {
        const table = commands.reduce(applyToTable, TranslationTable.empty<string>(of));
        let end = 0;
        for (const leaf of table.leaves()) {
          expect(leaf.address).toBeGreaterThanOrEqual(end);
          end = leaf.address + spanOf(of.granule, leaf);
        }
      }),
      { seed: 6, numRuns: 100 },
    );
  });
});
