// Opens whatever lies on a disk and says what came of it: the vocabulary in which the torture tests count. Anything
// but these outcomes is a crash and fails the test that meets it.

import { JournalError } from '../../../src/record/journal/error.ts';
import { openJournal } from '../../../src/record/journal/journal.ts';
import type { JournalOptions } from '../../../src/record/journal/read.ts';
import { readRecords } from '../../../src/record/journal/read.ts';
import type { Tick } from './example.ts';
import { isTick } from './example.ts';

export interface Outcome {
  readonly kind: 'closed' | 'open' | 'torn' | 'damage' | 'no-journal';
  /** Events before the end or before the damage, each as it was written. */
  readonly events: number;
  readonly torn: number;
  readonly error: JournalError | null;
}

/**
 * @param options `from` a place that is already known to be sound, to look at the rest only
 * @throws Error for an event that differs from what was written, and whatever is no JournalError
 */
export function outcomeOf(file: string, options: JournalOptions): Outcome {
  const { from } = options;
  let events = from?.seq ?? 0;
  try {
    const isWhole = from === undefined;
    const records = isWhole ? openJournal<Tick>(file, options).records() : readRecords<Tick>(file, options);
    for (const record of records) {
      if (record.kind === 'event') {
        if (!isTick(record.event, events)) throw new Error(`event ${events} is silently different`);
        events += 1;
      } else if (record.kind === 'finish') {
        return { kind: record.ending, events, torn: record.torn, error: null };
      }
    }
  } catch (error) {
    if (!(error instanceof JournalError)) throw error;
    const kind = error.message.includes('damaged') ? 'damage' : 'no-journal';
    return { kind, events, torn: 0, error };
  }
  throw new Error('the records end without saying how');
}

/** How often each outcome came, for the test's report. */
export class Tally {
  readonly counts = new Map<string, number>();

  add(outcome: string): void {
    this.counts.set(outcome, (this.counts.get(outcome) ?? 0) + 1);
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }

  toString(): string {
    return [...this.counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ');
  }
}
