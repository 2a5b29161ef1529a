// Reading a journal: the header at once, then records one by one at bounded memory. Events come as the current version
// has them; the last record says how the file ends, so that nobody takes a cut journal for a whole one.

import { JournalError } from './error.ts';
import type { JournalFiles } from './files.ts';
import { nodeFiles } from './files.ts';
import type { Journaled, JournalHeader, Upcaster } from './format.ts';
import { checkVersion, opensControl, recordOf, UPCASTERS, upcast, VERSION } from './format.ts';
import { MACHINE_VALUES } from './machine-values.ts';
import type { Bookmark, Line, Scan, ScanEnd } from './scan.ts';
import { openScan } from './scan.ts';
import type { ValueCodec } from './values.ts';

export interface JournalOptions {
  readonly files?: JournalFiles;
  /** Values besides plain data that events carry; those of the machine unless given. */
  readonly codecs?: readonly ValueCodec[];
  readonly upcasters?: Readonly<Record<number, Upcaster>>;
  /** The version that this program writes. */
  readonly version?: number;
  /**
   * Read on from where an earlier reading of the same file ended, however it has grown since; the file's form and,
   * where it is asked for, its header are still looked at, all other lines before are not.
   */
  readonly from?: Bookmark;
}

interface Placed {
  /** From 1. */
  readonly line: number;
  /** Bytes of the journal's text before it. */
  readonly offset: number;
}

export type JournalRecord<E extends Journaled> =
  | (Placed & { readonly kind: 'event'; readonly event: E })
  | (Placed & { readonly kind: 'checkpoint'; readonly seq: number; readonly state: string })
  | (Placed & {
      readonly kind: 'finish';
      /**
       * `closed`: the writer ended as it should. `open`: it did not, or it is still writing; whatever it had
       * acknowledged is here. `torn`: as `open`, with `torn` bytes behind that are the beginning of a write.
       */
      readonly ending: 'closed' | 'open' | 'torn';
      /** Events in the journal. */
      readonly events: number;
      readonly torn: number;
    });

/** What the reading of a journal learns beside its records. */
export interface Scanned {
  header: JournalHeader | null;
  version: number;
  /** Events so far. */
  seq: number;
  /** The last line says that the writer ended. */
  closed: boolean;
  /** Known after the last record. */
  end: ScanEnd | null;
  /** The way through the lines, while they are read. */
  scan: Scan | null;
}

export const nothingScanned = (): Scanned => ({
  header: null,
  version: 0,
  seq: 0,
  closed: false,
  end: null,
  scan: null,
});

/** Behind the last record that was read, in a journal of plain text. @throws RangeError before the first */
export function bookmarkIn({ scan, seq, version, closed }: Scanned): Bookmark {
  if (scan === null) throw new RangeError('nothing has been read');
  const place = scan.place();
  return { ...place, end: place.offset, seq, version, closed };
}

interface Reader {
  readonly file: string;
  readonly files: JournalFiles;
  readonly codecs: readonly ValueCodec[];
  readonly upcasters: Readonly<Record<number, Upcaster>>;
  readonly current: number;
}

const readerOf = (file: string, options: JournalOptions): Reader => ({
  file,
  files: options.files ?? nodeFiles,
  codecs: options.codecs ?? MACHINE_VALUES,
  upcasters: options.upcasters ?? UPCASTERS,
  current: options.version ?? VERSION,
});

/**
 * Every record in order, with `scanned` kept up; the file is open from the first record asked for to the last.
 * @throws JournalError where the file cannot be read, is no journal, or is damaged
 */
export function* readRecords<E extends Journaled>(
  file: string,
  options: JournalOptions,
  scanned = nothingScanned(),
): Generator<JournalRecord<E>, void> {
  const reader = readerOf(file, options);
  const { from = null } = options;
  const { scan, expecting } = openReader(reader, from);
  scanned.scan = scan;
  try {
    if (from === null) readHeader(reader, scan, scanned);
    else Object.assign(scanned, { seq: from.seq, version: from.version, closed: from.closed });
    for (let line = scan.next(); line !== null; line = scan.next()) {
      const record = recordAt<E>(reader, scanned, line);
      expecting.seq = scanned.seq;
      if (record !== null) yield record;
    }
    scanned.end = scan.end;
    if (scan.end === null) return;
    const { lines: line, offset, torn, unterminated } = scan.end;
    const ending = torn > 0 || unterminated ? 'torn' : scanned.closed ? 'closed' : 'open';
    yield { kind: 'finish', ending, events: scanned.seq, torn, line, offset };
  } finally {
    scan.close();
  }
}

