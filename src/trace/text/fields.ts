// The text of an event, as numbers: words introduce fields, numbers fill them, everything between is punctuation.
// That reads TP_printk text with or without its commas and `name=value` fields alike. printf's `%#` prints zero
// without 0x and pads with zeros; decimals may be negative.

import { CLOSE, DASH, hexDigit, isDigit, isLetter, isWord, OPEN } from './bytes.ts';
import type { Compiled, FieldKind } from './event-spec.ts';
import { MAX_FIELDS } from './event-spec.ts';

export type FieldProblem =
  | 'field-missing'
  | 'field-twice'
  | 'not-a-number'
  | 'number-too-large'
  | 'hex-without-0x'
  | 'range-ends-before-start';

/** Values of the fields of one event, each in two halves of 32 bits; decimals have their sign in `lo`. */
export interface Values {
  readonly hi: Float64Array;
  readonly lo: Float64Array;
  /** Bit n: field n was there. */
  present: number;
}

export const emptyValues = (): Values => ({
  hi: new Float64Array(MAX_FIELDS),
  lo: new Float64Array(MAX_FIELDS),
  present: 0,
});

/** The whole number; exact below 2^53, for a `word` the caller takes the halves. */
export const valueAt = (values: Values, field: number): number =>
  (values.hi[field] as number) * 2 ** 32 + (values.lo[field] as number);

/** Where the number that was read last ended, and what it was. */
interface Scan {
  at: number;
  /** Of the word that was read last. */
  hash: number;
  hi: number;
  lo: number;
  /** It began with 0x. */
  prefixed: boolean;
}

const scan: Scan = { at: 0, hash: 0, hi: 0, lo: 0, prefixed: false };

/** Reads the fields of [start, end) into `values`; null, or what is wrong. */
export function readFields(
  values: Values,
  event: Compiled,
  bytes: Uint8Array,
  start: number,
  end: number,
): FieldProblem | null {
  values.present = 0;
  let field = -1;
  let open = false;
  let at = start;
  while (at < end) {
    const byte = bytes[at] as number;
    const isBare = field !== -1 && event.spec.fields[field]?.kind === 'bare-address';
    if (isLetter(byte) && !(isBare && isHexWord(bytes, at, end))) {
      at = endOfWord(bytes, at, end);
      const meaning = event.words.get(scan.hash);
      if (meaning === undefined) continue;
      if (meaning.value === null) field = meaning.field;
      else if (field === -1 || field === meaning.field) {
        const problem = put(values, meaning.field, 0, meaning.value);
        if (problem !== null) return problem;
        field = -1;
      }
    } else if (isWord(byte) || (byte === DASH && at + 1 < end && isDigit(bytes[at + 1] as number))) {
      // `name=0x10 (16)`: the option `fields` repeats a number in decimal.
      const repeats = open && field === -1;
      if (field === -1 && !repeats && event.spec.second !== undefined && values.present === 1) {
        field = event.spec.second;
      }
      const kind = field === -1 ? 'decimal' : (event.spec.fields[field]?.kind ?? 'decimal');
      const problem = readNumber(bytes, at, end, kind);
      if (field !== -1) {
        const stored = problem ?? put(values, field, scan.hi, scan.lo);
        if (stored !== null) return stored;
      }
      field = -1;
      at = scan.at;
    } else {
      if (byte === OPEN) open = true;
      else if (byte === CLOSE) open = false;
      at += 1;
    }
  }
  return (values.present & event.required) === event.required ? orderProblem(values, event) : 'field-missing';
}

/**
 * Reads `name: value` fields as perf trace prints them: decimal, 64 bits with their sign, and without those that are
 * zero. What libtraceevent prints in their place is read, too.
 */
export function readNamedFields(
  values: Values,
  event: Compiled,
  bytes: Uint8Array,
  start: number,
  end: number,
): FieldProblem | null {
  isNamed = true;
  const problem = readFields(values, event, bytes, start, end);
  isNamed = false;
  if (problem !== null && problem !== 'field-missing') return problem;
  if (values.present === 0) return 'field-missing';
  event.spec.fields.forEach((_, field) => {
    if ((values.present & (1 << field)) === 0) put(values, field, 0, 0);
  });
  return orderProblem(values, event);
}

/** A number without 0x is decimal, whatever its field. */
let isNamed = false;

/** `IPA: a000000`: a number without 0x may begin with a letter. */
function isHexWord(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end && hexDigit(bytes[at] as number) !== -1) at += 1;
  return at === end || !isWord(bytes[at] as number);
}

/** A word may hold dashes inside, as `unsatisfied-read`. Leaves its hash in `scan`. */
function endOfWord(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  let hash = 0;
  for (; at < end; at += 1) {
    const byte = bytes[at] as number;
    if (
      !isWord(byte) &&
      (byte !== DASH || at === start || at + 1 >= end || !isLetter(bytes[at + 1] as number))
    )
      break;
    hash = (hash * 31 + byte) | 0;
  }
  scan.hash = hash;
  return at;
}

function put(values: Values, field: number, hi: number, lo: number): FieldProblem | null {
  if ((values.present & (1 << field)) !== 0) return 'field-twice';
  values.present |= 1 << field;
  values.hi[field] = hi;
  values.lo[field] = lo;
  return null;
}

