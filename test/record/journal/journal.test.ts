import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import type { Upcaster } from '../../../src/record/journal/format.ts';
import { appendTo, createJournal, openJournal } from '../../../src/record/journal/journal.ts';
import type { JournalOptions } from '../../../src/record/journal/read.ts';
import type { Tick } from './example.ts';
import { HEADER, tick, ticks } from './example.ts';
import { memoryDisk } from './memory-files.ts';
import { outcomeOf } from './outcome.ts';

const folder = mkdtempSync(join(tmpdir(), 'stagetwo-journal-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const VERSION_1 = join(import.meta.dirname, '..', '..', 'fixtures', 'journals', 'version-1.jsonl');

const recordsOf = (file: string, options?: JournalOptions) => [...openJournal<Tick>(file, options).records()];

/** A closed journal in memory. */
function written(file: string, count: number, batchBytes = 4096): Buffer {
  const disk = memoryDisk();
  const writer = createJournal<Tick>(file, HEADER, { files: disk.files, batchBytes });
  for (const event of ticks(count)) writer.append(event);
  writer.close();
  return disk.bytes(file);
}

/** The options to read these bytes. */
function holding(file: string, data: Buffer): JournalOptions {
  const disk = memoryDisk();
  disk.put(file, data);
  return { files: disk.files };
}

describe('a journal', () => {
  it('is written as lines of JSON and read back as it was', () => {
    const file = join(folder, 'run.jsonl');
    const writer = createJournal<Tick>(file, HEADER);
    writer.append({ type: 'tick', value: 0x5an, seq: 0, cause: null });
    writer.append({ type: 'tick', value: null, seq: 1, cause: 0 });
    writer.checkpoint('c0ffee');
    expect(writer.acknowledged, 'nothing is acknowledged before it is on disk').toBe(-1);
    writer.flush();
    expect(writer.acknowledged).toBe(1);
    writer.close();
    expect(readFileSync(file, 'utf8').split('\n')).toEqual([
      `{"journal":"stagetwo","version":1,"source":"scenarios/one-store.ts","hash":"${HEADER.hash}",` +
        '"seed":1,"preset":"6.12","crc":"44a8e504"}',
      '{"type":"tick","value":{"$bigint":"0x5a"},"seq":0,"cause":null,"crc":"2567304c"}',
      '{"type":"tick","value":null,"seq":1,"cause":0,"crc":"fae95bf9"}',
      '{"journal":"checkpoint","seq":1,"state":"c0ffee","crc":"0d074fd3"}',
      '{"journal":"end","events":2,"crc":"44d535b9"}',
      '',
    ]);
    const journal = openJournal<Tick>(file);
    expect(journal.header).toEqual(HEADER);
    expect([...journal.records()]).toMatchObject([
      { kind: 'event', event: { type: 'tick', value: 0x5an, seq: 0, cause: null }, line: 2 },
      { kind: 'event', event: { type: 'tick', value: null, seq: 1, cause: 0 }, line: 3 },
      { kind: 'checkpoint', seq: 1, state: 'c0ffee', line: 4 },
      { kind: 'finish', ending: 'closed', events: 2, torn: 0 },
    ]);
  });

  it('is the same bytes for the same events, however they are grouped', () => {
    const whole = written('a', 300);
    expect(written('b', 300, 100).equals(whole)).toBe(true);
    expect(written('c', 300, 2 ** 20).equals(whole)).toBe(true);
    expect(gunzipSync(written('d.gz', 300)).equals(whole)).toBe(true);
  });

  it('goes on where another run ended, compressed or not', () => {
    for (const name of ['longer.jsonl', 'longer.jsonl.gz']) {
      const file = join(folder, name);
      createJournal<Tick>(file, HEADER).close();
      for (const length of [10, 20]) {
        const writer = appendTo<Tick>(file, { batchBytes: 200 });
        while (writer.length < length) writer.append(tick(writer.length));
        writer.close();
      }
      expect(outcomeOf(file, {})).toMatchObject({ kind: 'closed', events: 20 });
    }
  });

  it('can be compressed by any gzip and read, but not appended to', () => {
    const options = holding('run.gz', gzipSync(written('run', 50)));
    expect(outcomeOf('run.gz', options)).toMatchObject({ kind: 'closed', events: 50 });
    expect(() => appendTo('run.gz', options)).toThrow(
      'run.gz: was compressed by another program; gunzip it first',
    );
    const cut = holding('run.gz', gzipSync(written('run', 50)).subarray(0, 500));
    expect(() => openJournal('run.gz', cut)).toThrow(
      'in the gzip of another program (Z_BUF_ERROR, the compressed data ends early); gunzip it first: that gives',
    );
  });

  it('never takes the place of another file unless told to', () => {
    const file = join(folder, 'kept.jsonl');
    createJournal<Tick>(file, HEADER).close();
    expect(() => createJournal(file, HEADER)).toThrow('kept.jsonl: exists already; name another file');
    const writer = createJournal<Tick>(file, HEADER, { overwrite: true });
    writer.append(tick(0));
    writer.close();
    expect(recordsOf(file)).toHaveLength(2);
  });

  it('takes events in order only, and none after it is closed', () => {
    const { files } = memoryDisk();
    const writer = createJournal<Tick>('run', HEADER, { files });
    expect(() => writer.append(tick(1))).toThrow('event 1 (cause 0) cannot follow 0 others');
    expect(() => writer.append({ ...tick(0), cause: 0 })).toThrow('event 0 (cause 0) cannot follow');
    writer.append(tick(0));
    writer.close();
    writer.close();
    expect(() => writer.append(tick(1))).toThrow('run: is closed; open it again to append');
  });
});

describe('a file that is no sound journal', () => {
  it.each([
    ['empty', Buffer.alloc(0), 'run: is empty; delete it: the run stopped before its first event'],
    ['cut in its header', written('x', 1).subarray(0, 40), 'run: ends within its first line; delete it'],
    [
      'another text',
      Buffer.from('hello\nworld\n'),
      'run: line 1 (byte 0): this is no journal of stagetwo; name',
    ],
    ['text without a newline', Buffer.from('hello'), 'run: line 1 (byte 0): this is no journal of stagetwo'],
    ['binary', Buffer.from([1, 2, 3, 0xff]), 'run: line 1 (byte 0): this is no journal of stagetwo'],
  ])('is refused in plain words: %s', (_what, data, message) => {
    expect(() => openJournal('run', holding('run', data))).toThrow(message);
  });

  it.each([
    ['a line is missing', (lines: string[]) => lines.toSpliced(3, 1), 4],
    ['a line is doubled', (lines: string[]) => lines.toSpliced(3, 0, lines[3] ?? ''), 5],
    ['two lines are exchanged', ([a, b, c, d, ...rest]: string[]) => [a, b, d, c, ...rest], 3],
    ['a value is edited', (lines: string[]) => lines.with(4, (lines[4] ?? '').replace('12288', '12289')), 5],
    ['the file has DOS newlines', (lines: string[]) => lines.map((line) => `${line}\r`), 1],
  ])('is damaged where %s', (_what, change, line) => {
    const lines = written('run', 5).toString().split('\n');
    const options = holding('run', Buffer.from(change(lines).join('\n')));
    const { kind, events, error } = outcomeOf('run', options);
    expect({ kind, line: error?.line, events }).toEqual({
      kind: 'damage',
      line,
      events: Math.max(0, line - 2),
    });
    expect(error?.todo).toBe('restore the file from a copy; everything before this line can still be read');
  });

  it('keeps to bounded memory, whatever stands in it', () => {
    const disk = memoryDisk();
    disk.put('run', Buffer.concat([written('run', 1), Buffer.alloc(65 * 2 ** 20, 0x20)]));
    expect(outcomeOf('run', { files: disk.files }).error?.message).toContain('longer than any line may be');
  });
});

describe('a journal of another version', () => {
  it('of version 1 opens, as it was written', () => {
    const expected = ticks(12).map((event) => ({ kind: 'event', event }));
    expect(recordsOf(VERSION_1).filter(({ kind }) => kind === 'event')).toMatchObject(expected);
    expect(openJournal(VERSION_1)).toMatchObject({ header: HEADER, version: 1 });
  });

  it('has its events brought up step by step', () => {
    const upcasters: Record<number, Upcaster> = {
      1: ({ value, ...rest }) => ({ ...rest, amount: value }),
      2: ({ amount, ...rest }) => ({ ...rest, amount, unit: 'bytes' }),
    };
    const [first] = recordsOf(VERSION_1, { upcasters, version: 3 });
    expect(first).toMatchObject({ event: { type: 'tick', amount: 0n, unit: 'bytes', seq: 0 } });
  });

  it('says why not, where it cannot be opened', () => {
    expect(() => openJournal(VERSION_1, { version: 2 })).toThrow(
      'the journal is of version 1, and version 1 has no way to 2; read it with the stagetwo that wrote it',
    );
    const { files } = memoryDisk();
    createJournal('later', HEADER, { files, version: 4 }).close();
    expect(() => openJournal('later', { files })).toThrow(
      'the journal is of version 4, this stagetwo reads versions up to 1; use a newer stagetwo',
    );
    const options = {
      files,
      version: 5,
      upcasters: { 4: (event: Readonly<Record<string, unknown>>) => event },
    };
    expect(() => appendTo('later', options)).toThrow('is of version 4, and this stagetwo writes version 5');
  });
});
