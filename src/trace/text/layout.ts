// The text of an event in the one form that TP_printk gives it, matched byte by byte: most lines of a trace have it,
// and reading them so costs a third of looking up every word. What matches is read as fields.ts would read it; what
// does not is left to fields.ts.

import { DASH, hexDigit, isDigit, isLetter, isWord } from './bytes.ts';
import type { Compiled, FieldKind, FieldSpec, Step } from './event-spec.ts';
import type { Values } from './fields.ts';
import { valueAt } from './fields.ts';

/** Largest upper half of a number: an address has 52 bits, ESR_EL2 44, a count none. */
const MOST_HI: Readonly<Record<FieldKind, number>> = {
  address: 2 ** 20 - 1,
  'bare-address': 2 ** 20 - 1,
  esr: 2 ** 12 - 1,
  word: 2 ** 32 - 1,
  count: 0,
  decimal: 0,
};

/** @param print as `EventSpec.print` describes it */
export function compileLayout(print: string, fields: readonly FieldSpec[]): Step[] {
  return print.split(/(\{[^}]*\}|\*)/).flatMap((part): Step[] => {
    if (part === '') return [];
    if (part === '*') return [{ kind: 'any' }];
    const [, name, how] = /^\{(\w+)(?::(\w))?\}$/.exec(part) ?? [];
    const field = fields.findIndex((spec) => spec.name === name);
    const spec = fields[field];
    if (spec === undefined) return [{ kind: 'text', bytes: new TextEncoder().encode(part) }];
    const kind = how === 'd' ? 'decimal' : how === 'w' ? 'word' : 'hex';
    return [{ kind, field, most: MOST_HI[spec.kind] }];
  });
}

/** Reads [start, end) into `values`; false, and nothing is to be relied on, if the text is not of that form. */
export function readLayout(
  values: Values,
  event: Compiled,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  const { layout } = event;
  values.present = 0;
  let at = start;
  for (let index = 0; index < layout.length; index += 1) {
    const step = layout[index] as Step;
    if (step.kind === 'text') at = endOfText(bytes, at, end, step.bytes);
    else if (step.kind === 'hex') at = readHex(values, step.field, step.most, bytes, at, end);
    else if (step.kind === 'any') at = endOfAny(event, bytes, at, end);
    else if (step.kind === 'decimal') at = readDecimal(values, step.field, bytes, at, end);
    else at = readWord(values, event, bytes, at, end);
    if (at === -1) return false;
  }
  return at === end && layout.length > 0 && (event.spec.second === undefined || ascends(values));
}

const ascends = (values: Values): boolean => valueAt(values, 0) <= valueAt(values, 1);

function endOfText(bytes: Uint8Array, start: number, end: number, text: Uint8Array): number {
  const { length } = text;
  if (start + length > end) return -1;
  for (let index = 0; index < length; index += 1) {
    if (bytes[start + index] !== text[index]) return -1;
  }
  return start + length;
}

/** A word that stands for no field. */
function endOfAny(event: Compiled, bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  let hash = 0;
  for (; at < end && isWord(bytes[at] as number); at += 1) hash = (hash * 31 + (bytes[at] as number)) | 0;
  return isLetter(bytes[start] as number) && !event.words.has(hash) ? at : -1;
}

function readHex(
  values: Values,
  field: number,
  most: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  let hi = 0;
  let lo = 0;
  let at = start;
  for (; at < end; at += 1) {
    const digit = hexDigit(bytes[at] as number);
    if (digit === -1) break;
    hi = (hi << 4) | (lo >>> 28);
    lo = (lo << 4) | digit;
  }
  const high = hi >>> 0;
  if (at === start || at - start > 16 || high > most) return -1;
  put(values, field, high, lo >>> 0);
  return at;
}

/** At most nine digits, which fit 32 bits. */
function readDecimal(values: Values, field: number, bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  let at = start;
  for (; at < end && isDigit(bytes[at] as number); at += 1) value = value * 10 + (bytes[at] as number) - 0x30;
  if (at === start || at - start > 9) return -1;
  put(values, field, 0, value);
  return at;
}

/** A word that is a value itself. */
function readWord(values: Values, event: Compiled, bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  let hash = 0;
  for (; at < end; at += 1) {
    const byte = bytes[at] as number;
    if (!isWord(byte) && byte !== DASH) break;
    hash = (hash * 31 + byte) | 0;
  }
  const meaning = event.words.get(hash);
  if (meaning === undefined || meaning.value === null) return -1;
  put(values, meaning.field, 0, meaning.value);
  return at;
}

function put(values: Values, field: number, hi: number, lo: number): void {
  values.present |= 1 << field;
  values.hi[field] = hi;
  values.lo[field] = lo;
}
