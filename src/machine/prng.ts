// The one source of chance: Mulberry32, a generator whose whole state is one 32-bit number, so that it can be kept
// with the run and continued from anywhere.

/** State of the generator, 0 to 2^32 - 1; any value is a good seed. */
export type PrngState = number;

/** The next 32 bits, and the state after them. */
export function nextUint32(state: PrngState): { readonly value: number; readonly state: PrngState } {
  const next = (state + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(next ^ (next >>> 15), next | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return { value: (mixed ^ (mixed >>> 14)) >>> 0, state: next };
}

/**
 * A whole number from 0 to `limit` - 1, each as likely as the others but for 2^-32.
 * @param limit 1 to 2^20
 */
export function nextBelow(
  state: PrngState,
  limit: number,
): { readonly value: number; readonly state: PrngState } {
  const drawn = nextUint32(state);
  return { value: Math.floor((drawn.value / 2 ** 32) * limit), state: drawn.state };
}
