// Reading a journal: the header at once, then records one by one at bounded memory. Events come as the current version
// has them; the last record says how the file ends, so that nobody takes a cut journal for a whole one.

import { JournalError } from './error.ts';
import type { JournalFiles } from './files.ts';
import { nodeFiles } from './files.ts';
import type { Journaled, JournalHeader, Upcaster } from './format.ts';
import { CONTROL, checkVersion, recordOf, UPCASTERS, upcast, VERSION } from './format.ts';
import { MACHINE_VALUES } from './machine-values.ts';
import type { Line, ScanEnd } from './scan.ts';
import { scanLines } from './scan.ts';
import type { ValueCodec } from './values.ts';

export interface JournalOptions {
  readonly files?: JournalFiles;
  /** Values besides plain data that events carry; those of the machine unless given. */
  readonly codecs?: readonly ValueCodec[];
  readonly upcasters?: Readonly<Record<number, Upcaster>>;
  /** The version that this program writes. */
  readonly version?: number;
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

export interface Scanned {
  readonly header: JournalHeader;
  readonly version: number;
  /** Events so far. */
  seq: number;
  /** The last line says that the writer ended. */
  closed: boolean;
  /** Known after the last record. */
  end: ScanEnd | null;
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
 * Opens the file and reads its header; the records follow as they are asked for, and with them every check.
 * @throws JournalError where the file cannot be read, is no journal, or is damaged
 */
export function scanJournal<E extends Journaled>(
  file: string,
  options: JournalOptions,
): { readonly scanned: Scanned; readonly records: Generator<JournalRecord<E>, void> } {
  const reader = readerOf(file, options);
  const { upcasters, current } = reader;
  const first = (start: string, whole: boolean) => checkVersion(file, start, whole, upcasters, current);
  const expecting = { seq: 0, first };
  const lines = scanLines(file, reader.files, expecting);
  const line = lines.next();
  if (line.done === true) {
    const what = line.value.torn === 0 ? 'is empty' : 'ends within its first line';
    throw new JournalError({
      file,
      what: `${what}: the run stopped before its first event`,
      todo: 'delete it',
    });
  }
  const { header, version } = headerOf(reader, line.value);
  const scanned: Scanned = { header, version, seq: 0, closed: false, end: null };
  return { scanned, records: recordsOf<E>(reader, lines, scanned, expecting) };
}

function* recordsOf<E extends Journaled>(
  reader: Reader,
  lines: Generator<Line, ScanEnd>,
  scanned: Scanned,
  expecting: { seq: number },
): Generator<JournalRecord<E>, void> {
  try {
    let next = lines.next();
    for (; next.done !== true; next = lines.next()) {
      const record = recordAt<E>(reader, scanned, next.value);
      expecting.seq = scanned.seq;
      if (record !== null) yield record;
    }
    const { lines: line, offset, torn, unterminated } = next.value;
    scanned.end = next.value;
    const ending = torn > 0 || unterminated ? 'torn' : scanned.closed ? 'closed' : 'open';
    yield { kind: 'finish', ending, events: scanned.seq, torn, line, offset };
  } finally {
    lines.return(undefined as never);
  }
}

/** Null for a line that is about the file itself. */
function recordAt<E extends Journaled>(reader: Reader, scanned: Scanned, at: Line): JournalRecord<E> | null {
  const { line, offset } = at;
  const record = parsed(reader, scanned, at);
  const isControl = at.buffer.toString('latin1', at.start, at.start + CONTROL.length) === CONTROL;
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

function headerOf(reader: Reader, at: Line): { readonly header: JournalHeader; readonly version: number } {
  const { version, source, hash, seed, preset } = parsed(reader, { seq: 0 }, at);
  const sound =
    typeof source === 'string' &&
    typeof hash === 'string' &&
    typeof preset === 'string' &&
    (seed === null || typeof seed === 'number');
  if (!sound) throw misplaced(reader, { seq: 0 }, at, 'the header is incomplete');
  return { header: { source, hash, seed, preset }, version: Number(version) };
}
