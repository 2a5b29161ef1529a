// `stagetwo diff`: what is different in the state after one event from after another.

import { wrap } from './layout.ts';
import { eventNumber, openRun } from './recorded-run.ts';
import type { SourceOptions } from './run-source.ts';
import { differenceLines, plainDifference } from './state-words.ts';
import type { Terminal } from './terminal.ts';
import { count, toJson } from './words.ts';

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
  const found = run.timeline.diff(a, b);
  if (json === true) {
    terminal.out(toJson({ from: a, to: b, differences: found.map(plainDifference) }));
    return 0;
  }
  const between = `${a === -1 ? 'before the first event' : `after event ${a}`} and after event ${b}`;
  const heading = `${argument}: ${count(found.length, 'difference')} between ${between}`;
  const names: [string, string] = [a === -1 ? 'at first' : `after ${a}`, `after ${b}`];
  const lines = differenceLines(found, names, terminal);
  terminal.out(`${[...wrap(heading, terminal.columns).map(terminal.style.strong), ...lines].join('\n')}\n`);
  return 0;
}
