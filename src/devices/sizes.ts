// Sizes as people write them: a number of bytes, or a number with K, M, G or T in powers of 1024 ('16M').

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** Bytes, or text such as '4K', '16M', '1G'. */
export type Size = number | string;

/**
 * The number of bytes.
 * @param what whose size it is, for the message
 * @throws RangeError for anything but a whole, positive number of bytes
 */
export function bytesOf(size: Size, what: string): number {
  const [, digits, unit = ''] = /^(\d+)([KMGT]?)$/.exec(String(size)) ?? [];
  const bytes = digits === undefined ? Number.NaN : Number(digits) * (UNITS[unit] ?? Number.NaN);
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new RangeError(`${what}: size ${size} is no number of bytes; write 4096, '4K', '16M' or '1G'`);
}
