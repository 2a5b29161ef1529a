// From a broken run to the shortest list of decisions that still breaks it: departures are taken back one after the
// other, each with all that follow and then alone, until none can go.

import type { Attempt, Decision, HuntOptions, Script } from './hunt.ts';
import { attempt, scriptOf } from './hunt.ts';
import type { Scenario } from './scenario.ts';

export interface Finding {
  /** The broken run, typical but for its departures. */
  readonly attempt: Attempt;
  /** What repeats it: up to the last departure. */
  readonly script: Script;
  readonly departures: readonly Decision[];
}

const isDeparture = ({ chosen }: Decision): boolean => chosen !== 0;

/** @param broken a run that the hunt found */
export function shrink(story: Scenario, options: HuntOptions, broken: Attempt): Finding {
  let best = broken;
  for (;;) {
    const smaller = smallerThan(story, options, best);
    if (smaller === null) break;
    best = smaller;
  }
  const { decisions } = best;
  // Each list ends with its own last departure: beyond it both are typical.
  const upTo = (kind: Decision['kind']): Script => {
    const last = decisions.findLastIndex((it) => it.kind === kind && isDeparture(it));
    return scriptOf(decisions.slice(0, last + 1));
  };
  const script = { choices: upTo('choice').choices, schedule: upTo('turn').schedule };
  return { attempt: best, script, departures: decisions.filter(isDeparture) };
}

/** A broken run with fewer departures; null if taking any of them back mends it. */
function smallerThan(story: Scenario, options: HuntOptions, { decisions }: Attempt): Attempt | null {
  const departures = decisions.filter(isDeparture).length;
  for (let at = 0; at < decisions.length; at += 1) {
    const decision = decisions[at];
    if (decision === undefined || !isDeparture(decision)) continue;
    const before = decisions.slice(0, at);
    const scripts = [scriptOf(before), scriptOf(withTypical(decisions, at))];
    for (const script of scripts) {
      const tried = tryScript(story, options, script);
      if (tried?.isBroken === true && tried.decisions.filter(isDeparture).length < departures) return tried;
    }
  }
  return null;
}

const withTypical = (decisions: readonly Decision[], at: number): Decision[] =>
  decisions.map((it, index) => (index === at ? { ...it, chosen: 0 } : it));

/** Null where the turns do not fit any more, because somebody else went before. */
function tryScript(story: Scenario, options: HuntOptions, script: Script): Attempt | null {
  try {
    return attempt(story, options, script);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
