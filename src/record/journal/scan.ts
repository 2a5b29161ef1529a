// The lines of a journal, each checked before its content is looked at. Strict inside: the first line that is not as it
// was written stops the reading with its place. Only what a crash leaves behind the last newline is taken for torn.

import { JournalError } from './error.ts';
import type { JournalFiles } from './files.ts';
import { CLOSING_LENGTH, checkedLine, MAX_LINE, NEWLINE } from './format.ts';
import { isZero } from './member.ts';
import type { SourceEnd } from './source.ts';
import { textOf } from './source.ts';

/** A whole line; all of it is good until the next is asked for. */
export interface Line {
  readonly buffer: Buffer;
  readonly start: number;
  /** Without the newline. */
  readonly end: number;
  /** From 1. */
  readonly line: number;
  /** Bytes of text before it. */
  readonly offset: number;
}

export interface ScanEnd extends SourceEnd {
  /** CRC of the last whole line. */
  readonly crc: number;
  /** Number of whole lines. */
  readonly lines: number;
  /** Bytes of text in whole lines. */
  readonly offset: number;
  /** Bytes behind the last whole line: of the text, or of a torn gzip member. */
  readonly torn: number;
  /** The last line is whole but for its newline. */
  readonly unterminated: boolean;
}

/** Where a reading ended, or stands between two lines: another can go on there and check only what follows. */
export interface Bookmark extends Pick<ScanEnd, 'end' | 'crc' | 'lines' | 'offset'> {
  /** Events before it. */
  readonly seq: number;
  /** Of the journal. */
  readonly version: number;
  /** The line before it says that the writer ended. */
  readonly closed: boolean;
}

/** What the reader of the lines knows better. */
export interface Expecting {
  /** The next event, for messages. */
  readonly seq: number;
  /**
   * Sees the start of the first line before anything is checked; `whole` if its newline is there.
   * @throws JournalError for a file that is no journal, or none of ours
   */
  first(start: string, whole: boolean): void;
}

export interface Scan {
  /**
   * The next whole line, or null at the end of the file.
   * @throws JournalError with the place of the first line that is damaged
   */
  next(): Line | null;
  /** How the file ends; null before `next` gave null. */
  readonly end: ScanEnd | null;
  /** Where the next line starts. A journal of plain text can be read on from here, one of gzip members cannot. */
  place(): Pick<Bookmark, 'crc' | 'lines' | 'offset'>;
  /** Closes the file; a scan that ended or threw has done so. */
  close(): void;
}

/** As much of the first line as says what the file is. */
const FIRST = 64;

const NOTHING = Buffer.alloc(0);
const BEGINNING = { lines: 0, offset: 0, crc: 0, end: 0 };

interface Cursor {
  buffer: Buffer;
  start: number;
  end: number;
  line: number;
  offset: number;
  /** CRC of the line before the next. */
  crc: number;
  /** Where the next line starts in the buffer. */
  next: number;
}

// One object steps through the file, without a generator for each layer: they would cost more than the checks.
export function openScan(
  file: string,
  files: JournalFiles,
  expecting: Expecting,
  from: Bookmark | null = null,
): Scan {
  const { lines: line, offset, crc: before } = from ?? BEGINNING;
  const cursor: Cursor = { buffer: NOTHING, start: 0, end: 0, line, offset, crc: before, next: 0 };
  const text = textOf(file, files, from ?? BEGINNING);
  let scanEnd: ScanEnd | null = null;

  /** Takes the line up to `end`, which `next` and `crc` say is whole. */
  const take = (end: number, crc: number): Line => {
    cursor.offset = offsetBehind(cursor);
    cursor.line += 1;
    cursor.start = cursor.next;
    cursor.end = end;
    cursor.next = end + 1;
    cursor.crc = crc;
    return cursor;
  };
  const fail = (why: string): JournalError => damaged(file, cursor, expecting, why);

  const next = (): Line | null => {
    if (scanEnd !== null) return null;
    let end = cursor.buffer.indexOf(NEWLINE, cursor.next);
    while (end === -1) {
      const source = refill(cursor, text, fail);
      if (source !== null) {
        const tail = judgeTail(cursor, source, expecting, fail);
        scanEnd = tail.end;
        return tail.crc === null ? null : take(cursor.next + tail.whole, tail.crc);
      }
      end = cursor.buffer.indexOf(NEWLINE, cursor.next);
    }
    if (cursor.line === 0) expecting.first(cursor.buffer.toString('latin1', 0, Math.min(end, FIRST)), true);
    const crc = checkedLine(cursor.buffer, cursor.next, end, cursor.crc);
    if (crc === null) throw fail('its bytes do not fit its checksum and its place');
    return take(end, crc);
  };

  return {
    next,
    get end() {
      return scanEnd;
    },
    place: () => ({ crc: cursor.crc, lines: cursor.line, offset: offsetBehind(cursor) }),
    close: () => void text.return(undefined as never),
  };
}

