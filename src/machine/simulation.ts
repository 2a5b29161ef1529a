// The simulation: the bus with every part listening, the state that events change, and the numbering of
// events. What comes from outside is dispatched; the queue drains before dispatch returns, but for events
// that are held.

import type { Bus } from '../bus/bus.ts';
import { createBus } from '../bus/bus.ts';
import { createClock } from '../bus/clock.ts';
import { decide, HEARD } from './decide.ts';
import type { MachineEvent, Recorded } from './events.ts';
import { plainState } from './plain.ts';
import { snapshotState } from './snapshots.ts';
import type { MachineState } from './state.ts';
import { initialState } from './state.ts';

/** Whether an event is to wait for `release` before its handlers hear of it; it is recorded either way. */
export type Hold = (event: MachineEvent) => boolean;

/**
 * Whoever records a run: called for every event, in order, once the state has changed. The event is not to be changed;
 * an error stops the run.
 */
export type Recorder = (event: MachineEvent, seq: number, cause: number | null, at: number) => void;

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
  /** For observers: events in their envelopes. */
  readonly bus: Pick<Bus<MachineEvent, Recorded>, 'all' | 'on'>;
  /** Number of events so far. */
  readonly length: number;
  /** Virtual time of the next event, in nanoseconds. */
  readonly now: number;
  /** Has every event from here on recorded, cheaper than an observer of the bus. */
  record(recorder: Recorder): void;
  /** Records an event from outside and all that follows from it. @param at virtual time, never before now */
  dispatch(event: MachineEvent, at?: number): void;
  /** Lets the handlers of a held event hear it; false if no event of that vCPU is held. */
  release(vcpu: number): boolean;
  /** The held event of a vCPU. */
  held(vcpu: number): MachineEvent | undefined;
}

/** An event takes this long unless the outside says when it happened. */
const EVENT_NS = 1;

interface Held {
  readonly event: MachineEvent;
  readonly seq: number;
}

export function createSimulation(options: SimulationOptions = {}): Simulation {
  const { hold, unassignedMmio } = options;
  const held = new Map<number, Held>();
  const recorders: Recorder[] = [];
  const machine = options.state === 'plain' ? plainState(initialState()) : snapshotState(initialState());
  const clock = createClock();
  let at = 0;

  const bus = createBus<MachineEvent, Recorded>({
    accept(event, seq, cause) {
      at = clock.now;
      machine.apply(event);
      for (let index = 0; index < recorders.length; index++) recorders[index]?.(event, seq, cause, at);
      clock.advanceTo(at + EVENT_NS);
    },
    published: (event, seq, cause) => ({ ...event, cause, seq, at }),
  });

  const deliver = (event: MachineEvent, seq: number): void => {
    for (const next of decide(machine.state, event, unassignedMmio)) bus.emit(next, seq);
  };

  bus.handle(HEARD, (event) => {
    if (hold !== undefined && 'vcpu' in event && hold(event)) held.set(event.vcpu, { event, seq: bus.seq });
    else deliver(event, bus.seq);
  });

  return {
    get state() {
      return machine.state;
    },
    get length() {
      return bus.seq + 1;
    },
    get now() {
      return clock.now;
    },
    bus,
    record: (recorder) => void recorders.push(recorder),
    dispatch(event, when) {
      if (when !== undefined) clock.advanceTo(Math.max(when, clock.now));
      bus.emit(event, null);
    },
    held: (vcpu) => held.get(vcpu)?.event,
    release(vcpu) {
      const found = held.get(vcpu);
      if (found === undefined) return false;
      held.delete(vcpu);
      deliver(found.event, found.seq);
      return true;
    },
  };
}
