// A journal against its own source: the scenario or bundle that it names is run again, and every event is compared as
// it comes, so that neither run has to be held.

import { existsSync } from 'node:fs';
import type { Recorded } from '../machine/events.ts';
import type { JournalHeader } from '../record/journal/format.ts';
import { openJournal } from '../record/journal/journal.ts';
import { MACHINE_VALUES } from '../record/journal/machine-values.ts';
import { toText } from '../record/journal/values.ts';
import { InputError } from '../trace/input-error.ts';
import { sourceOfJournal } from './recorded-run.ts';
import type { RunSource } from './run-source.ts';

export type RunAgain =
  /** Every event of the journal; a journal that was cut is the beginning of the run. */
  | { readonly kind: 'same'; readonly events: number }
  /** The first event that is another; null where one of the two has no more. */
  | {
      readonly kind: 'different';
      readonly seq: number;
      readonly recorded: string | null;
      readonly now: string | null;
    }
  /** The source is not there, or is not what it was. */
  | { readonly kind: 'not-run'; readonly why: string };

/**
 * @param file a journal that was read to its end and is sound
 * @param isWhole its run had ended when it was closed
 */
export async function runAgain(file: string, header: JournalHeader, isWhole: boolean): Promise<RunAgain> {
  const { source } = header;
  if (!existsSync(source)) return { kind: 'not-run', why: `there is no ${source} here` };
  try {
    return compared(file, await sourceOfJournal(source, header), isWhole);
  } catch (error) {
    if (error instanceof InputError) return { kind: 'not-run', why: error.message };
    throw error;
  }
}

function compared(file: string, source: RunSource, isWhole: boolean): RunAgain {
  const recorded = eventsOf(file);
  let events = 0;
  let verdict: RunAgain | null = null;
  let failure: { readonly error: unknown } | null = null;
  const compare = (now: Recorded): void => {
    const next = recorded.next();
    if (next.done === true) {
      const { seq, type } = now;
      verdict = isWhole ? { kind: 'different', seq, recorded: null, now: type } : { kind: 'same', events };
    } else if (textOf(next.value) === textOf(now)) events += 1;
    else verdict = { kind: 'different', seq: events, recorded: next.value.type, now: now.type };
  };
  source.run((simulation) => {
    simulation.bus.all.subscribe((event) => {
      if (verdict !== null || failure !== null) return;
      try {
        compare(event);
      } catch (error) {
        // Thrown here it would leave the bus aside and surface nowhere.
        failure = { error };
      }
    });
  });
  if (failure !== null) throw (failure as { readonly error: unknown }).error;
  if (verdict !== null) return verdict;
  const rest = recorded.next();
  if (rest.done === true) return { kind: 'same', events };
  return { kind: 'different', seq: events, recorded: rest.value.type, now: null };
}

function* eventsOf(file: string): Generator<Recorded, void> {
  for (const record of openJournal<Recorded>(file).records()) {
    if (record.kind === 'event') yield record.event;
  }
}

const textOf = (event: Recorded): string => toText(event, MACHINE_VALUES);
