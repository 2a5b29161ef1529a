// What differs between two states of the machine, as a list of paths with the value before and after. Shared parts are
// equal by identity and never looked into; translation tables are compared leaf by leaf, bitmaps page by page.

import type { Present } from '../arch/table-page.ts';
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
export function differences(before: unknown, after: unknown): readonly Difference[] {
  const found: Difference[] = [];
  compare('', before, after, found);
  return found;
}

function compare(path: string, before: unknown, after: unknown, found: Difference[]): void {
  if (Object.is(before, after)) return;
  if (before instanceof TranslationTable && after instanceof TranslationTable) {
    compareTables(path, before, after, found);
  } else if (before instanceof PageBitmap && after instanceof PageBitmap) {
    compareBitmaps(path, before, after, found);
  } else if (Array.isArray(before) && Array.isArray(after)) {
    for (let index = 0; index < Math.max(before.length, after.length); index++) {
      compare(`${path}[${index}]`, before[index], after[index], found);
    }
  } else if (isRecord(before) && isRecord(after)) {
    for (const field of fieldsOf(before, after)) {
      compare(path === '' ? field : `${path}.${field}`, before[field], after[field], found);
    }
  } else {
    found.push({ path, before, after });
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && isPlain(value);

const isPlain = (value: object): boolean => Object.getPrototypeOf(value) === Object.prototype;

/** Fields of the first, then those that only the second has. */
const fieldsOf = (before: object, after: object): readonly string[] => [
  ...new Set([...Object.keys(before), ...Object.keys(after)]),
];

/** Both lists of leaves ascend by address, so one pass finds what came, went and changed. */
function compareTables(
  path: string,
  before: TranslationTable<Present>,
  after: TranslationTable<Present>,
  found: Difference[],
): void {
  const old = [...before.leaves()];
  const fresh = [...after.leaves()];
  let at = 0;
  for (const leaf of old) {
    for (; (fresh[at]?.address ?? Number.POSITIVE_INFINITY) < leaf.address; at++) {
      addLeaf(path, undefined, fresh[at], found);
    }
    const same = fresh[at]?.address === leaf.address ? fresh[at++] : undefined;
    addLeaf(path, leaf, same, found);
  }
  for (; at < fresh.length; at++) addLeaf(path, undefined, fresh[at], found);
}

interface PlacedLeaf {
  readonly address: number;
  readonly level: number;
  readonly leaf: unknown;
}

function addLeaf(
  path: string,
  before: PlacedLeaf | undefined,
  after: PlacedLeaf | undefined,
  found: Difference[],
): void {
  const address = before?.address ?? after?.address ?? 0;
  const where = `${path}[0x${address.toString(16)}]`;
  if (before !== undefined && after !== undefined && before.level === after.level) {
    compare(where, before.leaf, after.leaf, found);
    return;
  }
  const held = (leaf: PlacedLeaf | undefined): unknown =>
    leaf === undefined ? undefined : { level: leaf.level, leaf: leaf.leaf };
  found.push({ path: where, before: held(before), after: held(after) });
}

function compareBitmaps(path: string, before: PageBitmap, after: PageBitmap, found: Difference[]): void {
  const pages = [...new Set([...before.set(), ...after.set()])].sort((a, b) => a - b);
  for (const page of pages) {
    const was = before.has(page);
    const is = after.has(page);
    if (was !== is) found.push({ path: `${path}[${page}]`, before: was, after: is });
  }
  if (before.pages !== after.pages) {
    found.push({ path: `${path}.pages`, before: before.pages, after: after.pages });
  }
}
