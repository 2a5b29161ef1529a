// One line of a trace: understood with its fields, passed by with the reason, or rejected with what is wrong. Works
// on bytes and fills one object that is used again for the next line; ftrace, trace-cmd and perf script alike.

import { asciiOf, COLON, CR, isBlank, isDigit, isWord, LESS, skipBlanks, standsAt, textOf } from './bytes.ts';
import type { Compiled, EventName } from './catalogue.ts';
import { EVENTS } from './catalogue.ts';
import type { FieldProblem, Values } from './fields.ts';
import { emptyValues, readFields } from './fields.ts';
import type { Prefix, PrefixReader } from './prefix.ts';
import { createPrefixReader, emptyPrefix } from './prefix.ts';

export type SkipReason =
  | 'blank'
  | 'header'
  | 'events-lost'
  | 'call-chain'
  | 'function-or-marker'
  | 'other-kvm-event'
  | 'other-subsystem';

export type RejectReason =
  | FieldProblem
  | 'no-timestamp-or-task'
  | 'longer-than-64-KiB'
  | 'cut-short'
  | 'later-than-the-damage';

export interface Line {
  outcome: 'understood' | 'skipped' | 'rejected';
  skip: SkipReason | null;
  reject: RejectReason | null;
  /** Set if understood. */
  event: Compiled | null;
  readonly prefix: Prefix;
  readonly prefixes: PrefixReader;
  readonly values: Values;
  /** Name of the event; empty where there is none. */
  nameStart: number;
  nameEnd: number;
  nameHash: number;
  bytes: Uint8Array;
}

export const emptyLine = (): Line => ({
  outcome: 'skipped',
  skip: 'blank',
  reject: null,
  event: null,
  prefix: emptyPrefix(),
  prefixes: createPrefixReader(),
  values: emptyValues(),
  nameStart: 0,
  nameEnd: 0,
  nameHash: 0,
  bytes: new Uint8Array(0),
});

const HASH = 0x23;

/** Reads the line [start, end), without its line feed, into `line`. */
export function readLine(line: Line, bytes: Uint8Array, start: number, end: number): void {
  line.bytes = bytes;
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
  if (!line.prefixes.read(line.prefix, bytes, start, last)) {
    const reason = passedBy(bytes, start, last);
    if (reason === null) reject(line, 'no-timestamp-or-task');
    else skip(line, reason);
    return;
  }
  readEvent(line, bytes, line.prefix.textStart, last);
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

function readEvent(line: Line, bytes: Uint8Array, from: number, end: number): void {
  let start = skipBlanks(bytes, from, end);
  let at = endOfName(bytes, start, end);
  // perf script: the sampling period may stand before the event, and the subsystem with a colon.
  if (at < end && isBlank(bytes[at] as number) && allDigits(bytes, start, at)) {
    start = skipBlanks(bytes, at, end);
    at = endOfName(bytes, start, end);
  }
  const inSubsystem = at + 1 < end && bytes[at] === COLON && isWord(bytes[at + 1] as number);
  if (inSubsystem) {
    start = at + 1;
    at = endOfName(bytes, start, end);
  }
  if (at === start || bytes[at] !== COLON || bytes[start] === LESS) {
    skip(line, 'function-or-marker');
    return;
  }
  line.nameStart = start;
  line.nameEnd = at;
  line.nameHash = lastHash;
  const event = EVENTS.get(line.nameHash);
  if (event === undefined || !isNamed(bytes, start, at, event.spec.name)) {
    skip(line, standsAt(bytes, start, at, 'kvm_') ? 'other-kvm-event' : 'other-subsystem');
    return;
  }
  const problem = readFields(line.values, event, bytes, at + 1, end);
  if (problem === null && line.values.present !== 0) {
    line.outcome = 'understood';
    line.event = event;
  } else {
    reject(line, problem ?? 'field-missing');
  }
}

/** Hash of the name that `endOfName` went over last. */
let lastHash = 0;

function endOfName(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  let hash = 0;
  for (; at < end; at += 1) {
    const byte = bytes[at] as number;
    if (!isWord(byte)) break;
    hash = (hash * 31 + byte) | 0;
  }
  lastHash = hash;
  return at;
}

function allDigits(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if (!isDigit(bytes[at] as number)) return false;
  return end > start;
}

const isNamed = (bytes: Uint8Array, start: number, end: number, name: EventName): boolean =>
  end - start === name.length && standsAt(bytes, start, end, name);

/** Name of the event, also of one that is passed by; '' where the line has none. */
export const eventNameOf = (line: Line): string =>
  line.event?.spec.name ?? textOf(line.bytes, line.nameStart, line.nameEnd);

export const commOf = ({ bytes, prefix }: Line): string => textOf(bytes, prefix.commStart, prefix.commEnd);

/** The timestamp as it stands in the trace. */
export const timeOf = ({ bytes, prefix }: Line): string => asciiOf(bytes, prefix.timeStart, prefix.timeEnd);
