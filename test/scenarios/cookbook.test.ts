// The cookbook keeps its form, and the variants that its stories name beside kernels and devices.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Scenario } from 'stagetwo';
import { kernelsFrom, runScenario } from 'stagetwo';
import { describe, expect, it } from 'vitest';
import gicvIar from '../../scenarios/cookbook/gicv-iar.ts';
import nvgrace from '../../scenarios/cookbook/nvgrace-coherent-memory.ts';

const folder = join(import.meta.dirname, '../../scenarios/cookbook');
const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));

const failed = (story: Scenario, options: Parameters<typeof runScenario>[1]) =>
  runScenario(story, options).expectations.filter(({ ok }) => !ok);

describe('coherent GPU memory', () => {
  it.each([
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ])('goes as expected from 6.12 on with FWB %s and DIC %s', (fwb, dic) => {
    for (const kernel of kernelsFrom('6.12')) {
      const run = runScenario(nvgrace, { kernel, vary: { fwb, dic } });
      expect(
        run.expectations.filter(({ ok }) => !ok),
        kernel,
      ).toEqual([]);
      expect(run.regions[0]?.leaves.length === 0, kernel).toBe(
        kernelsFrom('6.17').includes(kernel) && !(fwb && dic),
      );
    }
  });
});

describe('GICV under the what-if', () => {
  it('is Normal-NC and says that no kernel does so', () => {
    const run = runScenario(gicvIar, { vary: { gicv: 'normal-nc' } });
    expect(run.regions[0]?.leaves).toMatchObject([{ memAttr: 0b0101, because: 'what-if-gicv-normal-nc' }]);
    expect(failed(gicvIar, { vary: { gicv: 'normal-nc' } })).toEqual([]);
  });
});

describe.each(files)('%s', (file) => {
  const text = readFileSync(join(folder, file), 'utf8');

  it('says what happened, by whose word, and what to do', () => {
    const header = text.split('\n\n', 1).join('').replaceAll('\n// ', ' ');
    for (const part of ['What happened:', 'Source:', 'What to do:']) expect(header).toContain(part);
  });

  it('is short', () => {
    expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(45);
  });
});

it('the cookbook has ten incidents and more', () => {
  expect(files.length).toBeGreaterThanOrEqual(10);
});
