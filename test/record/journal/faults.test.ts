// Every file operation of a journal fails once at each of its calls, and from there on for ever, while writing and
// while repairing; then the power goes. What was acknowledged is there afterwards, and the file can be written again.

import { describe, expect, it } from 'vitest';
import { JournalError } from '../../../src/record/journal/error.ts';
import { appendTo, createJournal, recoverJournal } from '../../../src/record/journal/journal.ts';
import type { JournalWriter } from '../../../src/record/journal/write.ts';
import type { Tick } from './example.ts';
import { HEADER, tick } from './example.ts';
import type { Call, Fault, MemoryDisk } from './memory-files.ts';
import { memoryDisk } from './memory-files.ts';
import { outcomeOf, Tally } from './outcome.ts';

const EVENTS = 40;

/** Writes until something fails. @returns number of the last acknowledged event, and the error */
function write(disk: MemoryDisk, open: () => JournalWriter<Tick>): { acknowledged: number; error: unknown } {
  let writer: JournalWriter<Tick> | null = null;
  try {
    writer = open();
    while (writer.length < EVENTS) writer.append(tick(writer.length));
    writer.close();
    return { acknowledged: writer.acknowledged, error: null };
  } catch (error) {
    const acknowledged = writer?.acknowledged ?? -1;
    // The program still closes its journal; that may fail again, but only as a JournalError.
    const { fault } = disk;
    if (fault?.forEver !== true) disk.fault = null;
    try {
      writer?.close();
    } catch (again) {
      expect(again).toBeInstanceOf(JournalError);
    }
    return { acknowledged, error };
  }
}

/** After the power was cut: what was acknowledged is there, and a later run goes on safely. */
function checkAfterwards(
  disk: MemoryDisk,
  file: string,
  acknowledged: number,
  tally: Tally,
  where: string,
): void {
  disk.fault = null;
  disk.capacity = Number.POSITIVE_INFINITY;
  if (!disk.names.has(file)) {
    if (acknowledged >= 0) expect.fail(`${where}: the file is gone, ${acknowledged} was acknowledged`);
    tally.add('no file, nothing acknowledged');
    return;
  }
  const { files } = disk;
  const before = outcomeOf(file, { files });
  if (before.error !== null || before.events <= acknowledged) {
    expect.fail(`${where}: ${before.events} events, ${acknowledged} acknowledged; ${before.error?.message}`);
  }
  tally.add(before.kind);
  const { error } = write(disk, () => appendTo<Tick>(file, { files, ...SMALL }));
  expect(error, where).toBeNull();
  expect(outcomeOf(file, { files }), where).toMatchObject({ kind: 'closed', events: EVENTS });
}

const SMALL = { batchBytes: 300, commitBytes: 900 };

const CALLS: readonly Call[] = [
  'open',
  'size',
  'read',
  'write',
  'fdatasync',
  'truncate',
  'close',
  'rename',
  'remove',
  'symlink',
  'readlink',
  'syncDirectory',
];

/** Each way in which each call can fail, from its first to its last time. */
function* faults(count: (call: Call) => number): Generator<Fault> {
  for (const call of CALLS) {
    for (let nth = 1; nth <= count(call); nth++) {
      for (const forEver of [false, true]) {
        yield { call, nth, forEver };
        if (call === 'write') yield { call, nth, forEver, half: true, errno: 'ENOSPC' };
      }
    }
  }
}

/** Part of the unsynced bytes that reached the disk before the power went. */
const SHARES = [0, 0.3, 0.77, 1];

