// ASCII in byte buffers: the parser never makes a string of a line that it only passes by.

export const SPACE = 0x20;
const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const COLON = 0x3a;
export const DASH = 0x2d;
export const DOT = 0x2e;
export const SLASH = 0x2f;
export const OPEN = 0x28;
export const CLOSE = 0x29;
export const OPEN_BRACKET = 0x5b;
export const CLOSE_BRACKET = 0x5d;
export const LESS = 0x3c;
const ZERO = 0x30;

const DIGIT = 1;
const LETTER = 2;
const BLANK = 4;

/** What each byte is; one look-up costs less than the comparisons. */
const CLASS = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= ZERO && byte <= ZERO + 9) return DIGIT;
  if (byte === SPACE || byte === TAB) return BLANK;
  const lower = byte | 0x20;
  return byte < 0x80 && ((lower >= 0x61 && lower <= 0x7a) || byte === 0x5f) ? LETTER : 0;
});

const HEX = Int8Array.from({ length: 256 }, (_, byte) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(byte).toLowerCase());
  return byte < 0x80 ? digit : -1;
});

export const isDigit = (byte: number): boolean => CLASS[byte] === DIGIT;

export const isBlank = (byte: number): boolean => CLASS[byte] === BLANK;

/** A letter or an underscore. */
export const isLetter = (byte: number): boolean => CLASS[byte] === LETTER;

/** What a C identifier may hold. */
export const isWord = (byte: number): boolean => ((CLASS[byte] as number) & (DIGIT | LETTER)) !== 0;

/** 0 to 15, or -1. */
export const hexDigit = (byte: number): number => HEX[byte] as number;

/** First position from `at` that is no blank, at most `end`. */
export function skipBlanks(bytes: Uint8Array, at: number, end: number): number {
  let next = at;
  while (next < end && isBlank(bytes[next] as number)) next += 1;
  return next;
}

/** Position behind the last byte before `at` that is no blank, at least `start`. */
export function backOverBlanks(bytes: Uint8Array, start: number, at: number): number {
  let before = at;
  while (before > start && isBlank(bytes[before - 1] as number)) before -= 1;
  return before;
}

/** Position behind the last blank before `at`: where the word that ends at `at` begins. */
export function backOverWord(bytes: Uint8Array, start: number, at: number): number {
  let before = at;
  while (before > start && !isBlank(bytes[before - 1] as number)) before -= 1;
  return before;
}

/** Whether the text stands at `at`. */
export function standsAt(bytes: Uint8Array, at: number, end: number, text: string): boolean {
  if (at + text.length > end) return false;
  for (let index = 0; index < text.length; index += 1) {
    if (bytes[at + index] !== text.charCodeAt(index)) return false;
  }
  return true;
}

/** A number that tells short words apart: hash * 31 + byte in 32 bits, as the parser computes it on its way. */
export function textHash(text: string): number {
  let hash = 0;
  for (let at = 0; at < text.length; at += 1) hash = (hash * 31 + text.charCodeAt(at)) | 0;
  return hash;
}

/** `textHash` of the bytes [start, end). */
export function bytesHash(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0;
  for (let at = start; at < end; at += 1) hash = (hash * 31 + (bytes[at] as number)) | 0;
  return hash;
}

/** A decimal number of at most 15 digits; -1 for anything else. */
export function decimal(bytes: Uint8Array, start: number, end: number): number {
  if (end <= start || end - start > 15) return -1;
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] as number;
    if (!isDigit(byte)) return -1;
    value = value * 10 + (byte - ZERO);
  }
  return value;
}

/** Short ASCII text, such as a number; cheaper than a decoder. */
export function asciiOf(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at += 1) text += String.fromCharCode(bytes[at] as number);
  return text;
}

/** A task name may begin with what looks like a byte order mark. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const latin1 = new TextDecoder('latin1');

/** The text as UTF-8, or byte for byte where it is none. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  const part = bytes.subarray(start, end);
  try {
    return utf8.decode(part);
  } catch {
    return latin1.decode(part);
  }
}
