import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TableShape } from '../../src/arch/translation-table.ts';
import { TranslationTable } from '../../src/arch/translation-table.ts';

const PAGE = 0x1000;
const BLOCK = 0x20_0000;

const shape: TableShape = { granule: 4096, startLevel: 1, inputBits: 40 };
const empty = TranslationTable.empty<string>(shape);

type Table = TranslationTable<string>;

const addresses = (before: Table, after: Table): number[] =>
  [...before.leavesApart(after)].map(({ address }) => address);

/** A page, a block, or nothing any more, at one of few places, so that they meet. */
const step = fc.record({
  kind: fc.constantFrom('page', 'block', 'none'),
  place: fc.integer({ min: 0, max: 5 }),
  value: fc.constantFrom('a', 'b'),
});

function changedBy(table: Table, steps: readonly { kind: string; place: number; value: string }[]): Table {
  return steps.reduce((so, { kind, place, value }) => {
    const page = (place % 3) * PAGE + Math.floor(place / 3) * BLOCK;
    if (kind === 'none') return so.without(page, page + PAGE);
    return kind === 'page' ? so.withLeaf(page, 3, value) : so.withLeaf(page - (page % BLOCK), 2, value);
  }, table);
}

describe('the leaves in which two tables differ', () => {
  it('are those that came, went and changed, ascending', () => {
    const before = empty.withLeaf(0, 3, 'a').withLeaf(PAGE, 3, 'b').withLeaf(BLOCK, 2, 'c');

    const now = before
      .without(0, PAGE)
      .withLeaf(BLOCK, 2, 'd')
      .withLeaf(2 ** 39, 3, 'e');

    expect([...before.leavesApart(now)]).toEqual([
      { address: 0, before: { address: 0, level: 3, leaf: 'a' }, after: undefined },
      {
        address: BLOCK,
        before: { address: BLOCK, level: 2, leaf: 'c' },
        after: { address: BLOCK, level: 2, leaf: 'd' },
      },
      { address: 2 ** 39, before: undefined, after: { address: 2 ** 39, level: 3, leaf: 'e' } },
    ]);
  });

  it('pair a block with the first of the pages that took its place', () => {
    const block = empty.withLeaf(0, 2, 'block');
    const pages = empty.withLeaf(0, 3, 'a').withLeaf(PAGE, 3, 'b');

    expect([...block.leavesApart(pages)].map(({ before, after: to }) => [before?.level, to?.level])).toEqual([
      [2, 3],
      [undefined, 3],
    ]);
  });

  it.each([
    { granule: 4096, startLevel: 0, inputBits: 40 },
    { granule: 4096, startLevel: 1, inputBits: 39 },
    { granule: 16384, startLevel: 1, inputBits: 40 },
  ] as const)('are found in a table of another shape, too: %j', (other) => {
    const high = 2 ** 38 + 2 ** 30;
    const same = empty.withLeaf(high, 3, 'a').withLeaf(2 ** 30, 3, 'b');
    const now = TranslationTable.empty<string>(other)
      .withLeaf(high, 3, 'a')
      .withLeaf(2 ** 31, 3, 'b');

    expect(addresses(same, now)).toEqual([2 ** 30, 2 ** 31]);
  });

  it('are what a comparison of all leaves finds, and lie in no page that both share', () => {
    const steps = fc.array(step, { maxLength: 8 });
    fc.assert(
      fc.property(steps, steps, (first, second) => {
        const before = changedBy(empty, first);
        const now = changedBy(before, second);
        const old = new Map([...before.leaves()].map((it) => [it.address, it]));
        const fresh = new Map([...now.leaves()].map((it) => [it.address, it]));
        const all = [...new Set([...old.keys(), ...fresh.keys()])].sort((a, b) => a - b);
        const isApart = (at: number) =>
          old.get(at)?.leaf !== fresh.get(at)?.leaf || old.get(at)?.level !== fresh.get(at)?.level;

        expect(addresses(before, now)).toEqual(all.filter(isApart));
        for (const at of all) if (now.sharesPageAt(at, before)) expect(isApart(at)).toBe(false);
      }),
      { numRuns: 500, seed: 7 },
    );
  });

  it('cost no look into a page that both share', () => {
    const before = empty.withLeaf(2 ** 39 + BLOCK, 3, 'a').withLeaf(2 ** 39, 3, 'b');
    const now = before.withLeaf(2 ** 39 + BLOCK, 3, 'c');

    expect(now.sharesPageAt(2 ** 39, before)).toBe(true);
    expect(now.sharesPageAt(2 ** 39 + BLOCK, before)).toBe(false);
    expect(addresses(before, now)).toEqual([2 ** 39 + BLOCK]);
  });
});
