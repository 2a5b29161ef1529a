// The columns before an event's text, read from the timestamp to the left, because a task name may hold anything:
// `CPU 0/KVM-4242  (   4200) [005] d..1. 12345.678901: `, with or without thread group, CPU and flags; the latency
// layout `CPU 0/KV-4242    5d..1.   12us+: `; and perf's `CPU 0/KVM 4200/4242 [005] 12345.678901: `.

import {
  backOverBlanks,
  backOverWord,
  CLOSE,
  CLOSE_BRACKET,
  COLON,
  DASH,
  DOT,
  decimal,
  isBlank,
  isDigit,
  isLetter,
  OPEN,
  OPEN_BRACKET,
  SLASH,
  SPACE,
} from './bytes.ts';
import { copyWords, sameWords, WORD } from './words.ts';

/** Where the columns of a line stand; -1 for a column that is not there. Reused from line to line. */
export interface Prefix {
  commStart: number;
  commEnd: number;
  pid: number;
  /** Thread group: the process. */
  tgid: number;
  cpu: number;
  flagsStart: number;
  flagsEnd: number;
  timeStart: number;
  timeEnd: number;
  /** First byte behind the colon of the timestamp. */
  textStart: number;
}

export const emptyPrefix = (): Prefix => ({
  commStart: -1,
  commEnd: -1,
  pid: -1,
  tgid: -1,
  cpu: -1,
  flagsStart: -1,
  flagsEnd: -1,
  timeStart: -1,
  timeEnd: -1,
  textStart: -1,
});

/** Linux's pid_max on 64-bit systems, and the largest NR_CPUS of any configuration. */
export const MAX_PID = 2 ** 22;
export const MAX_CPU = 65_535;

/** Longest timestamp: seconds and nanoseconds of 64 bits, or latency with a mark. */
const MAX_TIME = 32;

/** How far right of the line's start a timestamp can stand: no comm has more than 15 bytes. */
export const MAX_PREFIX = 256;

/** The columns before the timestamp as an earlier line had them: most lines of a trace repeat those of another. */
interface Remembered {
  /** Its bytes by fours, the last four where they end. */
  readonly words: Int32Array;
  length: number;
  readonly prefix: Prefix;
}

/** Tasks and flags alternate: a vCPU that enters and leaves the guest needs two. */
const REMEMBERED = 4;

export interface PrefixReader {
  /** Finds the columns of the line [start, end); false where it has no timestamp after a task. `view` is of `bytes`. */
  read(into: Prefix, bytes: Uint8Array, view: DataView, start: number, end: number): boolean;
}

/** A reader remembers columns from line to line; what it finds does not depend on what it remembers. */
export function createPrefixReader(): PrefixReader {
  const remembered = Array.from(
    { length: REMEMBERED },
    (): Remembered => ({ words: new Int32Array(MAX_PREFIX / WORD), length: 0, prefix: emptyPrefix() }),
  );
  let next = 0;
  return {
    read(into, bytes, view, start, end) {
      for (let index = 0; index < REMEMBERED; index += 1) {
        const known = remembered[index] as Remembered;
        if (!begins(known, view, start, end)) continue;
        const timeStart = start + known.length;
        const timeEnd = endOfTime(bytes, timeStart, end);
        if (timeEnd === -1) break;
        shift(into, known.prefix, start);
        into.timeStart = timeStart;
        into.timeEnd = timeEnd;
        into.textStart = timeEnd + 1;
        return true;
      }
      if (!readPrefix(into, bytes, start, end)) return false;
      const length = into.timeStart - start;
      const slot = remembered[next] as Remembered;
      next = (next + 1) % REMEMBERED;
      remember(slot, view, start, length);
      shift(slot.prefix, into, -start);
      return true;
    },
  };
}

function remember(slot: Remembered, view: DataView, start: number, length: number): void {
  slot.length = length < WORD ? 0 : length;
  if (slot.length > 0) copyWords(slot.words, view, start, length);
}

