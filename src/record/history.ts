// What questions about a run are asked of: its events, and the state after each.

import type { Recorded } from '../machine/events.ts';
import type { MachineState } from '../machine/state.ts';
import type { Visit } from './snapshots.ts';

/** KVM_RUN of a VM's vCPU failed at this event. */
export interface Failure {
  readonly vm: number;
  readonly seq: number;
  readonly errno: number;
}

export interface History {
  /** Events recorded so far. */
  readonly length: number;
  /** @throws RangeError if there is no such event */
  event(seq: number): Recorded;
  /** Every failure so far, in order. */
  readonly failures: readonly Failure[];
  /** The state after event `seq`; -1 is before the first. @throws RangeError if there is no such event */
  snapshotAt(seq: number): MachineState;
  /**
   * The states after events `from` to `to`, one after the other, faster than `snapshotAt` of each.
   * @param visit gets one object that changes in place; returns true to stop
   * @throws RangeError if there is no such event
   */
  walk(from: number, to: number, visit: Visit): void;
  /** Where a replay of event `seq` best starts: the last keyframe before it, or -1. */
  keyframeBefore(seq: number): number;
}
