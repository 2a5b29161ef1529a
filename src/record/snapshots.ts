// A state after every event in bounded memory: the latest states are held, all others are made anew from keyframes by
// the machine's own `evolve`, on a plain copy for the bulk of the way and by Immer's `produce` for the last steps, so
// that neighbours share what did not change.

import { freeze, Immer } from 'immer';
import { evolve } from '../machine/evolve.ts';
import { plainState } from '../machine/plain.ts';
import type { SnapshotState } from '../machine/snapshots.ts';
import type { MachineState } from '../machine/state.ts';
import type { EventLog } from './event-log.ts';
import { copyState } from './state-copy.ts';

/** Settings of memory against time. */
export interface SnapshotOptions {
  /** Events from one keyframe to the next, at first; 1,024 unless given. */
  readonly keyframeEvery?: number;
  /** Keyframes kept at most; when there are more, every other one goes. 1,024 unless given. */
  readonly keyframes?: number;
  /** Latest states held, where the simulation makes immutable ones; 1,024 unless given. */
  readonly recent?: number;
}

/** Return true to stop. The state is one object that changes in place: it is not to be kept. */
export type Visit = (state: MachineState, seq: number) => boolean | undefined;

export interface Snapshots {
  /** The state after the next event of the log. @param live it changes in place */
  add(state: MachineState, live: boolean): void;
  /** The immutable state after event `seq`, which exists; -1 is before the first. */
  at(seq: number): MachineState;
  /** The states after events `from` to `to`, ascending. */
  walk(from: number, to: number, visit: Visit): void;
  /** The latest keyframe before event `seq`, as the event after which it stands. */
  keyframeBefore(seq: number): number;
}

/** States made anew that are kept, so that a step back from one costs nothing. */
const WINDOW = 64;

interface Placed {
  readonly seq: number;
  readonly state: MachineState;
}

interface Keyframes {
  /** The next state, which becomes a keyframe if it is its turn. */
  offer(seq: number, state: MachineState, live: boolean): void;
  /** The latest that stands after event `seq` or earlier; nobody may change it, though it need not be frozen yet. */
  upTo(seq: number): Placed;
}

/**
 * Events from a keyframe to the next for each slice of the state, at least: a copy takes time by its slices, and a host
 * of a thousand VMs is to cost an event no more than one of one.
 */
const EVENTS_A_SLICE = 4;

const slicesIn = ({ vms, vcpus, devices }: MachineState): number =>
  vms.length + vcpus.length + devices.length;

function createKeyframes(before: MachineState, first: number, most: number): Keyframes {
  let every = first;
  let frames: Placed[] = [{ seq: -1, state: before }];
  return {
    offer(seq, state, live) {
      if ((seq + 1) % every !== 0) return;
      if (live && seq - (frames.at(-1)?.seq ?? 0) < EVENTS_A_SLICE * slicesIn(state)) return;
      frames.push({ seq, state: live ? copyState(state) : state });
      if (frames.length <= most + 1) return;
      every *= 2;
      frames = frames.filter(({ seq: at }) => (at + 1) % every === 0);
    },
    upTo(seq) {
      const found = frames[lastIndexUpTo(frames, seq)];
      if (found === undefined) throw new RangeError(`there is no keyframe before ${seq}`);
      return found;
    },
  };
}

export function createSnapshots(
  before: MachineState,
  log: EventLog,
  { keyframeEvery = 1024, keyframes: most = 1024, recent = 1024 }: SnapshotOptions,
): Snapshots {
  const immer = new Immer();
  const keyframes = createKeyframes(before, keyframeEvery, most);
  const latest: (MachineState | undefined)[] = [];
  let count = 0;
  let window: readonly Placed[] = [];

  const eventAt = (seq: number) => {
    const event = log.eventAt(seq);
    if (event === undefined) throw new RangeError(`event ${seq} is not in the log`);
    return event;
  };

  const placeUpTo = (seq: number): Placed => {
    const found = keyframes.upTo(seq);
    const near = window.findLast((it) => it.seq <= seq);
    return near !== undefined && near.seq > found.seq ? near : found;
  };

  /** The state after `seq` as one that may change. */
  const plainAt = (seq: number): SnapshotState => {
    const base = placeUpTo(seq);
    const plain = plainState(copyState(base.state));
    for (let at = base.seq + 1; at <= seq; at++) plain.apply(eventAt(at));
    return plain;
  };

  const rebuilt = (base: Placed, seq: number): MachineState => {
    let last = base;
    let states = window.at(-1) === last ? window.slice(-WINDOW) : [last];
    if (seq - last.seq > WINDOW) {
      last = { seq: seq - WINDOW, state: freeze(copyState(plainAt(seq - WINDOW).state), true) };
      states = [last];
    }
    while (last.seq < seq) {
      const event = eventAt(last.seq + 1);
      const state = immer.produce(last.state, (draft) => evolve(draft as unknown as MachineState, event));
      last = { seq: last.seq + 1, state };
      states.push(last);
    }
    window = states;
    return last.state;
  };

  return {
    add(state, live) {
      if (!live) latest[count % recent] = state;
      keyframes.offer(count, state, live);
      count += 1;
    },
    at(seq) {
      const held = seq >= count - recent && seq >= 0 ? latest[seq % recent] : undefined;
      if (held !== undefined) return held;
      const base = frozen(placeUpTo(seq));
      return base.seq === seq ? base.state : rebuilt(base, seq);
    },
    walk(from, to, visit) {
      const plain = plainAt(from);
      for (let seq = from; seq <= to; seq++) {
        if (seq > from) plain.apply(eventAt(seq));
        if (visit(plain.state, seq) === true) return;
      }
    },
    keyframeBefore: (seq) => keyframes.upTo(seq - 1).seq,
  };
}

/** Only now, when somebody asks: most keyframes nobody looks at, and freezing one takes time by its slices. */
function frozen(placed: Placed): Placed {
  freeze(placed.state, true);
  return placed;
}

/** Places ascend by seq. @returns -1 if the first is later */
function lastIndexUpTo(places: readonly Placed[], seq: number): number {
  let low = 0;
  let high = places.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((places[middle]?.seq ?? 0) <= seq) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
