// Two processes and one journal, with the second doing all it wants between any two file calls of the first: at most
// one writes at a time, whatever the moment, and what either was told is safe is there afterwards.

import { describe, expect, it } from 'vitest';
import { JournalError } from '../../../src/record/journal/error.ts';
import type { JournalFiles } from '../../../src/record/journal/files.ts';
import { appendTo, createJournal } from '../../../src/record/journal/journal.ts';
import type { JournalWriter } from '../../../src/record/journal/write.ts';
import type { Tick } from './example.ts';
import { HEADER, tick } from './example.ts';
import type { MemoryDisk } from './memory-files.ts';
import { memoryDisk } from './memory-files.ts';
import { outcomeOf, Tally } from './outcome.ts';

const FILE = 'run.journal';
const OTHER = 200;

/** The files, with `other` called before the nth call, from 0. */
function interrupted(files: JournalFiles, nth: number, other: () => void): JournalFiles {
  let calls = 0;
  const step =
    <Arguments extends unknown[], Result>(call: (...all: Arguments) => Result) =>
    (...all: Arguments): Result => {
      if (calls++ === nth) other();
      return call(...all);
    };
  return {
    ...files,
    open: step(files.open),
    read: step(files.read),
    write: step(files.write),
    fdatasync: step(files.fdatasync),
    truncate: step(files.truncate),
    close: step(files.close),
    rename: step(files.rename),
    remove: step(files.remove),
    symlink: step(files.symlink),
    readlink: step(files.readlink),
    isAlive: step(files.isAlive),
    syncDirectory: step(files.syncDirectory),
  };
}

/** A process that opens the journal, or makes it, appends, and closes it now or later. */
function process(disk: MemoryDisk, files: JournalFiles) {
  let writer: JournalWriter<Tick> | null = null;
  let acknowledged = -1;
  const trying = (step: () => void): void => {
    try {
      step();
    } catch (error) {
      if (!(error instanceof JournalError)) throw error;
    }
  };
  return {
    start: () =>
      trying(() => {
        writer = disk.names.has(FILE)
          ? appendTo<Tick>(FILE, { files })
          : createJournal<Tick>(FILE, HEADER, { files });
        for (let count = 0; count < 3; count++) writer.append(tick(writer.length));
        writer.flush();
        acknowledged = writer.acknowledged;
      }),
    end: () => trying(() => writer?.close()),
    get wrote() {
      return writer !== null;
    },
    get acknowledged() {
      return acknowledged;
    },
  };
}

/** What lies there when both come. */
const BEFORE: readonly (readonly [string, (disk: MemoryDisk) => void])[] = [
  ['nothing', () => {}],
  ['a journal', (disk) => createJournal(FILE, HEADER, { files: disk.files }).close()],
  [
    'a torn journal under the lock of a process that is gone',
    (disk) => {
      const writer = createJournal<Tick>(FILE, HEADER, { files: disk.files });
      for (let seq = 0; seq < 5; seq++) writer.append(tick(seq));
      writer.close();
      disk.put(FILE, disk.bytes(FILE).subarray(0, -60));
      disk.files.symlink('999@memory', `${FILE}.lock`);
    },
  ],
];

describe('two writers', () => {
  it.each(
    BEFORE.flatMap(([what, prepare]) =>
      [true, false].map((atOnce) => [what, atOnce ? 'at once' : 'after the first', prepare, atOnce] as const),
    ),
  )(
    'never write at the same time, whenever the second comes: %s, ended %s',
    (_what, _when, prepare, atOnce) => {
      const tally = new Tally();
      for (let nth = 0, came = true; came; nth++) {
        const disk = memoryDisk();
        prepare(disk);
        const second = process(disk, disk.filesOf(OTHER));
        came = false;
        const comes = (): void => {
          came = true;
          second.start();
          if (atOnce) second.end();
        };
        const first = process(disk, interrupted(disk.files, nth, comes));
        first.start();
        expect(!atOnce && first.wrote && second.wrote, `call ${nth}: both write`).toBe(false);
        first.end();
        second.end();
        const { kind, events, error } = outcomeOf(FILE, { files: disk.files });
        expect(error, `call ${nth}`).toBeNull();
        expect(events, `call ${nth}`).toBeGreaterThan(Math.max(first.acknowledged, second.acknowledged));
        const who = [first.wrote ? 'first' : '', second.wrote ? 'second' : ''].filter(Boolean).join(' and ');
        tally.add(`${who || 'nobody'} wrote, ${kind}`);
      }
      console.log(`a second writer between any two calls of the first: ${tally}`);
    },
  );
});
