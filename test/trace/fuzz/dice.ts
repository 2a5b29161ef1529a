// Chance for campaigns: the project's own generator behind three questions. One seed gives one campaign.

import { nextUint32 } from '../../../src/machine/prng.ts';

export interface Dice {
  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number;
  pick<T>(from: readonly T[]): T;
  /** True in one of so many cases. */
  oneIn(cases: number): boolean;
}

export function createDice(seed: number): Dice {
  let state = seed >>> 0;
  const below = (limit: number): number => {
    const drawn = nextUint32(state);
    state = drawn.state;
    return Math.floor((drawn.value / 2 ** 32) * limit);
  };
  return {
    below,
    pick: (from) => from[below(from.length)] as (typeof from)[number],
    oneIn: (cases) => below(cases) === 0,
  };
}
