import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Level } from '../../src/arch/geometry.ts';
import { levelSize } from '../../src/arch/geometry.ts';
import type { TableShape } from '../../src/arch/translation-table.ts';
import { TranslationTable } from '../../src/arch/translation-table.ts';
import { property } from '../helpers/twice.ts';

// The naive model: a flat list of leaves. It needs no tables, because one stands wherever a leaf is below,
// and only there.
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
  { granule: 4096, startLevel: 1, inputBits: 40 },
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
  it('given a page put under a block, both hold the page alone', () => {
    const of: TableShape = { granule: 4096, startLevel: 1, inputBits: 40 };
    const commands: readonly Command[] = [
      { kind: 'leaf', page: 0, level: 2, leaf: 'block' },
      { kind: 'leaf', page: 1, level: 3, leaf: 'page' },
    ];

    const model = commands.reduce<readonly ModelLeaf[]>((leaves, c) => applyToModel(of, leaves, c), []);
    const table = commands.reduce(applyToTable, TranslationTable.empty<string>(of));

    expect(model).toEqual([{ address: 4096, level: 3, leaf: 'page' }]);
    checkAgainstModel(table, model);
  });

  it('has the same leaves, tables and count after every command, and old versions stay as they were', () => {
    fc.assert(
      property(runs, ({ of, commands }) => {
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
      property(runs, fc.array(fc.nat(), { minLength: 5, maxLength: 5 }), ({ of, commands }, picks) => {
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
      property(runs, fc.nat(), fc.nat({ max: 600 }), ({ of, commands }, pick, pages) => {
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
      property(runs, ({ of, commands }) => {
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

  it('an editable table changes as a value does, and leaves its snapshots and views of then alone', () => {
    fc.assert(
      property(runs, fc.infiniteStream(fc.nat({ max: 3 })), ({ of, commands }, looks) => {
        const editable = TranslationTable.empty<string>(of).editable();
        let value = TranslationTable.empty<string>(of);
        const taken: (readonly [TranslationTable<string>, TranslationTable<string>])[] = [];
        for (const command of commands) {
          expect(applyToTable(editable.view(), command)).toEqual(applyToTable(value, command));
          expect(editable).toEqual(value);
          value = applyToTable(value, command);
          expect(applyToTable(editable, command)).toBe(editable);
          expect(editable).toEqual(value);
          if (looks.next().value === 0) taken.push([editable.snapshot(), value]);
        }
        for (const [snapshot, then] of taken) expect(snapshot).toEqual(then);
      }),
      { seed: 8, numRuns: 250 },
    );
  });

  it('a snapshot is the same one until something changes', () => {
    const of = { granule: 4096, startLevel: 1, inputBits: 40 } as const;
    const editable = TranslationTable.empty<string>(of).editable();
    const before = editable.snapshot();

    expect(editable.withLeaf(0, 3, 'a').snapshot()).not.toBe(before);
    expect(editable.withLeaf(0, 3, 'a').snapshot()).toBe(editable.snapshot());
  });

  it('a value is its own snapshot and its own view', () => {
    const value = TranslationTable.empty<string>({ granule: 4096, startLevel: 1, inputBits: 40 });

    expect(value.snapshot()).toBe(value);
    expect(value.view()).toBe(value);
  });
});
