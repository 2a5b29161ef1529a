// A journal cut at every byte and with every bit flipped. Whatever the damage, opening gives events as they were
// written and then says what is wrong; nothing is different without a word. What stands before the damage is read once,
// and taken up from there: a test here shows that this comes to the same as reading from the start.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JournalError } from '../../../src/record/journal/error.ts';
import { appendTo, createJournal } from '../../../src/record/journal/journal.ts';
import type { Bookmark } from '../../../src/record/journal/scan.ts';
import { twice } from '../../helpers/twice.ts';
import { bookmarksOf, lineBookmarks } from './bookmarks.ts';
import { HEADER, tick, ticks } from './example.ts';
import { memoryDisk } from './memory-files.ts';
import type { Outcome } from './outcome.ts';
import { outcomeOf, Tally } from './outcome.ts';

/** Reads every cut and flip from the start as well, and appends to every cut. */
const LONG = process.env.STAGETWO_TORTURE === 'long';

const EVENTS = 1000;
const FLIPPED_EVENTS = 200;

/** A closed journal of so many events, in memory. */
function written(file: string, count: number, batchBytes: number): Buffer {
  const disk = memoryDisk();
  const writer = createJournal(file, HEADER, { files: disk.files, batchBytes });
  for (const event of ticks(count)) writer.append(event);
  writer.close();
  return disk.bytes(file);
}

