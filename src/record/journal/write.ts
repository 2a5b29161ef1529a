// Writing a journal by group commit: records gather in a buffer, the buffer goes to the file in one write, and one
// fdatasync acknowledges everything written since the last. After the first failure nothing more is written: what is
// on disk then is for the next opening to judge, and trying again could only hide the loss (fsync does not repeat it).

import { crc32 } from 'node:zlib';
import { errnoWords, JournalError } from './error.ts';
import type { JournalFiles } from './files.ts';
import { writeAll } from './files.ts';
import type { Control, Journaled } from './format.ts';
import { CLOSING_LENGTH, CONTROL, closeLine, MAX_LINE } from './format.ts';
import { toMember } from './member.ts';
import type { Recovery } from './recover.ts';
import type { EnvelopeFields, ValueCodec } from './values.ts';
import { toText } from './values.ts';

export interface JournalWriter<E extends Journaled> {
  /** Events in the journal, those in the buffer included. */
  readonly length: number;
  /**
   * Number of the last event whose write and fdatasync returned, -1 for none: it and all before it survive a crash
   * of the process and of the machine. Everything later may be lost.
   */
  readonly acknowledged: number;
  /** What opening found and repaired; null for a journal that was whole or new. */
  readonly recovery: Recovery | null;
  /**
   * The next event; events must be numbered without a gap and not change afterwards.
   * @throws JournalError if it cannot be written, here or at an earlier call
   * @throws TypeError for an event with a value that no record can hold
   */
  append(event: E): void;
  /** As `append`, for an event whose envelope is still beside it. */
  appendEnclosed(event: object, envelope: EnvelopeFields): void;
  /** @param state hash of the state after the last event, see `stateHash` */
  checkpoint(state: string): void;
  /** Acknowledges every event so far. @throws JournalError if that failed; then they may be lost */
  flush(): void;
  /** Marks the end, acknowledges everything and lets others write; a second call does nothing. */
  close(): void;
}

export interface WriteOptions {
  /** Bytes of text that gather before a write; for .gz the text of a member. 256 KiB unless given. */
  readonly batchBytes?: number;
  /** Bytes of text between two calls of fdatasync, rounded up to batches. 8 MiB unless given. */
  readonly commitBytes?: number;
}

export interface Opened {
  readonly file: string;
  readonly fd: number;
  readonly files: JournalFiles;
  readonly codecs: readonly ValueCodec[];
  readonly gzip: boolean;
  /** Where the next byte goes. */
  readonly position: number;
  /** CRC of the last line. */
  readonly crc: number;
  readonly events: number;
  readonly recovery: Recovery | null;
  /** Lets the lock go. */
  readonly release: () => void;
}

const BATCH = 2 ** 18;
const COMMIT = 2 ** 23;

/** Bytes of the buffer of a batch at first; it grows with what it has to hold. */
const FIRST_BATCH = 2 ** 10;

/** A UTF-16 unit is at most 3 bytes of UTF-8. */
const WIDEST = 3;

interface Batch {
  buffer: Buffer;
  used: number;
  crc: number;
}

/** Adds one line. @param write gives the batch to the file, so that the buffer is empty */
function addLine(batch: Batch, text: string, batchBytes: number, write: () => void): void {
  const room = text.length * WIDEST + CLOSING_LENGTH;
  if (batch.used > 0 && batch.used + text.length > batchBytes) write();
  if (batch.used + room > batch.buffer.length) {
    const larger = Buffer.allocUnsafeSlow(Math.max(batch.used + room, 2 * batch.buffer.length));
    batch.buffer.copy(larger, 0, 0, batch.used);
    batch.buffer = larger;
  }
  const { buffer, used } = batch;
  const body = used + buffer.write(text, used) - 1;
  batch.crc = crc32(new Uint8Array(buffer.buffer, used, body - used), batch.crc);
  batch.used = closeLine(buffer, body, batch.crc);
}

/** The header line of a new journal, as it stands in the file. */
export function firstLine(
  control: Control,
  gzip: boolean,
): { readonly bytes: Uint8Array; readonly crc: number } {
  const batch: Batch = { buffer: Buffer.allocUnsafeSlow(0), used: 0, crc: 0 };
  addLine(batch, JSON.stringify(control), BATCH, () => {});
  const text = batch.buffer.subarray(0, batch.used);
  return { bytes: gzip ? toMember(text) : text, crc: batch.crc };
}

/** How far a writer is. */
interface Progress {
  /** Events appended. */
  events: number;
  acknowledged: number;
  failure: JournalError | null;
  closed: boolean;
}

/** The way from lines to the disk. */
interface Output {
  /** Throws what failed before, or that the journal is closed. */
  check(): void;
  addLine(text: string): void;
  /** Writes and syncs everything. */
  commit(): void;
  /** As `commit`, if enough has gathered. */
  commitIfDue(): void;
}

