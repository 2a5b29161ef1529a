// The simulation: the bus with every part listening, the state that events change, and the numbering of
// events. What comes from outside is dispatched; the queue drains before dispatch returns, but for events
// that are held.

import type { Bus } from '../bus/bus.ts';
import { createBus } from '../bus/bus.ts';
import { createClock } from '../bus/clock.ts';
import { decide, HEARD } from './decide.ts';
import type { MachineEvent, Recorded } from './events.ts';
import { evolveSlices, slicesOf } from './evolve.ts';
import type { SnapshotState } from './snapshots.ts';
import { snapshotState } from './snapshots.ts';
import type { MachineState } from './state.ts';
import { initialState } from './state.ts';

/** Whether an event is to wait for `release` before its handlers hear of it; it is recorded either way. */
export type Hold = (event: Recorded) => boolean;

export interface SimulationOptions {
  /** `immer`: an immutable state after every event. `plain`: one object that changes, for bulk replay. */
  readonly state?: 'immer' | 'plain';
  readonly hold?: Hold;
  /**
   * Who answers MMIO exits that no device's window covers: a VMM that reads 0 there, or whoever listens to
   * the bus. The VMM unless given, if any device is plugged.
   */
  readonly unassignedMmio?: 'vmm' | 'listener';
}

export interface Simulation {
  readonly state: MachineState;
  readonly bus: Pick<Bus<Queued, Recorded>, 'all' | 'on'>;
  /** Number of events so far. */
  readonly length: number;
  /** Records an event from outside and all that follows from it. @param at virtual time, never before now */
  dispatch(event: MachineEvent, at?: number): void;
  /** Lets the handlers of a held event hear it; false if no event of that vCPU is held. */
  release(vcpu: number): boolean;
  /** The held event of a vCPU. */
  held(vcpu: number): Recorded | undefined;
}

/** An event in the queue: it knows its cause, and gets its number and time when its turn comes. */
type Queued = MachineEvent & { seq?: number; cause?: number | null; at?: number };

/** An event takes this long unless the outside says when it happened. */
const EVENT_NS = 1;

/** One object that every event changes in place. */
function plainState(state: MachineState): SnapshotState {
  const slices = slicesOf(state);
  return { state, apply: (event) => evolveSlices(slices, event) };
}

export function createSimulation(options: SimulationOptions = {}): Simulation {
  const clock = createClock();
  const held = new Map<number, Recorded>();
  const machine = options.state === 'plain' ? plainState(initialState()) : snapshotState(initialState());
  let length = 0;

  // The envelope is written onto the event: copying it into a new object was measured to cost four times as much as
  // evolving the state. Events of decisions are fresh and the simulation's own; what comes from outside is copied.
  const accept = (event: Queued): Recorded => {
    event.seq = length;
    event.at = clock.now;
    machine.apply(event);
    length += 1;
    clock.advanceTo(clock.now + EVENT_NS);
    return event as Recorded;
  };

  const bus = createBus<Queued, Recorded>(accept);
  const emitAll = (events: readonly Queued[], cause: number): void => {
    for (const event of events) {
      event.cause = cause;
      bus.emit(event);
    }
  };

  const deliver = (event: Recorded): void =>
    emitAll(decide(machine.state, event, options.unassignedMmio), event.seq);

  bus.handle(HEARD, (event) => {
    if ('vcpu' in event && options.hold?.(event) === true) held.set(event.vcpu, event);
    else deliver(event);
  });

  return {
    get state() {
      return machine.state;
    },
    get length() {
      return length;
    },
    bus,
    dispatch(event, at) {
      if (at !== undefined) clock.advanceTo(Math.max(at, clock.now));
      bus.emit({ ...event, cause: null });
    },
    held: (vcpu) => held.get(vcpu),
    release(vcpu) {
      const event = held.get(vcpu);
      if (event === undefined) return false;
      held.delete(vcpu);
      deliver(event);
      return true;
    },
  };
}
