// Numbers and lists in the words of the reports: addresses in hex, fields in binary, counts with their noun.

/** Addresses and registers: `0x10000000`. */
export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

/** A field of a register or descriptor: `0b0101`. */
export const binary = (value: number, bits: number): string => `0b${value.toString(2).padStart(bits, '0')}`;

/** `1 event`, `1,234 events`. */
export const count = (value: number, noun: string, nouns = `${noun}s`): string =>
  `${grouped(value)} ${value === 1 ? noun : nouns}`;

/** Thousands in groups of three, as the same bytes in every locale. */
export const grouped = (value: number): string => String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ',');

/** Bytes as `64 KiB` where that is exact, else as `100 B`. */
export function bytes(size: number): string {
  const units = ['TiB', 'GiB', 'MiB', 'KiB'] as const;
  for (const [index, unit] of units.entries()) {
    const scale = 1024 ** (units.length - index);
    if (size >= scale && size % scale === 0) return `${size / scale} ${unit}`;
  }
  return `${grouped(size)} B`;
}

/**
 * The text on one line, printable: what a stranger's file put into an error must not reach the terminal raw.
 */
export function oneLine(text: string, limit = 400): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
  return clean.length > limit ? `${clean.slice(0, limit - 3)}...` : clean;
}

/** One JSON document; 64-bit values are hex strings, as in the bundles. */
export const toJson = (value: unknown): string => `${jsonText(value)}\n`;

const jsonText = (value: unknown): string =>
  JSON.stringify(value, (_key, field: unknown) => (typeof field === 'bigint' ? hex(field) : field), 2);

/** As `toJson` of `fields` with a list as the last of them, in pieces: a list may be longer than a string can be. */
export function* jsonPieces<Item>(
  fields: object,
  list: string,
  items: Iterable<Item>,
  plain: (item: Item) => unknown,
): Generator<string> {
  yield `${jsonText({ ...fields, [list]: [] }).slice(0, -CLOSING.length)}`;
  let separator = '\n';
  for (const item of items) {
    yield `${separator}    ${jsonText(plain(item)).replaceAll('\n', '\n    ')}`;
    separator = ',\n';
  }
  yield separator === '\n' ? `${CLOSING}\n` : `\n  ${CLOSING}\n`;
}

/** Ends an empty list and the document around it. */
const CLOSING = ']\n}';
