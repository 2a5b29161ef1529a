// Output that people paste into mails is kept whole in test/golden: a change of it is seen in review as it
// will look. UPDATE_GOLDEN=1 writes the files anew.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';

const folder = join(import.meta.dirname, '..', 'golden');

/** Compares with the golden file of that name, but for times and numbers of events. */
export function expectGolden(name: string, text: string): void {
  const path = join(folder, name);
  const timeless = text.replace(/[\d,]+ events/g, 'N events').replace(/\d+\.\d\d s/g, '0.00 s');
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(path, timeless);
  expect(timeless).toBe(readFileSync(path, 'utf8'));
}