function orderProblem(values: Values, event: Compiled): FieldProblem | null {
  if (event.spec.second === undefined) return null;
  return valueAt(values, 1) < valueAt(values, 0) ? 'range-ends-before-start' : null;
}

const MAX_DECIMAL = 2 ** 31;
const ADDRESS_HI = 2 ** 20;
const ESR_HI = 2 ** 12;
const ALL_ONES = 0xffff_ffff;

/** Reads a number into `scan`. */
function readNumber(bytes: Uint8Array, start: number, end: number, kind: FieldKind): FieldProblem | null {
  const prefixed = start + 1 < end && bytes[start] === 0x30 && ((bytes[start + 1] as number) | 0x20) === 0x78;
  if (!prefixed && isNamed) return readSigned(bytes, start, end, kind);
  if ((kind === 'decimal' || kind === 'count') && !prefixed) return readDecimal(bytes, start, end, kind);
  let at = prefixed ? start + 2 : start;
  const first = at;
  let hi = 0;
  let lo = 0;
  let overflow = false;
  // In 32-bit integers, which stay out of the heap; they turn unsigned when the number is whole.
  for (; at < end; at += 1) {
    const digit = hexDigit(bytes[at] as number);
    if (digit === -1) break;
    if ((hi & 0xf000_0000) !== 0) overflow = true;
    hi = (hi << 4) | (lo >>> 28);
    lo = (lo << 4) | digit;
  }
  scan.at = at;
  const high = hi >>> 0;
  if (at === first || (at < end && isWord(bytes[at] as number))) {
    scan.at = endOfWord(bytes, Math.max(at, start + 1), end);
    return 'not-a-number';
  }
  if (!prefixed && kind !== 'bare-address' && (hi !== 0 || lo !== 0)) return 'hex-without-0x';
  if (overflow || tooLarge(kind, high)) return 'number-too-large';
  scan.hi = kind === 'esr' && high === ALL_ONES ? 0 : high;
  scan.lo = lo >>> 0;
  return null;
}

function tooLarge(kind: FieldKind, hi: number): boolean {
  switch (kind) {
    case 'address':
    case 'bare-address':
      return hi >= ADDRESS_HI;
    case 'esr':
      return hi >= ESR_HI && hi !== ALL_ONES;
    case 'decimal':
    case 'count':
      return hi !== 0;
    case 'word':
      return false;
  }
}

function readDecimal(
  bytes: Uint8Array,
  start: number,
  end: number,
  kind: 'decimal' | 'count',
): FieldProblem | null {
  const negative = bytes[start] === DASH;
  let at = negative ? start + 1 : start;
  let value = 0;
  for (; at < end && isDigit(bytes[at] as number); at += 1) {
    value = Math.min(MAX_DECIMAL, value * 10 + ((bytes[at] as number) - 0x30));
  }
  scan.at = at;
  scan.hi = 0;
  scan.lo = negative ? -value : value;
  if (at < end && isWord(bytes[at] as number)) {
    scan.at = endOfWord(bytes, Math.max(at, start + 1), end);
    return 'not-a-number';
  }
  if (negative && kind === 'count') return 'not-a-number';
  return value >= MAX_DECIMAL ? 'number-too-large' : null;
}

/** A decimal number of 64 bits; a negative one is in two's complement, but for a field with a sign of its own. */
function readSigned(bytes: Uint8Array, start: number, end: number, kind: FieldKind): FieldProblem | null {
  const negative = bytes[start] === DASH;
  let at = negative ? start + 1 : start;
  let hi = 0;
  let lo = 0;
  for (; at < end && isDigit(bytes[at] as number); at += 1) {
    lo = lo * 10 + ((bytes[at] as number) - 0x30);
    hi = Math.min(2 ** 32, hi * 10 + Math.floor(lo / 2 ** 32));
    lo %= 2 ** 32;
  }
  scan.at = at;
  if (at < end && isWord(bytes[at] as number)) {
    scan.at = endOfWord(bytes, Math.max(at, start + 1), end);
    return 'not-a-number';
  }
  if (hi >= 2 ** 32 || (negative && hi >= 2 ** 31)) return 'number-too-large';
  if (negative) {
    hi = (~hi + (lo === 0 ? 1 : 0)) >>> 0;
    lo = -lo >>> 0;
  }
  return keepSigned(kind, hi, lo);
}

/** An int, such as an errno, comes with or without the upper half of its sign. */
function keepSigned(kind: FieldKind, hi: number, lo: number): FieldProblem | null {
  if (kind === 'decimal') {
    if (hi !== 0 && hi !== ALL_ONES) return 'number-too-large';
    scan.hi = 0;
    scan.lo = lo >= 2 ** 31 ? lo - 2 ** 32 : lo;
    return null;
  }
  if (tooLarge(kind, hi) || (kind === 'count' && lo >= MAX_DECIMAL)) return 'number-too-large';
  scan.hi = kind === 'esr' && hi === ALL_ONES ? 0 : hi;
  scan.lo = lo;
  return null;
}
