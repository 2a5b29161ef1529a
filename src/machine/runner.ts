// Runs a scenario under a kernel: sets the machine up, lets the programs take turns by a seeded schedule that is
// recorded, and judges the expectations. The same scenario, kernel, seed and variant give the same bytes.

import type { CpuFeatures } from '../arch/cpu.ts';
import type { ScenarioRun, Variant } from './report.ts';
import type { Scenario } from './scenario.ts';
import type { Simulation } from './simulation.ts';

export interface RunOptions {
  /** Name of a preset; the newest unless given. */
  readonly kernel?: string;
  /** Seed of the schedule, 0 to 2^32 - 1; 1 unless given. */
  readonly seed?: number;
  /** What differs from the scenario as written. */
  readonly vary?: Variant;
  /** Turns to take, as an earlier run recorded them; the seed goes on where they end. */
  readonly schedule?: readonly number[];
  /** `immer` keeps a snapshot of each event; `plain` is for bulk. `immer` unless given. */
  readonly state?: 'immer' | 'plain';
  /** `drop` keeps no events, for runs that an observer follows. `keep` unless given. */
  readonly events?: 'keep' | 'drop';
  readonly cpu?: Partial<CpuFeatures>;
  /** Called before the first event, to subscribe to the bus or to record a timeline. */
  readonly onSimulation?: (simulation: Simulation) => void;
}

/**
 * Runs the story to its end and judges it; a failed expectation is part of the result.
 * @throws RangeError for a kernel without a preset, a story that contradicts itself, or a schedule that does not fit
 */
export declare function runScenario(scenario: Scenario, options?: RunOptions): ScenarioRun;