/** Reads the first line only. @throws JournalError as `readRecords` */
export function readFirst(file: string, options: JournalOptions): { header: JournalHeader; version: number } {
  const reader = readerOf(file, options);
  const { scan } = openReader(reader, null);
  try {
    return readHeader(reader, scan, nothingScanned());
  } finally {
    scan.close();
  }
}

function openReader(
  reader: Reader,
  from: Bookmark | null,
): { readonly scan: Scan; readonly expecting: { seq: number } } {
  const { file, files, upcasters, current } = reader;
  const first = (start: string, whole: boolean) => checkVersion(file, start, whole, upcasters, current);
  const expecting = { seq: from?.seq ?? 0, first };
  return { scan: openScan(file, files, expecting, from), expecting };
}

/** Null for a line that is about the file itself. */
function recordAt<E extends Journaled>(reader: Reader, scanned: Scanned, at: Line): JournalRecord<E> | null {
  const { line, offset } = at;
  const record = parsed(reader, scanned, at);
  const isControl = opensControl(at.buffer, at.start);
  scanned.closed = isControl && record.journal === 'end';
  if (!isControl) {
    const event = upcast(record, scanned.version, reader.current, reader.upcasters);
    checkEvent(reader, scanned, at, event);
    scanned.seq += 1;
    return { kind: 'event', event: event as unknown as E, line, offset };
  }
  if (record.journal === 'checkpoint' && record.seq === scanned.seq - 1 && typeof record.state === 'string') {
    return { kind: 'checkpoint', seq: record.seq, state: record.state, line, offset };
  }
  if (scanned.closed && record.events === scanned.seq) return null;
  throw misplaced(reader, scanned, at, `a line about ${String(record.journal)} does not belong here`);
}

function checkEvent(
  reader: Reader,
  scanned: Scanned,
  at: Line,
  { seq, cause, type }: Readonly<Record<string, unknown>>,
): void {
  if (seq !== scanned.seq) throw misplaced(reader, scanned, at, `event ${String(seq)} stands here`);
  const isEarlier = Number.isInteger(cause) && Number(cause) >= 0 && Number(cause) < scanned.seq;
  if (cause !== null && !isEarlier) {
    throw misplaced(reader, scanned, at, `its cause, ${String(cause)}, is no earlier event`);
  }
  if (typeof type !== 'string') throw misplaced(reader, scanned, at, 'the event has no type');
}

function parsed(reader: Reader, scanned: Pick<Scanned, 'seq'>, { buffer, start, end, line, offset }: Line) {
  try {
    return recordOf(buffer, start, end, reader.codecs);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw misplaced(reader, scanned, { buffer, start, end, line, offset }, `it cannot be read: ${why}`);
  }
}

/** The line has a sound checksum, so that no disk made it what it is. */
function misplaced(
  { file }: Reader,
  { seq }: Pick<Scanned, 'seq'>,
  { line, offset }: Line,
  what: string,
): JournalError {
  const todo = 'the file was altered or written by another program; take the one that stagetwo wrote';
  return new JournalError({ file, line, offset, seq, what, todo });
}

function readHeader(
  reader: Reader,
  scan: Scan,
  scanned: Scanned,
): { readonly header: JournalHeader; readonly version: number } {
  const at = scan.next();
  if (at === null) {
    const what = scan.end?.torn === 0 ? 'is empty' : 'ends within its first line';
    const todo = 'delete it: the run stopped before its first event';
    throw new JournalError({ file: reader.file, what, todo });
  }
  const { version, source, hash, seed, preset } = parsed(reader, scanned, at);
  const sound =
    typeof source === 'string' &&
    typeof hash === 'string' &&
    typeof preset === 'string' &&
    (seed === null || typeof seed === 'number');
  if (!sound) throw misplaced(reader, scanned, at, 'the header is incomplete');
  const header = { source, hash, seed, preset };
  scanned.header = header;
  scanned.version = Number(version);
  return { header, version: Number(version) };
}
