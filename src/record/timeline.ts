// The timeline of a simulation: every event with the snapshot after it, and what differs between two moments.
// Snapshots are the simulation's own immutable states, so that a million of them share all that did not change.

import type { Recorded } from '../machine/events.ts';
import type { Simulation } from '../machine/simulation.ts';
import type { MachineState } from '../machine/state.ts';
import type { Difference } from './difference.ts';
import { differences } from './difference.ts';

export interface Timeline {
  /** Events recorded so far. */
  readonly length: number;
  /** @throws RangeError if there is no such event */
  event(seq: number): Recorded;
  /** The state after event `seq`; -1 is before the first. @throws RangeError if there is no such event */
  snapshotAt(seq: number): MachineState;
  /** What is different after event `b` from after event `a`; ordered by path. @throws RangeError as above */
  diff(a: number, b: number): readonly Difference[];
}

/**
 * Records a simulation from here on.
 * @param simulation before its first event, with Immer states
 * @throws RangeError if events have passed already
 */
export function record(simulation: Simulation): Timeline {
  if (simulation.length > 0) {
    throw new RangeError(`${simulation.length} events have passed; record a simulation before its first`);
  }
  const before = simulation.state;
  const events: Recorded[] = [];
  const snapshots: MachineState[] = [];
  simulation.bus.all.subscribe((event) => {
    events.push(event);
    snapshots.push(simulation.state);
  });
  const at = <T>(list: readonly T[], seq: number): T => {
    const found = list[seq];
    if (found === undefined)
      throw new RangeError(`there is no event ${seq}; there are ${list.length}, from 0`);
    return found;
  };
  const snapshotAt = (seq: number): MachineState => (seq === -1 ? before : at(snapshots, seq));
  return {
    get length() {
      return events.length;
    },
    event: (seq) => at(events, seq),
    snapshotAt,
    diff: (a, b) => differences(snapshotAt(a), snapshotAt(b)),
  };
}
