// Randomised tests do one in ten of their runs again and compare the two, event by event: whatever leaks from one run
// into the next, or from the machine into a run, shows sooner or later.

import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect } from 'vitest';

/** One run in so many is done again, the first among them. */
const EVERY = 10;

/**
 * The function, called again with the same arguments at every tenth call.
 * @param seen what has to be the same: a list is compared item by item, its events for a run
 * @returns gives what the first of the two calls gave
 */
export function twice<Arguments extends unknown[], Result>(
  run: (...all: Arguments) => Result,
  seen: (result: Result) => unknown = (result) => result,
): (...all: Arguments) => Result {
  let calls = 0;
  return (...all) => {
    const result = run(...all);
    if (calls++ % EVERY === 0) compare(seen(result), seen(run(...all)));
    return result;
  };
}

function compare(first: unknown, second: unknown): void {
  if (!Array.isArray(first) || !Array.isArray(second)) {
    if (!isDeepStrictEqual(first, second)) expect(second, 'done again').toEqual(first);
    return;
  }
  for (const [index, item] of first.entries()) {
    if (!isDeepStrictEqual(item, second[index])) expect(second[index], `${index}, done again`).toEqual(item);
  }
  expect(second.length, 'how many, done again').toBe(first.length);
}

/** `fc.property`, with every tenth case checked twice; what the predicate returns has to be the same. */
export const property: typeof fc.property = (...all: unknown[]) => {
  const predicate = all.pop() as (...values: unknown[]) => boolean | undefined;
  const anyProperty = fc.property as (...parts: unknown[]) => never;
  return anyProperty(...all, twice(predicate));
};