const begins = ({ words, length }: Remembered, view: DataView, start: number, end: number): boolean =>
  length > 0 && start + length < end && sameWords(words, view, start, length);

/** Where the plain timestamp ends that begins at `start`; -1 if there is none, or one with a mark. */
function endOfTime(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && isDigit(bytes[at] as number)) at += 1;
  if (at === start) return -1;
  if (bytes[at] === DOT) {
    const digits = at + 1;
    at = digits;
    while (at < end && isDigit(bytes[at] as number)) at += 1;
    if (at === digits) return -1;
  }
  return at + 1 < end && at - start <= MAX_TIME && bytes[at] === COLON && isBlank(bytes[at + 1] as number)
    ? at
    : -1;
}

function shift(into: Prefix, from: Prefix, by: number): void {
  into.commStart = from.commStart + by;
  into.commEnd = from.commEnd + by;
  into.pid = from.pid;
  into.tgid = from.tgid;
  into.cpu = from.cpu;
  into.flagsStart = from.flagsStart === -1 ? -1 : from.flagsStart + by;
  into.flagsEnd = from.flagsEnd === -1 ? -1 : from.flagsEnd + by;
}

function readPrefix(into: Prefix, bytes: Uint8Array, start: number, end: number): boolean {
  const limit = Math.min(end - 1, start + MAX_PREFIX - 1);
  for (let at = start + 1; at < limit; at += 1) {
    if (bytes[at] !== COLON || !isBlank(bytes[at + 1] as number)) continue;
    const timeStart = timeBefore(bytes, start, at);
    if (timeStart === -1 || !readTask(into, bytes, start, timeStart)) continue;
    into.timeStart = timeStart;
    into.timeEnd = at;
    into.textStart = at + 1;
    return true;
  }
  return false;
}

/** Start of the timestamp that ends at `end`: `1.234567`, `1234`, `12us`, `12us+`; -1 if none stands there. */
function timeBefore(bytes: Uint8Array, start: number, end: number): number {
  let at = end;
  let last = bytes[at - 1] as number;
  if (!isDigit(last)) {
    // Latency marks: + ! # * @ $ behind the microseconds (kernel/trace/trace_output.c).
    if (!isLetter(last)) at -= 1;
    if (at - 2 <= start || bytes[at - 1] !== 0x73 || bytes[at - 2] !== 0x75) return -1;
    at -= 2;
    last = bytes[at - 1] as number;
    if (!isDigit(last)) return -1;
  }
  const least = Math.max(start, end - MAX_TIME);
  let dots = 0;
  while (at > least) {
    const byte = bytes[at - 1] as number;
    if (byte === DOT && dots === 0 && isDigit(bytes[at] as number)) dots += 1;
    else if (!isDigit(byte)) break;
    at -= 1;
  }
  if (bytes[at] === DOT || (at > start && !isBlank(bytes[at - 1] as number))) return -1;
  return at === start ? -1 : at;
}

/** Task, thread group, CPU and flags of [start, end), from the right. */
function readTask(into: Prefix, bytes: Uint8Array, start: number, end: number): boolean {
  into.tgid = -1;
  into.cpu = -1;
  into.flagsStart = -1;
  into.flagsEnd = -1;
  let at = backOverBlanks(bytes, start, end);
  let word = backOverWord(bytes, start, at);
  if (bytes[at - 1] !== CLOSE_BRACKET && isFlags(bytes, word, at)) {
    const cpuEnd = digitsFrom(bytes, word, at);
    into.flagsStart = cpuEnd;
    into.flagsEnd = at;
    if (cpuEnd > word) into.cpu = decimal(bytes, word, cpuEnd);
    at = backOverBlanks(bytes, start, word);
    word = backOverWord(bytes, start, at);
  } else if (isMisc(bytes, start, word, at)) {
    at = backOverBlanks(bytes, start, word);
    word = backOverWord(bytes, start, at);
  }
  if (at > start && bytes[at - 1] === CLOSE_BRACKET) {
    if (into.cpu !== -1 || bytes[word] !== OPEN_BRACKET) return false;
    into.cpu = decimal(bytes, word + 1, at - 1);
    if (into.cpu === -1) return false;
    at = backOverBlanks(bytes, start, word);
  } else if (into.flagsStart !== -1 && into.cpu === -1) {
    return false;
  }
  if (into.cpu > MAX_CPU) return false;
  return readPid(into, bytes, start, backOverTgid(into, bytes, start, at));
}

