// The text behind a line's columns: the name of the event and its fields, as ftrace, trace-cmd and perf script print
// them (`event: text`, `kvm:event: text`) or as perf trace does (`kvm:event(field: value, ...)`).

import {
  bytesHash,
  CLOSE,
  COLON,
  isBlank,
  isDigit,
  isWord,
  LESS,
  OPEN,
  skipBlanks,
  standsAt,
} from './bytes.ts';
import { EVENTS_BY_LENGTH } from './catalogue.ts';
import type { Compiled } from './event-spec.ts';
import type { FieldProblem, Values } from './fields.ts';
import { emptyValues, readFields, readNamedFields } from './fields.ts';
import { readLayout } from './layout.ts';

type TextSkip = 'function-or-marker' | 'other-kvm-event' | 'other-subsystem';
export type TextProblem = FieldProblem | 'cut-short';

/** What a text was read as: exactly one of `event`, `skip` and `reject` is set. */
export interface Reading {
  event: Compiled | null;
  skip: TextSkip | null;
  reject: TextProblem | null;
  readonly values: Values;
  /** Where the name of the event stands, from the start of the text; empty where there is none. */
  nameStart: number;
  nameEnd: number;
  /** Of a name that is not in the catalogue. */
  nameHash: number;
}

export const emptyReading = (): Reading => ({
  ...{ event: null, skip: null, reject: null, values: emptyValues() },
  ...{ nameStart: 0, nameEnd: 0, nameHash: 0 },
});

/** Reads the text [from, end), which ends with no blank. */
export function readText(into: Reading, bytes: Uint8Array, from: number, end: number): void {
  into.event = null;
  into.skip = null;
  into.reject = null;
  into.nameStart = 0;
  into.nameEnd = 0;
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
  const isCall = inSubsystem && at < end && bytes[at] === OPEN;
  if (at === start || at === end || (bytes[at] !== COLON && !isCall) || bytes[start] === LESS) {
    into.skip = 'function-or-marker';
    return;
  }
  into.nameStart = start - from;
  into.nameEnd = at - from;
  const event = eventNamed(bytes, start, at);
  if (event === undefined) {
    into.nameHash = bytesHash(bytes, start, at);
    into.skip = standsAt(bytes, start, at, 'kvm_') ? 'other-kvm-event' : 'other-subsystem';
    return;
  }
  const problem = isCall
    ? readCall(into.values, event, bytes, at + 1, end)
    : readPrinted(into.values, event, bytes, at + 1, end);
  if (problem === null) into.event = event;
  else {
    into.reject = problem;
    into.nameHash = bytesHash(bytes, start, at);
  }
}

/** What is not as TP_printk has it is read by its words. */
function readPrinted(
  values: Values,
  event: Compiled,
  bytes: Uint8Array,
  start: number,
  end: number,
): TextProblem | null {
  if (readLayout(values, event, bytes, skipBlanks(bytes, start, end), end)) return null;
  return readFields(values, event, bytes, start, end) ?? (values.present === 0 ? 'field-missing' : null);
}

/** perf trace: a line that does not end with the parenthesis was cut. */
function readCall(
  values: Values,
  event: Compiled,
  bytes: Uint8Array,
  start: number,
  end: number,
): TextProblem | null {
  return bytes[end - 1] === CLOSE ? readNamedFields(values, event, bytes, start, end - 1) : 'cut-short';
}

function endOfName(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && isWord(bytes[at] as number)) at += 1;
  return at;
}

/** Few events have a name of one length, and those differ at the end. */
function eventNamed(bytes: Uint8Array, start: number, end: number): Compiled | undefined {
  const candidates = EVENTS_BY_LENGTH[end - start];
  if (candidates === undefined) return undefined;
  for (let index = 0; index < candidates.length; index += 1) {
    const event = candidates[index] as Compiled;
    let at = end - start - 1;
    while (at >= 0 && event.name[at] === bytes[start + at]) at -= 1;
    if (at === -1) return event;
  }
  return undefined;
}

function allDigits(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if (!isDigit(bytes[at] as number)) return false;
  return end > start;
}
