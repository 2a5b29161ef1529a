// The timeline of a run: every event with the state after it, what differs between two moments, and why anything is as
// it is. Memory is bounded by its settings: what is not held is made anew from the events.

import type { LeafAttributes } from '../arch/descriptor.ts';
import type { MachineEvent, Recorded } from '../machine/events.ts';
import { plainState } from '../machine/plain.ts';
import type { Simulation } from '../machine/simulation.ts';
import type { MachineState } from '../machine/state.ts';
import { initialState } from '../machine/state.ts';
import type { Bisection, BisectOptions, Property } from './bisect.ts';
import { bisect } from './bisect.ts';
import type { Difference } from './difference.ts';
import { differences } from './difference.ts';
import type { Reread } from './event-log.ts';
import { createEventLog } from './event-log.ts';
import type { Failure, History } from './history.ts';
import type { SnapshotOptions } from './snapshots.ts';
import { createSnapshots } from './snapshots.ts';
import { copyState } from './state-copy.ts';
import type { Why } from './why.ts';
import { why } from './why.ts';

export interface Timeline extends History {
  /** `snapshotAt` in short. */
  at(seq: number): MachineState;
  /** What is different after event `b` from after event `a`; ordered by path. @throws RangeError as above */
  diff(a: number, b: number): readonly Difference[];
  /**
   * The last event at or before `at` that changed a fact, and what led to it.
   * @param path `vm0.stage2[0x10000000]`, `vm0.dead`, `vcpu1.pending`, `nic.BAR0.ICR`, `host.features.normalNc`
   * @param at the last event unless given
   * @throws RangeError for a path that names nothing
   */
  why(path: string, at?: number): Why;
  /**
   * The first event after which a property no longer holds.
   * @param property an expression over facts, `vm0.stage2[0x10000000].memAttr != 1 and not vm0.dead`, or a function
   * @throws RangeError for an expression that cannot be read
   */
  bisect(property: string | Property, options?: BisectOptions): Bisection;
}

export interface TimelineOptions extends SnapshotOptions {
  /** Latest events held as they are, older ones packed; 1,048,576 unless given. */
  readonly heldEvents?: number;
}

interface Recording {
  readonly timeline: Timeline;
  /** The next event and the state after it. */
  add(event: MachineEvent, cause: number | null, at: number, state: MachineState, live: boolean): void;
}

const HELD_EVENTS = 1_048_576;

/**
 * Records a simulation from here on, in either mode of its state.
 * @param simulation before its first event
 * @throws RangeError if events have passed already
 */
export function record(simulation: Simulation, options: TimelineOptions = {}): Timeline {
  if (simulation.length > 0) {
    throw new RangeError(`${simulation.length} events have passed; record a simulation before its first`);
  }
  // A plain state stays the same object for ever; an immutable one never comes back once something changed.
  const first = simulation.state;
  const { timeline, add } = recording(copyState(first), options, null);
  simulation.record((event, _, cause, at) => {
    const { state } = simulation;
    add(event, cause, at, state, state === first);
  });
  return timeline;
}

/**
 * The timeline of events that were recorded earlier, numbered from 0; replayed once, at the speed of `evolve`.
 * @param reread gives events once more, for those that need not be kept
 */
export function timelineOf(
  events: Iterable<Recorded>,
  options: TimelineOptions = {},
  reread: Reread | null = null,
): Timeline {
  const { timeline, add } = recording(initialState(), options, reread);
  const plain = plainState(initialState());
  const share = sharing();
  for (const given of events) {
    const event = share(given);
    plain.apply(event);
    add(event, event.cause, event.at, plain.state, true);
  }
  return timeline;
}

/** Leaves of a run share their attributes; read from text each has its own, as much memory as all else of a leaf. */
function sharing(): (event: Recorded) => Recorded {
  const known = new Map<string, LeafAttributes>();
  return (event) => {
    if (!('attributes' in event)) return event;
    const key = Object.values(event.attributes).join();
    const attributes = known.get(key) ?? event.attributes;
    known.set(key, attributes);
    return { ...event, attributes };
  };
}

function recording(before: MachineState, options: TimelineOptions, reread: Reread | null): Recording {
  const log = createEventLog(options.heldEvents ?? HELD_EVENTS, reread);
  const snapshots = createSnapshots(before, log, options);
  const check = (seq: number, least: number): void => {
    if (Number.isInteger(seq) && seq >= least && seq < log.length) return;
    throw new RangeError(`there is no event ${seq}; there are ${log.length}, from 0`);
  };
  const snapshotAt = (seq: number): MachineState => {
    check(seq, -1);
    return snapshots.at(seq);
  };
  const failures: Failure[] = [];
  const timeline: Timeline = {
    failures,
    get length() {
      return log.length;
    },
    event(seq) {
      check(seq, 0);
      return log.at(seq) as Recorded;
    },
    snapshotAt,
    at: snapshotAt,
    diff: (a, b) => differences(snapshotAt(a), snapshotAt(b)),
    why(path, at = log.length - 1) {
      check(at, -1);
      return why(timeline, path, at);
    },
    bisect: (property, bisectOptions = {}) => bisect(timeline, property, bisectOptions),
    walk(from, to, visit) {
      check(from, -1);
      check(to, -1);
      snapshots.walk(from, to, visit);
    },
    keyframeBefore: snapshots.keyframeBefore,
  };
  return {
    timeline,
    add(event, cause, at, state, live) {
      if (event.type === 'run-failed') failures.push({ vm: event.vm, seq: log.length, errno: event.errno });
      log.append(event, cause, at);
      snapshots.add(state, live);
    },
  };
}
