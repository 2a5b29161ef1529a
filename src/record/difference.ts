// What differs between two states of the machine, as a list of paths with the value before and after. Shared parts are
// equal by identity and never looked into; translation tables are compared leaf by leaf, bitmaps page by page.

import type { Present } from '../arch/table-page.ts';
import type { LeafPair, TableLeaf } from '../arch/translation-table.ts';
import { TranslationTable } from '../arch/translation-table.ts';
import { PageBitmap } from '../host/page-bitmap.ts';

export interface Difference {
  /** Names and numbers from the root of the state; a leaf of a table as `table[0x10000000]`. */
  readonly path: string;
  /** Undefined where there was nothing. */
  readonly before: unknown;
  readonly after: unknown;
}

/** Every difference once, at the deepest place that names it, in the order of the state's fields, then ascending. */
export const differences = (before: unknown, after: unknown): readonly Difference[] => [
  ...eachDifference(before, after),
];

/** As `differences`, one after the other: two moments of a long run may differ in more than memory holds. */
export const eachDifference = (before: unknown, after: unknown): Generator<Difference> =>
  compare('', before, after);

function* compare(path: string, before: unknown, after: unknown): Generator<Difference> {
  if (Object.is(before, after)) return;
  if (before instanceof TranslationTable && after instanceof TranslationTable) {
    for (const pair of before.leavesApart(after)) yield* compareLeaves(path, pair);
  } else if (before instanceof PageBitmap && after instanceof PageBitmap) {
    yield* compareBitmaps(path, before, after);
  } else if (Array.isArray(before) && Array.isArray(after)) {
    for (let index = 0; index < Math.max(before.length, after.length); index++) {
      yield* compare(`${path}[${index}]`, before[index], after[index]);
    }
  } else if (isRecord(before) && isRecord(after)) {
    for (const field of fieldsOf(before, after)) {
      yield* compare(path === '' ? field : `${path}.${field}`, before[field], after[field]);
    }
  } else {
    yield { path, before, after };
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && isPlain(value);

const isPlain = (value: object): boolean => Object.getPrototypeOf(value) === Object.prototype;

/** Fields of the first, then those that only the second has. */
const fieldsOf = (before: object, after: object): readonly string[] => [
  ...new Set([...Object.keys(before), ...Object.keys(after)]),
];

function* compareLeaves(path: string, { address, before, after }: LeafPair<Present>): Generator<Difference> {
  const where = `${path}[0x${address.toString(16)}]`;
  if (before !== undefined && after !== undefined && before.level === after.level) {
    yield* compare(where, before.leaf, after.leaf);
    return;
  }
  const held = (leaf: TableLeaf<Present> | undefined): unknown =>
    leaf === undefined ? undefined : { level: leaf.level, leaf: leaf.leaf };
  yield { path: where, before: held(before), after: held(after) };
}

function* compareBitmaps(path: string, before: PageBitmap, after: PageBitmap): Generator<Difference> {
  const pages = [...new Set([...before.set(), ...after.set()])].sort((a, b) => a - b);
  for (const page of pages) {
    const was = before.has(page);
    const is = after.has(page);
    if (was !== is) yield { path: `${path}[${page}]`, before: was, after: is };
  }
  if (before.pages !== after.pages) {
    yield { path: `${path}.pages`, before: before.pages, after: after.pages };
  }
}
