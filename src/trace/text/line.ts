// One line of a trace: understood with its fields, passed by with the reason, or rejected with what is wrong. Works on
// bytes and fills one object that is used again for the next line; the text of ftrace, trace-cmd and perf alike.

import { asciiOf, CR, isBlank, isWord, skipBlanks, standsAt, textOf } from './bytes.ts';
import { readCallPrefix } from './call-prefix.ts';
import type { Compiled } from './event-spec.ts';
import type { TextProblem } from './event-text.ts';
import type { Values } from './fields.ts';
import { emptyValues } from './fields.ts';
import type { Prefix, PrefixReader } from './prefix.ts';
import { createPrefixReader, emptyPrefix } from './prefix.ts';
import type { Repeats } from './repeats.ts';
import { createRepeats } from './repeats.ts';

export type SkipReason =
  | 'blank'
  | 'header'
  | 'events-lost'
  | 'call-chain'
  | 'function-or-marker'
  | 'other-kvm-event'
  | 'other-subsystem';

export type RejectReason =
  | TextProblem
  | 'no-timestamp-or-task'
  | 'longer-than-64-KiB'
  | 'later-than-the-damage';

export interface Line {
  outcome: 'understood' | 'skipped' | 'rejected';
  skip: SkipReason | null;
  reject: RejectReason | null;
  /** Set if understood. */
  event: Compiled | null;
  readonly prefix: Prefix;
  readonly prefixes: PrefixReader;
  readonly repeats: Repeats;
  /** Fields of the event, valid until the next line. */
  values: Values;
  /** Name of the event; empty where there is none. */
  nameStart: number;
  nameEnd: number;
  /** Of a name that is not understood. */
  nameHash: number;
  bytes: Uint8Array;
  view: DataView;
}

const NO_BYTES: Uint8Array = new Uint8Array(0);

export const emptyLine = (): Line => ({
  outcome: 'skipped',
  skip: 'blank',
  reject: null,
  event: null,
  prefix: emptyPrefix(),
  prefixes: createPrefixReader(),
  repeats: createRepeats(),
  values: emptyValues(),
  nameStart: 0,
  nameEnd: 0,
  nameHash: 0,
  bytes: NO_BYTES,
  view: new DataView(NO_BYTES.buffer),
});

const HASH = 0x23;

/** Reads the line [start, end), without its line feed, into `line`. */
export function readLine(line: Line, bytes: Uint8Array, start: number, end: number): void {
  if (bytes !== line.bytes) {
    line.bytes = bytes;
    line.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  line.event = null;
  line.skip = null;
  line.reject = null;
  line.nameStart = start;
  line.nameEnd = start;
  let last = end;
  while (last > start && (bytes[last - 1] === CR || isBlank(bytes[last - 1] as number))) last -= 1;
  if (last === start) {
    skip(line, 'blank');
    return;
  }
  if (bytes[start] === HASH) {
    skip(line, 'header');
    return;
  }
  const isPrefixed =
    line.prefixes.read(line.prefix, bytes, line.view, start, last) ||
    readCallPrefix(line.prefix, bytes, start, last);
  if (!isPrefixed) {
    const reason = passedBy(bytes, start, last);
    if (reason === null) reject(line, 'no-timestamp-or-task');
    else skip(line, reason);
    return;
  }
  readEvent(line, last);
}

function readEvent(line: Line, end: number): void {
  const { textStart } = line.prefix;
  const reading = line.repeats.read(line.bytes, line.view, textStart, end);
  line.event = reading.event;
  line.skip = reading.skip;
  line.reject = reading.reject;
  line.values = reading.values;
  line.nameStart = textStart + reading.nameStart;
  line.nameEnd = textStart + reading.nameEnd;
  line.nameHash = reading.nameHash;
  line.outcome = reading.event !== null ? 'understood' : reading.skip !== null ? 'skipped' : 'rejected';
}

function skip(line: Line, reason: SkipReason): void {
  line.outcome = 'skipped';
  line.skip = reason;
}

function reject(line: Line, reason: RejectReason): void {
  line.outcome = 'rejected';
  line.reject = reason;
}

/** Lines that carry no event by design. */
function passedBy(bytes: Uint8Array, start: number, end: number): SkipReason | null {
  if (standsAt(bytes, start, end, 'CPU:') || standsAt(bytes, start, end, 'PERF_RECORD_LOST'))
    return 'events-lost';
  if (standsAt(bytes, start, end, 'cpus=') || standsAt(bytes, start, end, 'version = ')) return 'header';
  const first = skipBlanks(bytes, start, end);
  if (standsAt(bytes, first, end, '=>')) return 'call-chain';
  return first > start && isFrame(bytes, first, end) ? 'call-chain' : null;
}

/** A frame of perf's call chain: `ffff8000100b1234 kvm_handle_guest_abort+0x1c ([kernel.kallsyms])`. */
function isFrame(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end && isWord(bytes[at] as number)) at += 1;
  return at - start >= 8 && at < end && isBlank(bytes[at] as number) && bytes[end - 1] === 0x29;
}

/** Name of the event, also of one that is passed by; '' where the line has none. */
export const eventNameOf = (line: Line): string =>
  line.event?.spec.name ?? textOf(line.bytes, line.nameStart, line.nameEnd);

export const commOf = ({ bytes, prefix }: Line): string => textOf(bytes, prefix.commStart, prefix.commEnd);

/** The timestamp as it stands in the trace. */
export const timeOf = ({ bytes, prefix }: Line): string => asciiOf(bytes, prefix.timeStart, prefix.timeEnd);
