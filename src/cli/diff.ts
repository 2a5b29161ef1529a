// `stagetwo diff`: what is different in the state after one event from after another.

import { eachDifference } from '../record/difference.ts';
import { differenceLines, plainDifference } from './difference-words.ts';
import { wrap } from './layout.ts';
import { eventNumber, openRun } from './recorded-run.ts';
import type { SourceOptions } from './run-source.ts';
import type { Terminal } from './terminal.ts';
import { count, grouped, jsonPieces } from './words.ts';

export interface DiffOptions extends SourceOptions {
  readonly from?: number;
  readonly to?: number;
  readonly json?: boolean;
}

/** @throws InputError for a run that cannot be read and events that are not there */
export async function diff(
  argument: string,
  { from, to, json, ...options }: DiffOptions,
  terminal: Terminal,
): Promise<number> {
  const run = await openRun(argument, options, terminal);
  const b = eventNumber('--to', to, run);
  const a = from === undefined ? -1 : eventNumber('--from', from, run);
  const found = eachDifference(run.timeline.at(a), run.timeline.at(b));
  if (json === true) {
    for (const piece of jsonPieces({ from: a, to: b }, 'differences', found, plainDifference))
      terminal.out(piece);
    return 0;
  }
  const between = `${a === -1 ? 'the beginning' : `event ${grouped(a)}`} and event ${grouped(b)}`;
  const names: [string, string] = [a === -1 ? 'at first' : `after ${a}`, `after ${b}`];
  const { total, lines } = differenceLines(found, names, terminal);
  const heading = `${argument}: ${count(total, 'difference')} between ${between}`;
  terminal.out(`${[...wrap(heading, terminal.columns).map(terminal.style.strong), ...lines].join('\n')}\n`);
  return 0;
}
