// A journal cut at every byte and with every bit flipped. Whatever the damage, opening gives events as they were
// written and then says what is wrong; nothing is different without a word.

import { describe, expect, it } from 'vitest';
import { appendTo, createJournal } from '../../../src/record/journal/journal.ts';
import { HEADER, tick, ticks } from './example.ts';
import { memoryDisk } from './memory-files.ts';
import { outcomeOf, Tally } from './outcome.ts';

/** Every offset and every bit; without it a part of them that meets every place of a line. */
const LONG = process.env.STAGETWO_TORTURE === 'long';

/** Offsets to cut at: all in the first 80 and the last 5 lines, between them every 41st. */
function* cuts(ends: readonly number[]): Generator<number> {
  const [first = 0, last = 0, end = 0] = [ends[80], ends.at(-5), ends.at(-1)];
  for (let cut = 0; cut <= end; cut += LONG || cut < first || cut >= last ? 1 : 41) yield cut;
}

/** Bits to flip: all in the first 800 and the last 200 bytes, between them one in every third byte. */
function* bits(bytes: number): Generator<number> {
  for (let byte = 0; byte < bytes; byte++) {
    const all = LONG || byte < 800 || byte >= bytes - 200;
    for (let bit = 0; bit < 8; bit++) if (all || byte % 24 === bit * 3) yield byte * 8 + bit;
  }
}

/** A closed journal of so many events, in memory. */
function written(file: string, count: number, batchBytes: number): Buffer {
  const disk = memoryDisk();
  const writer = createJournal(file, HEADER, { files: disk.files, batchBytes });
  for (const event of ticks(count)) writer.append(event);
  writer.close();
  return disk.bytes(file);
}

/** Ends of the lines of a text, newline included. */
function lineEnds(text: Buffer): number[] {
  const ends: number[] = [];
  for (let at = text.indexOf(10); at !== -1; at = text.indexOf(10, at + 1)) ends.push(at + 1);
  return ends;
}

/** Appends one event after the last, closes and opens again. @returns events then */
function afterAppending(file: string, data: Buffer): number {
  const disk = memoryDisk();
  disk.put(file, data);
  const writer = appendTo(file, { files: disk.files });
  writer.append(tick(writer.length));
  writer.close();
  const { kind, events } = outcomeOf(file, { files: disk.files });
  expect(kind).toBe('closed');
  return events;
}

describe('a journal cut short', () => {
  it('gives exactly the events that were whole, and says that it was cut', () => {
    const file = 'run.journal';
    const whole = written(file, 3, 4096);
    const disk = memoryDisk();
    disk.put(file, whole.subarray(0, (lineEnds(whole)[2] ?? 0) + 20));
    expect(outcomeOf(file, { files: disk.files })).toMatchObject({ kind: 'torn', events: 2, torn: 20 });
  });

  it('does so wherever a journal of 1,000 events is cut', () => {
    const file = 'run.journal';
    const whole = written(file, 1000, 4096);
    const ends = lineEnds(whole);
    const tally = new Tally();
    const disk = memoryDisk();
    let lines = 0;
    for (const cut of cuts(ends)) {
      // A line is whole one byte before its end, when only its newline is missing.
      while (cut + 1 >= (ends[lines] ?? Number.POSITIVE_INFINITY)) lines += 1;
      const before = ends[lines - 1] ?? 0;
      disk.put(file, whole.subarray(0, cut));
      const { kind, events, torn } = outcomeOf(file, { files: disk.files });
      tally.add(kind);
      const expected = Math.min(1000, Math.max(0, lines - 1));
      const sound = events === expected && (kind === 'no-journal') === (lines === 0);
      const droppedIsRight = kind === 'no-journal' || torn === Math.max(0, cut - before);
      if (!sound || !droppedIsRight) expect.fail(`cut at ${cut}: ${kind}, ${events} events, ${torn} torn`);
      if (kind !== 'no-journal' && (LONG || cut % 997 === 0 || cut > whole.length - 200)) {
        expect(afterAppending(file, whole.subarray(0, cut)), `appended after a cut at ${cut}`).toBe(
          events + 1,
        );
        tally.add('appended safely');
      }
    }
    expect(tally.counts.get('closed')).toBe(1);
    console.log(`1,000 events in ${whole.length} bytes, cut: ${tally}`);
  }, 3_600_000);

  it('does so wherever a compressed one is cut', () => {
    const file = 'run.journal.gz';
    const whole = written(file, 1000, 4096);
    const disk = memoryDisk();
    const tally = new Tally();
    let most = 0;
    for (let cut = 0; cut <= whole.length; cut += LONG || cut < 1000 || cut > whole.length - 300 ? 1 : 17) {
      disk.put(file, whole.subarray(0, cut));
      const { kind, events } = outcomeOf(file, { files: disk.files });
      tally.add(kind);
      if (events < most || kind === 'damage') expect.fail(`cut at ${cut}: ${kind} with ${events} events`);
      most = events;
      if (kind !== 'no-journal' && cut % 499 === 0) {
        expect(afterAppending(file, whole.subarray(0, cut))).toBe(events + 1);
        tally.add('appended safely');
      }
    }
    expect(most).toBe(1000);
    console.log(`1,000 events in ${whole.length} bytes of gzip, cut: ${tally}`);
  }, 3_600_000);
});

describe('a flipped bit', () => {
  it.each([
    ['run.journal', 2 ** 18],
    ['run.journal.gz', 2 ** 12],
  ])(
    'is found wherever it is in %s',
    (file, batchBytes) => {
      const whole = written(file, 200, batchBytes);
      const disk = memoryDisk();
      const tally = new Tally();
      for (const bit of bits(whole.length)) {
        const flipped = Buffer.from(whole);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        disk.put(file, flipped);
        const { kind, events, error } = outcomeOf(file, { files: disk.files });
        const harmless = kind === 'closed' && events === 200;
        if (error === null && !harmless) expect.fail(`bit ${bit}: ${kind} with ${events} events`);
        if (kind === 'damage' && file.endsWith('journal')) {
          const place = error?.line === events + 2 || (events === 0 && error?.line === 1);
          if (!place || error?.seq !== events || error?.offset === null) {
            expect.fail(`bit ${bit} is reported at ${error?.line}, ${error?.offset}, ${error?.seq}`);
          }
        }
        tally.add(harmless ? 'harmless' : kind);
      }
      console.log(`200 events in ${whole.length} bytes of ${file}, bits flipped: ${tally}`);
      expect(tally.counts.get('harmless') ?? 0).toBeLessThan(file.endsWith('.gz') ? 200 : 1);
    },
    600_000,
  );

  it('is never repaired away', () => {
    const file = 'run.journal';
    const whole = written(file, 3, 4096);
    // The newline of the last event becomes another character: the line looks unterminated, but is not torn.
    const flipped = Buffer.from(whole.subarray(0, lineEnds(whole)[3]));
    flipped[flipped.length - 1] = 0x0b;
    const disk = memoryDisk();
    disk.put(file, flipped);
    expect(() => appendTo(file, { files: disk.files })).toThrow(
      /line 4 \(byte \d+, seq 2\): the line is damaged: its newline is missing; restore the file from a copy/,
    );
    expect(disk.bytes(file).equals(flipped)).toBe(true);
  });
});
