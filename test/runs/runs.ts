// The golden runs: every scenario that comes with stagetwo under kernels of each kind, and every capture under its own.
// Each has a digest of its events, by their content, however a journal would write them; test/golden/run-hashes.txt
// holds what they came to when they were last looked at.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Recorded, Scenario } from 'stagetwo';
import { runScenario } from 'stagetwo';
import type { Simulation } from '../../src/machine/simulation.ts';
import { contentHash } from '../../src/record/state-hash.ts';
import { loadBundle } from '../../src/trace/bundle/load.ts';
import { replayBundle } from '../../src/trace/bundle/replay.ts';
import { captureAt, captureNames } from '../captures/captures.ts';

const root = join(import.meta.dirname, '..', '..');

/** Before Normal-NC, with it, and the newest. */
export const GOLDEN_KERNELS = ['6.1', '6.12', '7.0'] as const;

const storiesIn = (folder: string): string[] =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .map((name) => `${folder}/${name}`);

/** Paths from the root of the repository. */
export const storyPaths: readonly string[] = [...storiesIn('scenarios'), ...storiesIn('scenarios/cookbook')];

/** Hex digits of a digest that are kept: enough to tell runs apart, and short enough to read. */
const DIGITS = 16;

/** What a run's events come to. */
export const digestOf = (events: readonly Recorded[]): string => contentHash(events).slice(0, DIGITS);

/** Subscribes to what follows. */
export function keeping(events: Recorded[]): (simulation: Simulation) => void {
  return (simulation) => {
    simulation.bus.all.subscribe((event) => events.push(event));
  };
}

/** The events of a scenario under a kernel, seed 1. */
export async function storyEvents(path: string, kernel: string): Promise<readonly Recorded[]> {
  const { default: story } = (await import(join(root, path))) as { readonly default: Scenario };
  const events: Recorded[] = [];
  const onSimulation = keeping(events);
  runScenario(story, { kernel, seed: 1, events: 'drop', state: 'plain', onSimulation });
  return events;
}

/** The events of a capture under the kernel that was captured. */
export function captureEvents(name: string): readonly Recorded[] {
  const { machine } = loadBundle(captureAt(name));
  const events: Recorded[] = [];
  replayBundle(machine, name, () => {}, machine.host.kernel.version, keeping(events));
  return events;
}

export const HASHES_PATH = join(import.meta.dirname, '..', 'golden', 'run-hashes.txt');

/** What a run is called there. */
export const storyRun = (path: string, kernel: string): string => `${path} under ${kernel}`;
export const captureRun = (name: string): string => `capture ${name}`;

/** Every golden run, in the order of the file. */
export const goldenRuns: readonly string[] = [
  ...storyPaths.flatMap((path) => GOLDEN_KERNELS.map((kernel) => storyRun(path, kernel))),
  ...captureNames.map(captureRun),
];

/** The digests that are on file, by run. */
export function goldenDigests(): ReadonlyMap<string, string> {
  const lines = readFileSync(HASHES_PATH, 'utf8').split('\n').filter(Boolean);
  return new Map(lines.map((line) => [line.slice(DIGITS + 2), line.slice(0, DIGITS)]));
}
