// The columns of perf trace, which has the event as a call: `     0.012 [005] (         ): CPU 0/KVM/4242 kvm:event(`,
// with or without CPU and duration; time in milliseconds (tools/perf/builtin-trace.c).

import {
  backOverBlanks,
  CLOSE_BRACKET,
  COLON,
  DOT,
  decimal,
  isBlank,
  isDigit,
  isWord,
  OPEN,
  OPEN_BRACKET,
  SLASH,
  skipBlanks,
} from './bytes.ts';
import type { Prefix } from './prefix.ts';
import { MAX_CPU, MAX_PID, MAX_PREFIX } from './prefix.ts';

/** Finds the columns of the line [start, end); false where it is not of that form. */
export function readCallPrefix(into: Prefix, bytes: Uint8Array, start: number, end: number): boolean {
  const limit = Math.min(end, start + MAX_PREFIX);
  const time = skipBlanks(bytes, start, limit);
  const timeEnd = endOfTime(bytes, time, limit);
  const text = startOfCall(bytes, timeEnd, limit);
  if (timeEnd === time || text === -1) return false;
  into.tgid = -1;
  into.cpu = -1;
  into.flagsStart = -1;
  into.flagsEnd = -1;
  into.timeStart = time;
  into.timeEnd = timeEnd;
  into.textStart = text;
  let comm = skipBlanks(bytes, timeEnd, text);
  if (bytes[comm] === OPEN_BRACKET) {
    const close = bytes.indexOf(CLOSE_BRACKET, comm);
    if (close === -1 || close > text) return false;
    into.cpu = decimal(bytes, comm + 1, close);
    if (into.cpu === -1 || into.cpu > MAX_CPU) return false;
    comm = skipBlanks(bytes, close + 1, text);
  }
  if (bytes[comm] === OPEN) comm = endOfDuration(bytes, comm, text);
  return readTask(into, bytes, comm, text);
}

/** `0.012 `; an event without a time has `?`. */
function endOfTime(bytes: Uint8Array, start: number, end: number): number {
  const dot = endOfDigits(bytes, start, end);
  if (dot === start || dot - start > 15 || bytes[dot] !== DOT) return start;
  const after = endOfDigits(bytes, dot + 1, end);
  return after > dot + 1 && after < end && isBlank(bytes[after] as number) ? after : start;
}

function endOfDigits(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && isDigit(bytes[at] as number)) at += 1;
  return at;
}

/** Where `subsystem:event(` begins; -1 if there is none. */
function startOfCall(bytes: Uint8Array, start: number, end: number): number {
  for (let open = start + 1; open < end; open += 1) {
    if (bytes[open] !== OPEN) continue;
    const name = backOverName(bytes, start, open);
    if (name === open || bytes[name - 1] !== COLON) continue;
    const subsystem = backOverName(bytes, start, name - 1);
    if (subsystem < name - 1 && subsystem > start && isBlank(bytes[subsystem - 1] as number))
      return subsystem;
  }
  return -1;
}

function backOverName(bytes: Uint8Array, start: number, end: number): number {
  let at = end;
  while (at > start && isWord(bytes[at - 1] as number)) at -= 1;
  return at;
}

/** `(         ): ` and `( 0.003 ms): `. */
function endOfDuration(bytes: Uint8Array, open: number, end: number): number {
  let at = open + 1;
  while (at < end && bytes[at] !== COLON && at < open + 24) at += 1;
  return skipBlanks(bytes, at + 1, end);
}

/** `comm/tid `: a task name may hold slashes itself. */
function readTask(into: Prefix, bytes: Uint8Array, start: number, end: number): boolean {
  const tidEnd = backOverBlanks(bytes, start, end);
  let tid = tidEnd;
  while (tid > start && isDigit(bytes[tid - 1] as number)) tid -= 1;
  into.pid = decimal(bytes, tid, tidEnd);
  if (into.pid === -1 || into.pid > MAX_PID || tid - 1 <= start || bytes[tid - 1] !== SLASH) return false;
  into.commStart = start;
  into.commEnd = tid - 1;
  return true;
}