function createOutput(opened: Opened, options: WriteOptions, progress: Progress): Output {
  const { file, fd, files, gzip } = opened;
  const { batchBytes = BATCH, commitBytes = COMMIT } = options;
  const batch: Batch = { buffer: Buffer.allocUnsafeSlow(FIRST_BATCH), used: 0, crc: opened.crc };
  let { position } = opened;
  let unsynced = 0;

  const check = (): void => {
    if (progress.failure !== null) throw progress.failure;
    if (progress.closed) throw new JournalError({ file, what: 'is closed', todo: 'open it again to append' });
  };
  const attempt = (call: () => void): void => {
    check();
    try {
      call();
    } catch (cause) {
      progress.failure = failed(file, progress.acknowledged, cause);
      throw progress.failure;
    }
  };
  const write = (): void => {
    if (batch.used === 0) return;
    attempt(() => {
      const text = batch.buffer.subarray(0, batch.used);
      const bytes = gzip ? toMember(text) : text;
      writeAll(files, fd, bytes, bytes.length, position);
      position += bytes.length;
    });
    unsynced += batch.used;
    batch.used = 0;
  };
  const commit = (): void => {
    check();
    write();
    if (unsynced === 0) return;
    attempt(() => files.fdatasync(fd));
    progress.acknowledged = progress.events - 1;
    unsynced = 0;
  };
  return {
    check,
    commit,
    addLine: (text) => addLine(batch, text, batchBytes, write),
    commitIfDue() {
      if (unsynced + batch.used >= commitBytes) commit();
    },
  };
}

export function createWriter<E extends Journaled>(opened: Opened, options: WriteOptions): JournalWriter<E> {
  const { file, codecs, events } = opened;
  const progress: Progress = { events, acknowledged: events - 1, failure: null, closed: false };
  const output = createOutput(opened, options, progress);
  const control = (line: Control): void => {
    output.check();
    output.addLine(JSON.stringify(line));
  };
  const append = (
    place: Pick<Journaled, 'seq' | 'cause'>,
    event: object,
    envelope?: EnvelopeFields,
  ): void => {
    output.check();
    refuseOutOfOrder(file, place, progress.events);
    const text = toText(event, codecs, envelope);
    refuseText(file, place.seq, text);
    output.addLine(text);
    progress.events += 1;
    output.commitIfDue();
  };
  return {
    recovery: opened.recovery,
    get length() {
      return progress.events;
    },
    get acknowledged() {
      return progress.acknowledged;
    },
    append: (event) => append(event, event),
    appendEnclosed: (event, envelope) => append(envelope, event, envelope),
    checkpoint(state) {
      control({ journal: 'checkpoint', seq: progress.events - 1, state });
    },
    flush: output.commit,
    close() {
      if (progress.closed) return;
      try {
        control({ journal: 'end', events: progress.events });
        output.commit();
      } finally {
        progress.closed = true;
        letGo(opened, progress.failure !== null);
      }
    },
  };
}

/** @throws JournalError if the event is not the next one */
function refuseOutOfOrder(
  file: string,
  { seq, cause }: Pick<Journaled, 'seq' | 'cause'>,
  expected: number,
): void {
  if (seq === expected && (cause === null || (cause >= 0 && cause < seq))) return;
  const what = `event ${seq} (cause ${cause}) cannot follow ${expected} others`;
  throw new JournalError({ file, seq, what, todo: 'append every event once, in order, from 0' });
}

/** @throws JournalError if the event is too long for a line, or would read as another kind of line */
function refuseText(file: string, seq: number, text: string): void {
  if (text.length * WIDEST <= MAX_LINE && !text.startsWith(CONTROL)) return;
  const what = `event ${seq} is too long for a line, or its first field is named journal`;
  throw new JournalError({ file, seq, what, todo: 'split it, or name the field otherwise' });
}

/** After a failure another error says no more; without one, a failing close(2) is the failure. */
function letGo({ file, fd, files, release }: Opened, hasFailed: boolean): void {
  try {
    files.close(fd);
  } catch (cause) {
    if (!hasFailed) {
      throw new JournalError({
        file,
        what: `could not be closed (${errnoWords(cause)})`,
        todo: 'check it',
        cause,
      });
    }
  } finally {
    release();
  }
}

const failed = (file: string, acknowledged: number, cause: unknown): JournalError =>
  new JournalError({
    file,
    what: `cannot be written (${errnoWords(cause)})`,
    todo:
      acknowledged < 0
        ? 'no event is on disk yet; make room or choose another place and run again'
        : `events up to seq ${acknowledged} are safe; make room or choose another place and run again`,
    cause,
  });