/** The bookmark so many before the first that stands behind `at`; null for the start of the file. */
function markUpTo(marks: readonly Bookmark[], at: number, back: number): Bookmark | null {
  let low = 0;
  let high = marks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((marks[middle]?.end ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return marks[low - 1 - back] ?? null;
}

const onDisk = memoryDisk();

/** What opening these bytes comes to, from the bookmark or from the start. */
const opened = twice((file: string, data: Buffer, from: Bookmark | null): Outcome => {
  onDisk.put(file, data);
  const { files } = onDisk;
  return outcomeOf(file, from === null ? { files } : { files, from });
});

/** Cuts that are appended to: every one in the first and last lines, between them one in eleven. */
const isAppendedTo = (cut: number, { length }: Buffer): boolean =>
  LONG || cut < 4000 || cut > length - 1000 || cut % 11 === 0;

const inWords = ({ kind, events, torn, error }: Outcome): string =>
  `${kind}, ${events} events, ${torn} torn, ${error?.message}`;

/**
 * Appends one event to a cut journal and closes it.
 * @returns what is wrong then; null if everything is as it should be
 */
function faultOfAppending(file: string, cut: Buffer, from: Bookmark | null, found: Outcome): string | null {
  const disk = memoryDisk();
  disk.put(file, cut);
  const options = { files: disk.files, ...(from === null ? {} : { from }) };
  try {
    const writer = appendTo(file, options);
    if (writer.length !== found.events) return `${writer.length} events to go on from, not ${found.events}`;
    writer.append(tick(writer.length));
    writer.close();
  } catch (error) {
    const isRefused = found.kind === 'no-journal' && error instanceof JournalError;
    return isRefused && disk.bytes(file).equals(cut) ? null : String(error);
  }
  const data = disk.bytes(file);
  const whole = cut.length - found.torn;
  if (!data.subarray(0, whole).equals(cut.subarray(0, whole))) return 'what was whole has changed';
  const kept = disk.names.get(`${file}.torn-1`)?.data;
  if (found.torn > 0 && kept?.equals(cut.subarray(whole)) !== true) return 'the torn bytes are lost';
  const after = opened(file, data, from);
  return after.kind === 'closed' && after.events === found.events + 1 ? null : inWords(after);
}

const { stackTraceLimit } = Error;

// Half of the time would go into stacks that nobody reads.
beforeAll(() => {
  Error.stackTraceLimit = 0;
});

afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

describe('a journal cut short', () => {
  it('gives exactly the events that were whole, and says that it was cut', () => {
    const whole = written('run.journal', 3, 4096);
    const end = lineBookmarks(whole)[2]?.end ?? 0;
    const outcome = opened('run.journal', whole.subarray(0, end + 20), null);
    expect(outcome).toMatchObject({ kind: 'torn', events: 2, torn: 20 });
  });

  it('can be read on from any place where an earlier reading stood', () => {
    for (const file of ['run.journal', 'run.journal.gz']) {
      const whole = written(file, EVENTS, 4096);
      const marks = bookmarksOf(file, whole);
      const cut = whole.subarray(0, -7);
      const [atOnce, cutAtOnce] = [opened(file, whole, null), opened(file, cut, null)];
      for (const [index, mark] of marks.entries()) {
        if (index % 9 > 0 && index < marks.length - 20) continue;
        expect(opened(file, whole, mark)).toEqual(atOnce);
        if (mark.end <= cut.length) expect(opened(file, cut, mark)).toEqual(cutAtOnce);
      }
    }
  });

  it.each(['run.journal', 'run.journal.gz'])(
    'does so wherever %s is cut, and can be appended to',
    (file) => {
      const whole = written(file, EVENTS, 4096);
      const marks = bookmarksOf(file, whole);
      const tally = new Tally();
      let appended = 0;
      for (let cut = 0; cut <= whole.length; cut++) {
        const data = whole.subarray(0, cut);
        const from = markUpTo(marks, cut, file.endsWith('.gz') ? 0 : 1);
        const outcome = opened(file, data, from);
        // A line is whole even without its newline; a member needs its last byte.
        const last = markUpTo(marks, file.endsWith('.gz') ? cut : cut + 1, 0);
        const isRight =
          outcome.events === (last?.seq ?? 0) &&
          (outcome.kind === 'no-journal') === (last === null) &&
          outcome.torn === (last === null ? 0 : Math.max(0, cut - last.end));
        if (!isRight) expect.fail(`cut at ${cut}: ${inWords(outcome)}`);
        if (LONG || cut % 499 === 0) expect(opened(file, data, null), `cut at ${cut}`).toEqual(outcome);
        tally.add(outcome.kind);
        if (!isAppendedTo(cut, whole)) continue;
        const fault = faultOfAppending(file, data, from, outcome);
        if (fault !== null) expect.fail(`appended after a cut at ${cut}: ${fault}`);
        appended += 1;
      }
      expect(tally.total).toBe(whole.length + 1);
      expect(tally.counts.get('closed')).toBe(1);
      console.log(
        `${EVENTS} events in ${whole.length} bytes of ${file}, cut everywhere: ${tally}; ${appended} appended to`,
      );
    },
    3_600_000,
  );
});

describe('a flipped bit', () => {
  it.each(['run.journal', 'run.journal.gz'])(
    'is found wherever it is in %s',
    (file) => {
      const data = written(file, FLIPPED_EVENTS, 2 ** 12);
      const marks = bookmarksOf(file, data);
      const isGzip = file.endsWith('.gz');
      const tally = new Tally();
      for (let bit = 0; bit < data.length * 8; bit++) {
        const [byte, mask] = [bit >> 3, 1 << (bit & 7)];
        data[byte] = (data[byte] ?? 0) ^ mask;
        const from = markUpTo(marks, byte, 0);
        const outcome = opened(file, data, from);
        const { kind, events, error } = outcome;
        const isHarmless = kind === 'closed' && events === FLIPPED_EVENTS;
        if (error === null && !isHarmless) expect.fail(`bit ${bit}: ${inWords(outcome)}`);
        if (kind === 'damage' && !isGzip) {
          const isPlaced = error?.line === (from?.lines ?? 0) + 1 && error.offset === (from?.offset ?? 0);
          if (!isPlaced || error.seq !== events) expect.fail(`bit ${bit}: ${inWords(outcome)}`);
        }
        if (LONG || bit % 997 === 0) expect(opened(file, data, null), `bit ${bit}`).toEqual(outcome);
        tally.add(isHarmless ? 'harmless' : kind);
        data[byte] = (data[byte] ?? 0) ^ mask;
      }
      expect(tally.total).toBe(data.length * 8);
      console.log(`${FLIPPED_EVENTS} events in ${data.length} bytes of ${file}, every bit flipped: ${tally}`);
      // Deflate leaves bits without a meaning, at most seven at the end of each member, and says some lengths twice.
      expect(tally.counts.get('harmless') ?? 0).toBeLessThan(isGzip ? 200 : 1);
    },
    3_600_000,
  );

  it('is never repaired away', () => {
    const whole = written('run.journal', 3, 4096);
    // The newline of the last event becomes another character: the line looks unterminated, but is not torn.
    const flipped = Buffer.from(whole.subarray(0, lineBookmarks(whole)[3]?.end));
    flipped[flipped.length - 1] = 0x0b;
    const disk = memoryDisk();
    disk.put('run.journal', flipped);
    expect(() => appendTo('run.journal', { files: disk.files })).toThrow(
      /line 4 \(byte \d+, seq 2\): the line is damaged: its newline is missing; restore the file from a copy/,
    );
    expect(disk.bytes('run.journal').equals(flipped)).toBe(true);
  });
});
