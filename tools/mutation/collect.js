// What a test file gets for 'vitest' in a mutation run: `describe` and `it` write down what to run, `expect` is
// vitest's own. Knows as much of vitest as the tests of src/arch and src/host use.

import { expect } from 'vitest';

export { expect };

/** @typedef {{ readonly name: string, readonly body: () => unknown }} Test */

/** @type {string[]} */
const path = [];
/** @type {Test[]} */
let tests = [];

/** @param {string} name @param {() => void} body */
export function describe(name, body) {
  path.push(name);
  try {
    body();
  } finally {
    path.pop();
  }
}

/** @param {string} name @param {() => unknown} body */
export function it(name, body) {
  tests.push({ name: [...path, name].join(' > '), body });
}

/** A row that is an array is a list of arguments, as in vitest. @param {readonly unknown[]} rows */
it.each = (rows) => (/** @type {string} */ name, /** @type {(...row: unknown[]) => unknown} */ body) => {
  for (const [index, row] of rows.entries())
    it(`${name} #${index}`, () => body(...(Array.isArray(row) ? row : [row])));
};

/** The tests written down since the last call. @returns {readonly Test[]} */
export function collected() {
  const found = tests;
  tests = [];
  return found;
}
