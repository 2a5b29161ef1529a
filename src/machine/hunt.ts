// The hunt: runs a scenario again and again with other choices where the architecture leaves processors some, and other
// turns of its programs, until an expectation breaks. Behaviours come by how far they depart from the typical run,
// each once, so that a small space is searched whole; what is left of the budget is drawn by a seed.

import type { KernelPreset } from '../host/kernels.ts';
import type { ChoiceTaken } from './adversary.ts';
import type { ScenarioRun, Variant } from './report.ts';
import { runScenario } from './runner.ts';
import type { Scenario } from './scenario.ts';

/** Something that could have gone another way: 0 is the typical way. */
export type Decision =
  | ({ readonly kind: 'choice'; readonly vcpu: number } & ChoiceTaken)
  /** `chosen` is an index into `ready`, the numbers of those who could go. */
  | {
      readonly kind: 'turn';
      readonly ready: readonly number[];
      readonly options: number;
      readonly chosen: number;
    };

/** Decisions to take first; beyond them a run is typical, or drawn. */
export interface Script {
  /** Of processors, in order. */
  readonly choices: readonly number[];
  /** Whose turn it is, in order: numbers as in the schedule of a run. */
  readonly schedule: readonly number[];
}

export interface HuntOptions {
  /** Name of a preset, or a kernel of one's own; the newest preset unless given. */
  readonly kernel?: string | KernelPreset;
  readonly vary?: Variant;
  /** Seed of what is drawn; 1 unless given. */
  readonly seed?: number;
  /** Most runs; 2000 unless given. */
  readonly runs?: number;
  /** Hears of the number of runs so far. */
  readonly onRun?: (runs: number) => void;
}

/** One run, and all that was decided in it. */
export interface Attempt {
  readonly run: ScenarioRun;
  readonly decisions: readonly Decision[];
  /** An expectation failed, or a program waits for a signal that nobody raised. */
  readonly isBroken: boolean;
}

export interface Hunted {
  /** The first broken run; null if none was found. */
  readonly broken: Attempt | null;
  readonly runs: number;
  /** Every behaviour was run: there are no others. */
  readonly isExhaustive: boolean;
  /** All behaviours with so many departures from the typical one were run. */
  readonly departures: number;
  /** Runs that were drawn by the seed. */
  readonly drawn: number;
}

const MOST_RUNS = 2000;

/** @param seed of all that the script leaves open; null for the typical way */
export function attempt(
  story: Scenario,
  { kernel, vary = {} }: HuntOptions,
  { choices, schedule }: Script,
  seed: number | null = null,
): Attempt {
  const decisions: Decision[] = [];
  const run = runScenario(story, {
    ...(kernel === undefined ? {} : { kernel }),
    vary,
    state: 'plain',
    schedule,
    ...(seed === null ? { turns: 'steady' } : { seed }),
    adversary: seed === null ? { choices } : { choices, seed },
    onTurn: ({ ready, went }) =>
      void decisions.push({ kind: 'turn', ready, options: ready.length, chosen: ready.indexOf(went) }),
    onSimulation: ({ bus }) => {
      bus.on('choices-taken').subscribe(({ vcpu, choices: taken }) => {
        for (const choice of taken) decisions.push({ kind: 'choice', vcpu, ...choice });
      });
    },
  });
  return { run, decisions, isBroken: !run.ok || run.stuck.length > 0 };
}

/** The script of a run's first decisions, the last of them taken otherwise. */
export function scriptOf(decisions: readonly Decision[], chosen?: number): Script {
  const last = decisions.length - 1;
  const taken = decisions.map((it, at) => (at === last && chosen !== undefined ? { ...it, chosen } : it));
  return {
    choices: taken.flatMap((it) => (it.kind === 'choice' ? [it.chosen] : [])),
    schedule: taken.flatMap((it) => (it.kind === 'turn' ? [it.ready[it.chosen] ?? 0] : [])),
  };
}

/** A run of a level and where its own departures end: those of its children come behind. */
interface Node {
  readonly decisions: readonly Decision[];
  readonly from: number;
}

/** Scripts with one departure more than each of these runs, and where it stands. */
function* childrenOf(level: readonly Node[]): Generator<{ script: Script; from: number }> {
  for (const { decisions, from } of level) {
    for (let at = from; at < decisions.length; at += 1) {
      const options = decisions[at]?.options ?? 1;
      for (let chosen = 1; chosen < options; chosen += 1) {
        yield { script: scriptOf(decisions.slice(0, at + 1), chosen), from: at + 1 };
      }
    }
  }
}

/**
 * Looks for a broken expectation: level by level of departures with half of the runs, by the seed with the rest.
 * @throws RangeError as `runScenario` does
 */
export function hunt(story: Scenario, options: HuntOptions = {}): Hunted {
  const { runs: most = MOST_RUNS, seed = 1, onRun } = options;
  let runs = 0;
  const once = (script: Script, from: number | null): Attempt => {
    runs += 1;
    onRun?.(runs);
    return attempt(story, options, script, from);
  };
  const first = once({ choices: [], schedule: [] }, null);
  const found = (broken: Attempt | null, departures: number, drawn: number): Hunted => ({
    broken,
    runs,
    isExhaustive: false,
    departures,
    drawn,
  });
  if (first.isBroken) return found(first, 0, 0);
  let level: Node[] = [{ decisions: first.decisions, from: 0 }];
  for (let departures = 0; level.length > 0; departures += 1) {
    const next: Node[] = [];
    for (const { script, from } of childrenOf(level)) {
      if (runs >= Math.max(1, Math.ceil(most / 2))) {
        return drawRest(once, most, seed, (broken, drawn) => found(broken, departures, drawn));
      }
      const tried = once(script, null);
      if (tried.isBroken) return found(tried, departures, 0);
      next.push({ decisions: tried.decisions, from });
    }
    if (next.length === 0) return { ...found(null, departures, 0), isExhaustive: true };
    level = next;
  }
  return found(null, 0, 0);
}

/** Runs by the seed and those after it, until one breaks or the budget is spent. */
function drawRest(
  once: (script: Script, seed: number) => Attempt,
  most: number,
  seed: number,
  found: (broken: Attempt | null, drawn: number) => Hunted,
): Hunted {
  const left = Math.floor(most / 2);
  for (let drawn = 1; drawn <= left; drawn += 1) {
    const tried = once({ choices: [], schedule: [] }, (seed + drawn - 1) >>> 0);
    if (tried.isBroken) return found(tried, drawn);
  }
  return found(null, left);
}
