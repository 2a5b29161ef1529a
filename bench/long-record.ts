// A long run with everything recorded: what a transition takes of memory, and how long a jump to any of them takes.
// Checks that every event is there, and that the state found is the one of a replay.

import { hrtime, memoryUsage, resourceUsage } from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { plainState } from '../src/machine/plain.ts';
import { createSimulation } from '../src/machine/simulation.ts';
import { initialState } from '../src/machine/state.ts';
import { stateHash } from '../src/record/state-hash.ts';
import type { Timeline } from '../src/record/timeline.ts';
import { record } from '../src/record/timeline.ts';
import { freshVms, storeToPages } from './faults.ts';

export interface LongRecord {
  readonly transitions: number;
  readonly jumpMsP99: number;
  /** Bytes held for one, heap and buffers. */
  readonly bytesPerTransition: number;
  /** Largest resident size of the process up to here, jumps included; the check that follows is not the run's. */
  readonly peakMiB: number;
}

const EVENTS_A_FAULT = 7;

/** The golden ratio's fraction spreads jumps evenly, whatever their number. */
const SPREAD = 0.6180339887;
const JUMPS = 300;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function held(): number {
  collect();
  const { heapUsed, external } = memoryUsage();
  return heapUsed + external;
}

export function longRecord(transitions: number): LongRecord {
  const before = held();
  const simulation = createSimulation({ state: 'plain' });
  const timeline = record(simulation);
  const faults = Math.ceil(transitions / EVENTS_A_FAULT);
  freshVms(simulation, 1, faults);
  storeToPages(simulation, 0, 0, faults);
  const { length } = timeline;
  if (length < transitions) throw new Error(`${length} transitions instead of ${transitions}`);
  const bytesPerTransition = (held() - before) / length;
  const times = Array.from({ length: JUMPS }, (_, jump) => jumpMs(timeline, jump)).sort((a, b) => a - b);
  const jumpMsP99 = times[Math.floor(JUMPS * 0.99)] ?? Number.NaN;
  const peakMiB = resourceUsage().maxRSS / 1024;
  checkEverything(timeline);
  return { transitions: length, jumpMsP99, bytesPerTransition, peakMiB };
}

function jumpMs(timeline: Timeline, jump: number): number {
  const seq = Math.floor((timeline.length - 1) * ((jump * SPREAD) % 1));
  const started = hrtime.bigint();
  const snapshot = timeline.snapshotAt(seq);
  const ms = Number(hrtime.bigint() - started) / 1e6;
  if (timeline.event(seq).seq !== seq || snapshot.host === null) throw new Error(`event ${seq} is lost`);
  return ms;
}

/** The recorded events, all of them, lead to the recorded state. */
function checkEverything(timeline: Timeline): void {
  const again = plainState(initialState());
  for (let seq = 0; seq < timeline.length; seq++) again.apply(timeline.event(seq));
  if (stateHash(again.state) !== stateHash(timeline.snapshotAt(timeline.length - 1)))
    throw new Error('the recorded events give another state than the one recorded');
}
