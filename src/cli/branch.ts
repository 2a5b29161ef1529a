// `stagetwo branch`: the run again, with one thing changed after an event, and the two futures side by side.

import type { Recorded } from '../machine/events.ts';
import { branch as branchOff } from '../record/branch.ts';
import { differences } from '../record/difference.ts';
import { deathsIn } from '../record/fact.ts';
import type { Timeline } from '../record/timeline.ts';
import { parseStep } from './branch-steps.ts';
import { differenceLines, plainDifference } from './difference-words.ts';
import { eventLine } from './event-words.ts';
import type { Cell } from './layout.ts';
import { facts, table, wrap } from './layout.ts';
import type { Parting } from './parting.ts';
import { partingOf } from './parting.ts';
import { asked, eventNumber, openRun } from './recorded-run.ts';
import { ruleText } from './rule-words.ts';
import type { SourceOptions } from './run-source.ts';
import type { Terminal } from './terminal.ts';
import { grouped, toJson } from './words.ts';

export interface BranchOptions extends SourceOptions {
  readonly at: number;
  readonly json?: boolean;
}

/** @throws InputError for a run or a step that cannot be read, and a source that is not there or has changed */
export async function branch(
  argument: string,
  words: readonly string[],
  { at, json, ...options }: BranchOptions,
  terminal: Terminal,
): Promise<number> {
  const steps = words.map(parseStep);
  const run = await openRun(argument, options, terminal);
  const seq = eventNumber('--at', at, run);
  const source = await run.source();
  terminal.progress(`running ${source.header.source} again`);
  const other = asked(argument, 'record it anew', () =>
    branchOff(run.timeline, {
      run: (onSimulation) => source.run(onSimulation),
      at: seq,
      change: (state) => steps.map((step) => step(state)),
    }),
  );
  terminal.progress('');
  const futures: Futures = { first: run.timeline, second: other, at: seq, steps: words };
  if (json === true) terminal.out(toJson(document(futures)));
  else terminal.out(`${branchLines(futures, terminal).join('\n')}\n`);
  return 0;
}

interface Futures {
  readonly first: Timeline;
  readonly second: Timeline;
  /** Equal up to this event. */
  readonly at: number;
  readonly steps: readonly string[];
}

const eventsAfter = (timeline: Timeline, at: number): readonly Recorded[] =>
  Array.from({ length: timeline.length - at - 1 }, (_, index) => timeline.event(at + 1 + index));

const finalDifferences = ({ first, second }: Futures) =>
  differences(first.at(first.length - 1), second.at(second.length - 1));

function partingOfFutures({ first, second, at }: Futures): Parting | null {
  return partingOf({ events: eventsAfter(first, at) }, { events: eventsAfter(second, at) });
}

function fates(timeline: Timeline): { readonly vm: string; readonly dead: number | null }[] {
  const last = timeline.length - 1;
  const deaths = deathsIn(timeline);
  return timeline.at(last).vms.map(({ name }, id) => ({ vm: name, dead: deaths(id, last) }));
}

const document = (futures: Futures) => ({
  at: futures.at,
  steps: futures.steps,
  parting: partingOfFutures(futures),
  original: { events: futures.first.length, vms: fates(futures.first) },
  branch: { events: futures.second.length, vms: fates(futures.second) },
  differences: finalDifferences(futures).map(plainDifference),
});

function branchLines(futures: Futures, terminal: Terminal): string[] {
  const { columns: width, style } = terminal;
  const heading = `after event ${futures.at}: ${futures.steps.join(', then ')}`;
  const parting = partingOfFutures(futures);
  return [
    ...wrap(heading, width).map(style.strong),
    ...(parting === null ? ['nothing came of it'] : partingLines(parting, terminal)),
    '',
    style.strong('what became of it'),
    ...outcomeLines(futures, terminal),
    '',
    style.strong('the last states'),
    ...differenceLines(finalDifferences(futures), ['original', 'branch'], terminal).lines,
  ];
}

function partingLines({ first, second, because }: Parting, { columns: width, style }: Terminal): string[] {
  const words = (event: Recorded | null): string =>
    event === null ? 'had ended' : `event ${event.seq}, ${event.type} ${eventLine(event)}`.trimEnd();
  const rows: [string, Cell][] = [
    ['original', words(first)],
    ['branch', words(second)],
  ];
  if (because?.first != null) rows.push(['original, because', ruleText(because.first)]);
  if (because?.second != null) rows.push(['branch, because', ruleText(because.second)]);
  return ['they part at', ...facts(rows, { width, indent: 2, headerStyle: style.dim })];
}

function outcomeLines({ first, second }: Futures, { columns: width, style }: Terminal): string[] {
  const [left, right] = [fates(first), fates(second)];
  const fate = (dead: number | null | undefined): string =>
    dead == null ? 'lives' : `KVM_RUN gave errno ${dead}`;
  const rows: Cell[][] = [
    ['events', grouped(first.length), grouped(second.length)],
    ...left.map(({ vm, dead }, id): Cell[] => [vm, fate(dead), fate(right[id]?.dead)]),
  ];
  const columns = [{ header: '' }, { header: 'original', wrapsTo: 12 }, { header: 'branch', wrapsTo: 12 }];
  return table(columns, rows, { width, indent: 2, headerStyle: style.dim });
}
