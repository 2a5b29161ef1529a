// The timeline of a journal. Events stay in the file: what is held are states now and then, and for every few thousand
// events the place where they stand, so that a journal may be much larger than memory.

import type { Recorded } from '../machine/events.ts';
import { CHUNK } from './event-log.ts';
import { JournalError } from './journal/error.ts';
import { nodeFiles } from './journal/files.ts';
import type { JournalOptions, JournalRecord } from './journal/read.ts';
import { bookmarkIn, nothingScanned, readRecords } from './journal/read.ts';
import type { Bookmark } from './journal/scan.ts';
import { isPlainText } from './journal/source.ts';
import type { Timeline, TimelineOptions } from './timeline.ts';
import { timelineOf } from './timeline.ts';

export interface JournalTimelineOptions extends Omit<TimelineOptions, 'heldEvents'> {
  /** Sees every record as it is read for the first time. */
  readonly seen?: (record: JournalRecord<Recorded>) => void;
  readonly journal?: Omit<JournalOptions, 'from'>;
}

/** Events of a compressed journal that are held as they are: text read back takes three times what a run's own do. */
const HELD_EVENTS = 65_536;

/**
 * Reads and checks the whole journal once. Questions about early moments read the file again; it must not be replaced
 * meanwhile, but may grow.
 * @throws JournalError if the file cannot be read or is damaged, also later, when it is read again
 */
export function timelineOfJournal(file: string, options: JournalTimelineOptions = {}): Timeline {
  const { seen = () => {}, journal = {}, ...snapshots } = options;
  const isPlain = isPlainText(file, journal.files ?? nodeFiles);
  const places: (Bookmark | null)[] = [null];

  function* events(): Generator<Recorded> {
    const scanned = nothingScanned();
    for (const record of readRecords<Recorded>(file, journal, scanned)) {
      seen(record);
      if (record.kind !== 'event') continue;
      if (isPlain && scanned.seq % CHUNK === 0) places.push(bookmarkIn(scanned));
      yield record.event;
    }
  }
  const reread = (first: number): readonly Recorded[] => {
    const from = places[first / CHUNK] ?? null;
    const again = firstEvents(readRecords<Recorded>(file, from === null ? journal : { ...journal, from }));
    if (again.length === CHUNK) return again;
    const todo = 'open it again, or restore it from a copy';
    throw new JournalError({ file, seq: first + again.length, what: 'has changed since it was read', todo });
  };
  if (!isPlain) return timelineOf(events(), { ...snapshots, heldEvents: HELD_EVENTS });
  return timelineOf(events(), { ...snapshots, heldEvents: 0 }, reread);
}

/** As many as a chunk has. */
function firstEvents(records: Generator<JournalRecord<Recorded>>): Recorded[] {
  const found: Recorded[] = [];
  for (const record of records) {
    if (record.kind === 'event') found.push(record.event);
    if (found.length === CHUNK) break;
  }
  return found;
}