describe('a disk that fails', () => {
  it('costs nothing that was acknowledged, and the error says what is safe', () => {
    const disk = memoryDisk();
    disk.fault = { call: 'fdatasync', nth: 3, errno: 'ENOSPC' };
    const { acknowledged, error } = write(disk, () =>
      createJournal<Tick>('run.journal', HEADER, { files: disk.files, ...SMALL }),
    );
    expect(String(error)).toMatch(
      /run\.journal: cannot be written \(ENOSPC, the disk is full\); events up to seq \d+ are safe; make room/,
    );
    disk.crash(0.5);
    expect(outcomeOf('run.journal', { files: disk.files }).events).toBeGreaterThan(acknowledged);
  });

  it.each(['run.journal', 'run.journal.gz'])('at any call while %s is written', (file) => {
    const whole = memoryDisk();
    write(whole, () => createJournal<Tick>(file, HEADER, { files: whole.files, ...SMALL }));
    const tally = new Tally();
    let struck = 0;
    for (const fault of faults((call) => whole.calls.get(call) ?? 0)) {
      for (const share of SHARES) {
        const disk = memoryDisk();
        disk.fault = fault;
        const where = `${JSON.stringify(fault)} at ${share}`;
        const { acknowledged, error } = write(disk, () =>
          createJournal<Tick>(file, HEADER, { files: disk.files, ...SMALL }),
        );
        if (error !== null && !(error instanceof JournalError)) expect.fail(`${where}: ${String(error)}`);
        if (disk.struck) struck += 1;
        disk.crash(share);
        checkAfterwards(disk, file, acknowledged, tally, where);
      }
    }
    expect(struck).toBe(tally.total);
    console.log(`${file}: ${struck} faults while writing, then power cut: ${tally}`);
  });

  it.each(['run.journal', 'run.journal.gz'])('at any call while %s is repaired and appended to', (file) => {
    const torn = memoryDisk();
    write(torn, () => createJournal<Tick>(file, HEADER, { files: torn.files, ...SMALL }));
    const bytes = torn.bytes(file).subarray(0, Math.floor(torn.bytes(file).length * 0.6));
    const whole = memoryDisk();
    whole.put(file, bytes);
    const kept = outcomeOf(file, { files: whole.files });
    expect(kept.kind).toBe('torn');
    whole.calls.clear();
    write(whole, () => appendTo<Tick>(file, { files: whole.files, ...SMALL }));
    const tally = new Tally();
    for (const fault of faults((call) => whole.calls.get(call) ?? 0)) {
      for (const share of SHARES) {
        const disk = memoryDisk();
        disk.put(file, bytes);
        disk.fault = fault;
        const where = `${JSON.stringify(fault)} at ${share}`;
        const { acknowledged, error } = write(disk, () =>
          appendTo<Tick>(file, { files: disk.files, ...SMALL }),
        );
        if (error !== null && !(error instanceof JournalError)) expect.fail(`${where}: ${String(error)}`);
        disk.crash(share);
        checkAfterwards(disk, file, Math.max(acknowledged, kept.events - 1), tally, where);
        const copy = disk.names.get(`${file}.torn-1`)?.data;
        if (copy?.equals(bytes.subarray(-kept.torn)) !== true)
          expect.fail(`${where}: the torn bytes are lost`);
      }
    }
    console.log(`${file}: ${tally.total} faults while repairing and appending, then power cut: ${tally}`);
  });

  it('whatever room is left on it', () => {
    const full = memoryDisk();
    write(full, () => createJournal<Tick>('run.journal', HEADER, { files: full.files, ...SMALL }));
    const tally = new Tally();
    for (let capacity = 0; capacity < full.bytes('run.journal').length; capacity += 7) {
      const disk = memoryDisk();
      disk.capacity = capacity;
      const { acknowledged, error } = write(disk, () =>
        createJournal<Tick>('run.journal', HEADER, { files: disk.files, ...SMALL }),
      );
      expect(String(error)).toContain('ENOSPC');
      disk.crash(1);
      checkAfterwards(disk, 'run.journal', acknowledged, tally, `room for ${capacity} bytes`);
    }
    console.log(`disks of every size: ${tally}`);
  });

  it('whatever the longest write that it takes at once', () => {
    for (const longest of [1, 7, 64, 299]) {
      const disk = memoryDisk();
      disk.longestWrite = longest;
      const { error } = write(disk, () =>
        createJournal<Tick>('run.journal', HEADER, { files: disk.files, ...SMALL }),
      );
      expect(error).toBeNull();
      expect(outcomeOf('run.journal', { files: disk.files })).toMatchObject({
        kind: 'closed',
        events: EVENTS,
      });
    }
  });
});

describe('repair', () => {
  it('keeps the torn bytes beside the file, under a new name each time', () => {
    const disk = memoryDisk();
    const { files } = disk;
    write(disk, () => createJournal<Tick>('run.journal', HEADER, { files }));
    const whole = disk.bytes('run.journal');
    for (const number of [1, 2]) {
      disk.put('run.journal', whole.subarray(0, 1000));
      const recovery = recoverJournal('run.journal', { files });
      expect(recovery?.kept).toBe(`run.journal.torn-${number}`);
      const { length } = disk.bytes('run.journal');
      expect(recovery).toMatchObject({ at: length, dropped: 1000 - length });
      expect(disk.bytes(`run.journal.torn-${number}`).equals(whole.subarray(length, 1000))).toBe(true);
    }
  });

  it('leaves a whole journal alone', () => {
    const disk = memoryDisk();
    write(disk, () => createJournal<Tick>('run.journal', HEADER, { files: disk.files }));
    disk.calls.clear();
    expect(recoverJournal('run.journal', { files: disk.files })).toBeNull();
    expect(disk.calls.get('write') ?? 0).toBe(0);
  });

  it('adds the newline of a line that lacks nothing else', () => {
    const disk = memoryDisk();
    const { files } = disk;
    write(disk, () => createJournal<Tick>('run.journal', HEADER, { files }));
    const whole = disk.bytes('run.journal');
    disk.put('run.journal', whole.subarray(0, -1));
    expect(recoverJournal('run.journal', { files })).toEqual({
      dropped: 0,
      at: whole.length - 1,
      kept: null,
    });
    expect(disk.bytes('run.journal').equals(whole)).toBe(true);
  });

  it('takes zeros behind the last line for what a file system leaves', () => {
    const disk = memoryDisk();
    const { files } = disk;
    write(disk, () => createJournal<Tick>('run.journal', HEADER, { files }));
    const whole = disk.bytes('run.journal');
    disk.put('run.journal', Buffer.concat([whole, Buffer.alloc(4096)]));
    expect(recoverJournal('run.journal', { files })).toMatchObject({ dropped: 4096 });
    expect(disk.bytes('run.journal').equals(whole)).toBe(true);
  });
});
