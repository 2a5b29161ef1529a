// What differs between two moments, as a table for people and as plain data. Differences come one after the other:
// those of a long run may be more than memory holds.

import type { Difference } from '../record/difference.ts';
import type { Cell } from './layout.ts';
import { table } from './layout.ts';
import { plainOf, valueText } from './state-words.ts';
import type { Terminal } from './terminal.ts';
import { grouped } from './words.ts';

export const plainDifference = ({ path, before, after }: Difference) => ({
  path,
  before: plainOf(before),
  after: plainOf(after),
});

/** Rows that are printed; --json has all. */
const MOST_ROWS = 40;

/** @returns how many there are, and the lines of the first of them */
export function differenceLines(
  found: Iterable<Difference>,
  names: readonly [string, string],
  { columns: width, style }: Terminal,
): { readonly total: number; readonly lines: string[] } {
  let total = 0;
  function* counted(): Generator<Difference> {
    for (const difference of found) {
      total += 1;
      yield difference;
    }
  }
  const shown: Cell[][] = [];
  let rest = 0;
  for (const { path, before, after } of runsOf(counted())) {
    if (shown.length < MOST_ROWS) shown.push([path, valueText(path, before), valueText(path, after)]);
    else rest += 1;
  }
  if (shown.length === 0) return { total, lines: ['  nothing differs'] };
  const columns = [
    { header: '', wrapsTo: 20 },
    { header: names[0], wrapsTo: 12 },
    { header: names[1], wrapsTo: 12 },
  ];
  const lines = table(columns, shown, { width, indent: 2, headerStyle: style.dim });
  if (rest > 0) lines.push(style.dim(`  ... and ${grouped(rest)} more; --json has them all`));
  return { total, lines };
}

interface Run {
  readonly list: string;
  readonly first: number;
  readonly differences: Difference[];
}

/** Neighbours of a list that all changed, such as the bytes of a store, as one: `memory[0x0][0][8..15]`. */
function* runsOf(found: Iterable<Difference>): Generator<Difference> {
  let run: Run | null = null;
  for (const difference of found) {
    const [, list = difference.path, index = '-1'] = /^(.*\])\[(\d+)\]$/.exec(difference.path) ?? [];
    const at = Number(index);
    if (run !== null && at >= 0 && run.list === list && run.first + run.differences.length === at) {
      run.differences.push(difference);
    } else {
      if (run !== null) yield joined(run);
      run = { list, first: at, differences: [difference] };
    }
  }
  if (run !== null) yield joined(run);
}

function joined({ list, first, differences: all }: Run): Difference {
  const [only] = all;
  if (only !== undefined && all.length === 1) return only;
  const path = `${list}[${first}..${first + all.length - 1}]`;
  return { path, before: all.map(({ before }) => before), after: all.map(({ after }) => after) };
}
