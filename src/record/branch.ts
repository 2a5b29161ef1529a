// Another future of a run: it is run again from its source, which is deterministic, up to an event. There something
// else happens, and programs and schedule go on from it as they would have.

import type { MachineEvent } from '../machine/events.ts';
import type { Simulation } from '../machine/simulation.ts';
import type { MachineState } from '../machine/state.ts';
import { differences } from './difference.ts';
import type { History } from './history.ts';
import type { Timeline, TimelineOptions } from './timeline.ts';
import { record } from './timeline.ts';

export interface Branching {
  /** Runs the source from the start and hands over its simulation before the first event. */
  readonly run: (onSimulation: (simulation: Simulation) => void) => void;
  /** After this event, once what it led to at once has been decided. */
  readonly at: number;
  /** What happens then, from outside. */
  readonly change: (state: MachineState) => readonly MachineEvent[];
}

/**
 * @param original the run as it was recorded
 * @returns the other run, equal to the original up to `at`
 * @throws RangeError if the source no longer gives the recorded run
 */
export function branch(original: History, branching: Branching, options: TimelineOptions = {}): Timeline {
  const { run, at, change } = branching;
  let timeline: Timeline | undefined;
  let failure: unknown = null;
  const follow = (simulation: Simulation): void => {
    timeline = record(simulation, options);
    simulation.bus.all.subscribe((event) => {
      if (failure !== null || event.seq > at) return;
      try {
        const found = differences(original.event(event.seq), event)[0];
        if (found !== undefined) throw parted(event.seq, found.path);
        if (event.seq === at) for (const next of change(simulation.state)) simulation.dispatch(next);
      } catch (error) {
        // An error of a subscriber would leave the bus aside: it is kept until the run is over.
        failure = error;
      }
    });
  };
  run(follow);
  if (failure !== null) throw failure;
  if (timeline === undefined || timeline.length <= at) {
    throw new RangeError(
      `the run again ends before event ${at}; its source gives another run than the recorded one`,
    );
  }
  return timeline;
}

const parted = (seq: number, path: string): RangeError =>
  new RangeError(
    `the run again parts from the record at event ${seq} (${path}); its source has changed since`,
  );
