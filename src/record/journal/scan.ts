// The lines of a journal, each checked before its content is looked at. Strict inside: the first line that is not as it
// was written stops the reading with its place. Only what a crash leaves behind the last newline is taken for torn.

import { JournalError } from './error.ts';
import type { JournalFiles } from './files.ts';
import { CLOSING_LENGTH, checkedLine, MAX_LINE, NEWLINE } from './format.ts';
import { isZero } from './member.ts';
import type { SourceEnd } from './source.ts';
import { textOf } from './source.ts';

/** A whole line; its bytes are good until the next is asked for. */
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

/** As much of the first line as says what the file is. */
const FIRST = 64;

interface Cursor {
  crc: number;
  line: number;
  offset: number;
}

/** @throws JournalError with the place of the first line that is damaged */
export function* scanLines(
  file: string,
  files: JournalFiles,
  expecting: Expecting,
): Generator<Line, ScanEnd> {
  const cursor: Cursor = { crc: 0, line: 0, offset: 0 };
  let carry: Buffer[] = [];
  let carried = 0;
  const text = textOf(file, files);
  let piece = text.next();
  try {
    for (; piece.done !== true; piece = text.next()) {
      const { value } = piece;
      const newline = value.indexOf(NEWLINE);
      carried += newline === -1 ? value.length : newline;
      if (carried > MAX_LINE) throw damaged(file, cursor, expecting, 'it is longer than any line may be');
      if (newline === -1) {
        carry.push(value);
        continue;
      }
      const buffer = carry.length === 0 ? value : Buffer.concat([...carry, value]);
      const rest = yield* linesIn(buffer, cursor, file, expecting);
      carry = rest === buffer.length ? [] : [buffer.subarray(rest)];
      carried = buffer.length - rest;
    }
  } finally {
    text.return?.(undefined as never);
  }
  return yield* scanTail(Buffer.concat(carry), cursor, piece.value, file, expecting);
}

/** @returns where the last, unterminated line starts */
function* linesIn(
  buffer: Buffer,
  cursor: Cursor,
  file: string,
  expecting: Expecting,
): Generator<Line, number> {
  let start = 0;
  for (let end = buffer.indexOf(NEWLINE); end !== -1; end = buffer.indexOf(NEWLINE, start)) {
    if (cursor.line === 0)
      expecting.first(buffer.toString('latin1', start, Math.min(end, start + FIRST)), true);
    const crc = checkedLine(buffer, start, end, cursor.crc);
    if (crc === null)
      throw damaged(file, cursor, expecting, 'its bytes do not fit its checksum and its place');
    cursor.line += 1;
    yield { buffer, start, end, line: cursor.line, offset: cursor.offset };
    cursor.crc = crc;
    cursor.offset += end + 1 - start;
    start = end + 1;
  }
  return start;
}

/**
 * What stands behind the last newline. An acknowledged batch ended in one, so that this was never acknowledged; but
 * a whole line followed by some other byte has lost its newline to damage, and is not torn.
 */
function* scanTail(
  tail: Buffer,
  cursor: Cursor,
  source: SourceEnd,
  file: string,
  expecting: Expecting,
): Generator<Line, ScanEnd> {
  if (cursor.line === 0 && !isZero(tail)) expecting.first(tail.toString('latin1', 0, FIRST), false);
  const body = tail.lastIndexOf(',"crc":"');
  const whole = body === -1 ? 0 : body + CLOSING_LENGTH;
  const crc = whole > 0 && whole <= tail.length ? checkedLine(tail, 0, whole, cursor.crc) : null;
  const rest = crc === null ? tail : tail.subarray(whole);
  const isTorn = isZero(rest) || (crc === null && tail[0] === OPENING);
  if (!isTorn || (source.form !== 'plain' && tail.length > 0)) {
    throw damaged(file, cursor, expecting, 'its newline is missing');
  }
  if (crc !== null) {
    cursor.line += 1;
    yield { buffer: tail, start: 0, end: whole, line: cursor.line, offset: cursor.offset };
    cursor.crc = crc;
    cursor.offset += whole;
  }
  const { line, offset } = cursor;
  const end = source.form === 'plain' ? offset : source.end;
  const torn = source.form === 'plain' ? rest.length : source.size - source.end;
  return { ...source, end, crc: cursor.crc, lines: line, offset, torn, unterminated: crc !== null };
}

const OPENING = 0x7b;

function damaged(file: string, { line, offset }: Cursor, { seq }: Expecting, why: string): JournalError {
  return new JournalError({
    file,
    line: line + 1,
    offset,
    seq,
    what: `the line is damaged: ${why}`,
    todo: 'restore the file from a copy; everything before this line can still be read',
  });
}