/** Position behind the digits that start at `from`. */
function digitsFrom(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && isDigit(bytes[at] as number)) at += 1;
  return at;
}

/** `d..1.`: 4 to 8 characters; in the latency layout the CPU stands before them without a blank. */
function isFlags(bytes: Uint8Array, start: number, end: number): boolean {
  const first = digitsFrom(bytes, start, end);
  if (first === end || end - first < 4 || end - first > 8) return false;
  for (let at = first; at < end; at += 1) {
    const byte = bytes[at] as number;
    if (!isLetter(byte) && !isDigit(byte) && byte !== DOT && byte !== 0x23) return false;
  }
  return isIrqsOff(bytes[first] as number);
}

/** perf script -F +misc: a letter or two behind the CPU, such as K for a sample in the kernel. */
function isMisc(bytes: Uint8Array, start: number, word: number, end: number): boolean {
  if (end - word < 1 || end - word > 4) return false;
  for (let at = word; at < end; at += 1) if (!isLetter(bytes[at] as number)) return false;
  const before = backOverBlanks(bytes, start, word);
  return before > start && bytes[before - 1] === CLOSE_BRACKET;
}

/** The first flag: `.` `d` `b` `D` `X`. */
const isIrqsOff = (byte: number): boolean =>
  byte === DOT || byte === 0x64 || byte === 0x62 || byte === 0x44 || byte === 0x58;

/** `(   4200)` or `(-------)`, which stands where the process is not known. */
function backOverTgid(into: Prefix, bytes: Uint8Array, start: number, end: number): number {
  if (end <= start || bytes[end - 1] !== CLOSE) return end;
  let open = end - 2;
  while (open > start && open > end - 12 && bytes[open] !== OPEN) open -= 1;
  if (bytes[open] !== OPEN) return end;
  let digits = open + 1;
  while (bytes[digits] === SPACE) digits += 1;
  into.tgid = decimal(bytes, digits, end - 1);
  return backOverBlanks(bytes, start, open);
}

/** `comm-pid` of ftrace, `comm pid/tid` or `comm tid` of perf. */
function readPid(into: Prefix, bytes: Uint8Array, start: number, end: number): boolean {
  let digits = end;
  while (digits > start && isDigit(bytes[digits - 1] as number)) digits -= 1;
  into.pid = decimal(bytes, digits, end);
  if (into.pid === -1 || into.pid > MAX_PID || digits === start) return false;
  let commEnd = digits - 1;
  const separator = bytes[commEnd] as number;
  if (separator === SLASH) {
    let group = commEnd;
    while (group > start && isDigit(bytes[group - 1] as number)) group -= 1;
    if (group === commEnd || group === start || !isBlank(bytes[group - 1] as number)) return false;
    into.tgid = decimal(bytes, group, commEnd);
    commEnd = group - 1;
  } else if (separator !== DASH && !isBlank(separator)) {
    return false;
  }
  if (into.tgid > MAX_PID) return false;
  // perf pads the pid, not the task name.
  if (separator !== DASH) commEnd = backOverBlanks(bytes, start, commEnd);
  let commStart = start;
  while (commStart < commEnd && isBlank(bytes[commStart] as number)) commStart += 1;
  // A kernel thread may have no name in ftrace; perf always prints one.
  if (separator !== DASH && commStart === commEnd) return false;
  into.commStart = commStart;
  into.commEnd = commEnd;
  return true;
}
