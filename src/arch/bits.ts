// Register fields as numbers: sums of powers of two instead of bit operations, which stop at 32 bits.

/** 2^bit if set, else 0. */
export const flag = (set: boolean | undefined, bit: number): number => (set ? 2 ** bit : 0);

/** `value` if it fits into a field of that many bits. @throws RangeError that names the field if not */
export function field(name: string, value: number, bits: number): number {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits) {
    throw new RangeError(`${name} ${value} does not fit into ${bits} bits`);
  }
  return value;
}
