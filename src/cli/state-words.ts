// Values of the state in words: one line for people, plain data for --json. Tables are listed leaf by leaf.

import type { Present } from '../arch/table-page.ts';
import { TranslationTable } from '../arch/translation-table.ts';
import { PageBitmap } from '../host/page-bitmap.ts';
import type { Difference } from '../record/difference.ts';
import type { Cell } from './layout.ts';
import { table } from './layout.ts';
import type { Terminal } from './terminal.ts';
import { binary, count, grouped, hex } from './words.ts';

const ADDRESS = /(address|ipa|gpa|hva|pa|va|esr|far|start|end|value|attr|gic[cdrv]|nextPage)$/i;

/** A register by its name in a datasheet. */
const REGISTER = /^[A-Z][A-Z0-9_]{2,}$/;

const isInHex = (name: string): boolean => ADDRESS.test(name) || REGISTER.test(name);

/** Longer values are told by what they are. */
const LONGEST = 160;

/** @param path whose last name says whether a number is an address */
export function valueText(path: string, value: unknown): string {
  const name = /([A-Za-z_]\w*)(\[[^\]]*\])?$/.exec(path)?.[1] ?? '';
  const text = textOf(name, value);
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 3)}...`;
}

function textOf(name: string, value: unknown): string {
  if (value === null || value === undefined) return '-';
  if (name === 'memAttr') return binary(Number(value), 4);
  if (typeof value === 'number' || typeof value === 'bigint')
    return isInHex(name) ? hex(value) : String(value);
  if (typeof value !== 'object') return String(value);
  if (value instanceof TranslationTable) return count(value.leafCount, 'leaf', 'leaves');
  if (value instanceof PageBitmap) return `${grouped(value.count)} of ${count(value.pages, 'page')}`;
  if (Array.isArray(value))
    return value.length === 0 ? 'none' : `[${value.map((it) => textOf(name, it)).join(', ')}]`;
  const fields = Object.entries(value).filter(([, field]) => field !== null && field !== false);
  return fields.map(([key, field]) => (field === true ? key : `${key}=${inner(key, field)}`)).join(' ');
}

function inner(name: string, value: unknown): string {
  const text = textOf(name, value);
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? `(${text})` : text;
}

/** As plain data, for JSON. */
export function plainOf(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof TranslationTable) {
    const leaves = (value as TranslationTable<Present>).leaves();
    return {
      ...value.shape,
      leaves: [...leaves].map(({ address, ...leaf }) => ({ address: hex(address), ...leaf })),
    };
  }
  if (value instanceof PageBitmap) return { pages: value.pages, set: [...value.set()] };
  if (Array.isArray(value)) return value.map(plainOf);
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plainOf(field)]));
}

export const plainDifference = ({ path, before, after }: Difference) => ({
  path,
  before: plainOf(before),
  after: plainOf(after),
});

/** Rows that are printed; --json has all. */
const MOST_ROWS = 40;

/** @param names of the two sides */
export function differenceLines(
  found: readonly Difference[],
  names: readonly [string, string],
  { columns: width, style }: Terminal,
): string[] {
  if (found.length === 0) return ['  nothing differs'];
  const rows = runsOf(found);
  const shown = rows
    .slice(0, MOST_ROWS)
    .map(({ path, before, after }): Cell[] => [path, valueText(path, before), valueText(path, after)]);
  const columns = [
    { header: '', wrapsTo: 20 },
    { header: names[0], wrapsTo: 12 },
    { header: names[1], wrapsTo: 12 },
  ];
  const lines = table(columns, shown, { width, indent: 2, headerStyle: style.dim });
  const rest = rows.length - MOST_ROWS;
  return rest > 0 ? [...lines, style.dim(`  ... and ${grouped(rest)} more; --json has them all`)] : lines;
}

/** Neighbours of a list that all changed, such as the bytes of a store, as one: `memory[0x0][0][8..15]`. */
function runsOf(found: readonly Difference[]): Difference[] {
  const runs: { list: string; first: number; last: number; differences: Difference[] }[] = [];
  for (const difference of found) {
    const [, list = difference.path, index = '-1'] = /^(.*\])\[(\d+)\]$/.exec(difference.path) ?? [];
    const run = runs.at(-1);
    if (run !== undefined && run.first >= 0 && run.list === list && run.last + 1 === Number(index)) {
      run.last += 1;
      run.differences.push(difference);
    } else runs.push({ list, first: Number(index), last: Number(index), differences: [difference] });
  }
  return runs.flatMap(({ list, first, last, differences: [only, ...others] }) => {
    if (only === undefined) return [];
    if (others.length === 0) return [only];
    const all = [only, ...others];
    const path = `${list}[${first}..${last}]`;
    return [{ path, before: all.map(({ before }) => before), after: all.map(({ after }) => after) }];
  });
}
