import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { MachineEvent, RunOptions, Scenario, ScenarioRun } from 'stagetwo';
import { KERNELS, outline, runScenario, VARY_DEVICES } from 'stagetwo';
import { beforeAll, describe, expect, it } from 'vitest';
import { evolve } from '../../src/machine/evolve.ts';
import { initialState } from '../../src/machine/state.ts';
import { twice } from '../helpers/twice.ts';

const folder = join(import.meta.dirname, '../../scenarios');
/** Files of both folders, by their path in `scenarios`. */
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .sort();

/** The expectations that failed, in words that say what to look at. */
const failures = (run: ScenarioRun): readonly string[] =>
  run.expectations
    .filter(({ ok }) => !ok)
    .map(({ what, expected, actual }) => `${what}: expected ${expected}, but ${actual}`);

/** Null where the story itself says that it cannot be told with that device. */
function runUnlessRefused(story: Scenario, options: RunOptions): ScenarioRun | null {
  try {
    return runScenario(story, options);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

describe.each(files)('scenarios/%s', (file) => {
  let story: Scenario;

  beforeAll(async () => {
    const module: { readonly default: Scenario } = await import(join(folder, file));
    story = module.default;
  });

  it('goes as expected under every kernel that it names', () => {
    const { kernels } = outline(story);

    for (const kernel of kernels.length === 0 ? KERNELS.map(({ name }) => name) : kernels) {
      const run = runScenario(story, { kernel });
      expect(failures(run), kernel).toEqual([]);
      expect(run.expectations.length, `${kernel} expects something`).toBeGreaterThan(0);
      expect(run.stuck, kernel).toEqual([]);
    }
  });

  it('goes as expected under all kernels with each kind of device', () => {
    for (const { name: kernel } of KERNELS) {
      for (const device of VARY_DEVICES) {
        const run = runUnlessRefused(story, { kernel, vary: { device }, state: 'plain' });
        if (run !== null) expect(failures(run), `${kernel} ${device}`).toEqual([]);
      }
    }
  });

  it.each([4096, 16384, 65536] as const)('runs to its end with pages of %i bytes', (pageSize) => {
    for (const fwb of [true, false]) {
      const run = runScenario(story, { vary: { pageSize, fwb }, state: 'plain' });
      expect(run.stuck).toEqual([]);
      expect(
        run.vms.flatMap(({ vcpus, dead }) => (dead === null ? vcpus : [])).every((it) => it.finished),
      ).toBe(true);
    }
  });

  it.each(['6.1', '6.12'])(
    'has one state whether events change drafts or plain objects, under %s',
    (kernel) => {
      const run = runScenario(story, { kernel });
      const plain = initialState();

      for (const { seq, cause: _cause, at: _at, ...event } of run.events) {
        evolve(plain, event as MachineEvent);
        expect(plain, `after event ${seq}, ${event.type}`).toEqual(run.snapshot(seq));
      }
      expect(runScenario(story, { kernel, state: 'plain' }).events).toEqual(run.events);
    },
  );

  it('gives the same events for the same seed, and for the recorded schedule', () => {
    const first = runScenario(story, { seed: 7 });

    expect(runScenario(story, { seed: 7 }).events).toEqual(first.events);
    const { schedule } = first;
    const again = runScenario(story, { seed: 8, schedule });
    expect(again.events).toEqual(first.events);
    expect(again.schedule).toEqual(schedule);
  });

  it('goes as expected whoever goes first', () => {
    const run = twice(
      (seed: number, kernel: string) => runScenario(story, { seed, kernel, state: 'plain' }),
      ({ events }) => events,
    );
    for (let seed = 0; seed < 20; seed += 1) {
      for (const kernel of ['6.1', '6.12']) {
        expect(failures(run(seed, kernel)), `seed ${seed}`).toEqual([]);
      }
    }
  });
});
