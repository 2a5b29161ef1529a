// The format: one JSON object a line, the last field of each `crc`, 8 hex digits of the CRC-32 (as in gzip) of the
// line's bytes before `,"crc"`, started from the CRC of the line before. So a line that is altered, missing, doubled or
// out of place shows. Lines that are no events open with the key `journal`.

import { crc32 } from 'node:zlib';
import { JournalError } from './error.ts';
import type { ValueCodec } from './values.ts';
import { fromText } from './values.ts';

/** Version that is written. A change of events or lines counts it up and adds an up-caster from the one before. */
export const VERSION = 1;

/** What a journal says of its run; equal runs have equal headers. */
export interface JournalHeader {
  /** Scenario file or bundle, as it was named. */
  readonly source: string;
  /** SHA-256 of what was run, in hex. */
  readonly hash: string;
  /** Seed of the schedule; null where none is used. */
  readonly seed: number | null;
  /** Name of the kernel preset. */
  readonly preset: string;
}

/** What every event of a journal has; all else is its own. */
export interface Journaled {
  readonly type: string;
  /** From 0, without a gap. */
  readonly seq: number;
  /** An earlier event, or null. */
  readonly cause: number | null;
}

/** Turns an event of one version into the same event of the next, as plain data. */
export type Upcaster = (event: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>;

/** By the version they start from. Version 1 is the first. */
export const UPCASTERS: Readonly<Record<number, Upcaster>> = {};

/** Control lines open with this; an event's first field is never `journal`. */
export const CONTROL = '{"journal":';

const CONTROL_BYTES = Buffer.from(CONTROL);

/** Whether the line that starts there is about the journal itself. */
export const opensControl = (buffer: Buffer, start: number): boolean =>
  CONTROL_BYTES.every((byte, index) => buffer[start + index] === byte);

export type Control =
  | ({ readonly journal: 'stagetwo'; readonly version: number } & JournalHeader)
  /** `state` is the hash of the state after event `seq`, the last one before. */
  | { readonly journal: 'checkpoint'; readonly seq: number; readonly state: string }
  /** The writer ended as it should; another may have gone on after it. */
  | { readonly journal: 'end'; readonly events: number };

/** No line may be longer, so that reading needs bounded memory whatever the file holds. */
export const MAX_LINE = 64 * 2 ** 20;

export const NEWLINE = 0x0a;

const SUFFIX = Buffer.from(',"crc":"');
const QUOTE = 0x22;
const BRACE = 0x7d;
const HEX = Buffer.from('0123456789abcdef');

/** Bytes that closing a line takes, from the comma to the brace. */
export const CLOSING_LENGTH = SUFFIX.length + 8 + 2;

/** Puts the suffix and a newline at `at`, over the brace that ends the record. @returns where the line ends */
export function closeLine(buffer: Uint8Array, at: number, crc: number): number {
  let position = at;
  for (let index = 0; index < SUFFIX.length; index++) buffer[position++] = SUFFIX[index] ?? 0;
  for (let shift = 28; shift >= 0; shift -= 4) buffer[position++] = HEX[(crc >>> shift) & 15] ?? 0;
  buffer[position] = QUOTE;
  buffer[position + 1] = BRACE;
  buffer[position + 2] = NEWLINE;
  return position + 3;
}

const expected = new Uint8Array(CLOSING_LENGTH + 1);

/**
 * Checks the line in [start, end), newline excluded, after one with CRC `previous`.
 * @returns its own CRC, or null if it is not a line as it was written
 */
export function checkedLine(buffer: Uint8Array, start: number, end: number, previous: number): number | null {
  const body = end - CLOSING_LENGTH;
  if (body <= start) return null;
  const crc = crc32(new Uint8Array(buffer.buffer, buffer.byteOffset + start, body - start), previous);
  closeLine(expected, 0, crc);
  for (let index = 0; index < CLOSING_LENGTH; index++) {
    if (buffer[body + index] !== expected[index]) return null;
  }
  return crc;
}

/** The record of a line that passed its check. @throws SyntaxError or TypeError for content that no journal has */
export function recordOf(
  buffer: Buffer,
  start: number,
  end: number,
  codecs: readonly ValueCodec[],
): Readonly<Record<string, unknown>> {
  const text = `${buffer.toString('utf8', start, end - CLOSING_LENGTH)}}`;
  return fromText(text, codecs) as Readonly<Record<string, unknown>>;
}

const OPENING = '{"journal":"stagetwo","version":';

/**
 * What the first line says of its version, before its CRC is checked: a later version may check in another way.
 * @param line its first characters
 * @param whole false if the file ends within the line
 * @throws JournalError if the file is no journal, or of a version without a way to this one
 */
export function checkVersion(
  file: string,
  line: string,
  whole: boolean,
  upcasters: Readonly<Record<number, Upcaster>>,
  current: number,
): void {
  const [, version, comma] = /^\{"journal":"stagetwo","version":(\d{1,9})(,?)/.exec(line) ?? [];
  if (!whole && comma !== ',' && (OPENING.startsWith(line) || version !== undefined)) return;
  if (version === undefined || comma !== ',') {
    const todo = 'name a file that --journal wrote';
    throw new JournalError({ file, line: 1, offset: 0, what: 'this is no journal of stagetwo', todo });
  }
  if (Number(version) > current) {
    const what = `the journal is of version ${version}, this stagetwo reads versions up to ${current}`;
    throw new JournalError({ file, line: 1, offset: 0, what, todo: 'use a newer stagetwo' });
  }
  for (let from = Number(version); from < current; from++) {
    if (upcasters[from] !== undefined) continue;
    const what = `the journal is of version ${version}, and version ${from} has no way to ${from + 1}`;
    throw new JournalError({
      file,
      line: 1,
      offset: 0,
      what,
      todo: 'read it with the stagetwo that wrote it',
    });
  }
}

/** The event as the current version has it. */
export function upcast(
  event: Readonly<Record<string, unknown>>,
  from: number,
  current: number,
  upcasters: Readonly<Record<number, Upcaster>>,
): Readonly<Record<string, unknown>> {
  let record = event;
  for (let version = from; version < current; version++) record = upcasters[version]?.(record) ?? record;
  return record;
}
