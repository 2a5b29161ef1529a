// What the commands that look back take: a journal, or a scenario or bundle that is run on the spot. Each becomes a
// timeline; a journal also knows the source from which it can be run again.

import { statSync } from 'node:fs';
import type { Recorded } from '../machine/events.ts';
import type { JournalHeader } from '../record/journal/format.ts';
import { openJournal } from '../record/journal/journal.ts';
import type { JournalRecord } from '../record/journal/read.ts';
import { timelineOfJournal } from '../record/journal-timeline.ts';
import type { Timeline } from '../record/timeline.ts';
import { record } from '../record/timeline.ts';
import { InputError } from '../trace/input-error.ts';
import type { RunSource, SourceOptions } from './run-source.ts';
import { sourceOf } from './run-source.ts';
import type { Terminal } from './terminal.ts';
import { count, grouped } from './words.ts';

export interface RecordedRun {
  /** As it was named. */
  readonly name: string;
  readonly header: JournalHeader;
  readonly timeline: Timeline;
  /** What it was run from. @throws InputError if that is not there any more or has changed */
  source(): Promise<RunSource>;
}

/** Anything but a script or a directory is taken for a journal, so that a damaged one is called what it is. */
function isJournal(argument: string): boolean {
  if (/\.(journal|jsonl)(\.gz)?$/.test(argument)) return true;
  return !/\.[cm]?[jt]s$/.test(argument) && statSync(argument, { throwIfNoEntry: false })?.isFile() === true;
}

/**
 * @param argument a journal, or a scenario or bundle as `run` and `replay` take them
 * @throws InputError or JournalError for what cannot be read or run
 */
export async function openRun(
  argument: string,
  options: SourceOptions,
  terminal: Terminal,
): Promise<RecordedRun> {
  if (isJournal(argument)) return fromJournal(argument, options, terminal);
  const source = await sourceOf(argument, options);
  terminal.progress(`running ${argument}`);
  const timeline = recordedFrom(source);
  terminal.progress('');
  return { name: argument, header: source.header, timeline, source: async () => source };
}

/** Runs it once and records everything. */
function recordedFrom(source: RunSource): Timeline {
  let timeline: Timeline | undefined;
  source.run((simulation) => {
    timeline = record(simulation);
  });
  if (timeline === undefined) throw new Error(`${source.header.source} made no simulation`);
  return timeline;
}

function fromJournal(file: string, options: SourceOptions, terminal: Terminal): RecordedRun {
  const given = Object.keys(options).find((name) => name === 'kernel' || name === 'seed');
  if (given !== undefined) {
    const todo = 'name the scenario itself to run it under another';
    throw new InputError(`--${given}`, `a journal is of one run, and ${file} says which`, todo);
  }
  const { header } = openJournal<Recorded>(file);
  const timeline = timelineOfJournal(file, { seen: reportTo(terminal, file) });
  terminal.progress('');
  if (timeline.length === 0) throw new InputError(file, 'holds no event', 'record a run that has some');
  return { name: file, header, timeline, source: () => sourceOfJournal(file, header) };
}

const reportTo = (terminal: Terminal, file: string) => (record: JournalRecord<Recorded>) => {
  if (record.kind === 'event') {
    const { seq } = record.event;
    if (seq % 50_000 === 0) terminal.progress(`reading ${file}: ${grouped(seq)} events`);
  } else if (record.kind === 'finish' && record.ending === 'torn') {
    terminal.err(`stagetwo: ${file}: ends within a line; ${count(record.events, 'event')} before it\n`);
  }
};

/** What a journal was run from. @throws InputError if that is not there any more or has changed */
export async function sourceOfJournal(where: string, header: JournalHeader): Promise<RunSource> {
  const { source: name, seed, preset, hash } = header;
  const source = await sourceOf(name, { kernel: preset, ...(seed === null ? {} : { seed }) });
  if (source.header.hash === hash) return source;
  throw new InputError(where, `${name} is not what it was when this was recorded`, 'record it anew');
}

/** What a question of the user's cannot mean is bad input, not a fault. */
export function asked<Result>(where: string, todo: string, question: () => Result): Result {
  try {
    return question();
  } catch (error) {
    if (error instanceof RangeError) throw new InputError(where, error.message, todo);
    throw error;
  }
}

/** A number of an event that is there. @throws InputError for another */
export function eventNumber(
  option: string,
  seq: number | undefined,
  { timeline, name }: RecordedRun,
): number {
  const last = timeline.length - 1;
  if (seq === undefined) return last;
  if (seq <= last) return seq;
  throw new InputError(`${option} ${seq}`, `${name} has events 0 to ${last}`, 'name one of them');
}