/** Puts text with a newline behind what is left of the buffer. @returns what the source says at its end */
function refill(
  cursor: Cursor,
  text: Generator<Buffer, SourceEnd>,
  fail: (why: string) => JournalError,
): SourceEnd | null {
  const rest = cursor.buffer.subarray(cursor.next);
  const pieces = [rest];
  let length = rest.length;
  let end: SourceEnd | null = null;
  for (let found = false; !found && end === null; ) {
    const piece = text.next();
    if (piece.done === true) end = piece.value;
    else {
      const newline = piece.value.indexOf(NEWLINE);
      found = newline !== -1;
      pieces.push(piece.value);
      length += found ? newline : piece.value.length;
      if (length > MAX_LINE) throw fail('it is longer than any line may be');
    }
  }
  // Offsets are counted when the next line is taken: keep the length of the current one.
  cursor.start -= cursor.next;
  cursor.next = 0;
  cursor.buffer = pieces.length === 1 ? rest : Buffer.concat(pieces);
  return end;
}

interface Tail {
  readonly end: ScanEnd;
  /** Bytes of the last line if only its newline is missing. */
  readonly whole: number;
  readonly crc: number | null;
}

/**
 * What stands behind the last newline. An acknowledged batch ended in one, so that this was never acknowledged; but
 * a whole line followed by some other byte has lost its newline to damage, and is not torn.
 */
function judgeTail(
  cursor: Cursor,
  source: SourceEnd,
  expecting: Expecting,
  fail: (why: string) => JournalError,
): Tail {
  const tail = cursor.buffer;
  if (cursor.line === 0 && !isZero(tail)) expecting.first(tail.toString('latin1', 0, FIRST), false);
  const body = tail.lastIndexOf(',"crc":"');
  const closing = body === -1 ? 0 : body + CLOSING_LENGTH;
  const crc = closing > 0 && closing <= tail.length ? checkedLine(tail, 0, closing, cursor.crc) : null;
  const whole = crc === null ? 0 : closing;
  const rest = tail.subarray(whole);
  const isTorn = isZero(rest) || (crc === null && tail[0] === OPENING);
  if (!isTorn || (source.form !== 'plain' && tail.length > 0)) throw fail('its newline is missing');
  const offset = offsetBehind(cursor) + whole;
  const torn = source.form === 'plain' ? rest.length : source.size - source.end;
  const end = {
    form: source.form,
    size: source.size,
    end: source.form === 'plain' ? offset : source.end,
    crc: crc ?? cursor.crc,
    lines: cursor.line + (crc === null ? 0 : 1),
    offset,
    torn,
    unterminated: crc !== null,
  };
  return { end, whole, crc };
}

/** Where the next line starts in the text. */
const offsetBehind = ({ line, offset, next, start }: Cursor): number =>
  line === 0 ? 0 : offset + next - start;

const OPENING = 0x7b;

function damaged(file: string, cursor: Cursor, { seq }: Expecting, why: string): JournalError {
  return new JournalError({
    file,
    line: cursor.line + 1,
    offset: offsetBehind(cursor),
    seq,
    what: `the line is damaged: ${why}`,
    todo: 'restore the file from a copy; everything before this line can still be read',
  });
}
