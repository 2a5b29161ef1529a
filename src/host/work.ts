// One decision in the making: a shallow copy of the slices it may change, and the events so far. Each event takes
// effect in the copy by the same `evolve` that will run on the real state, so that later steps see earlier ones.

import type { HostEvent } from './events.ts';
import { evolveVm } from './evolve.ts';
import type { HostState, VmState } from './state.ts';

export interface Work {
  readonly host: HostState;
  /** Number of the VM's slice. */
  readonly id: number;
  readonly vm: VmState;
  readonly events: HostEvent[];
}

export const workOn = (host: HostState, id: number, vm: VmState, events: HostEvent[] = []): Work => ({
  host,
  id,
  vm: { ...vm },
  events,
});

/** Adds the last events of a decision: nothing looks at the working copy any more, so it is left as it is. */
export function conclude(work: Work, ...events: readonly HostEvent[]): void {
  work.events.push(...events);
}

/** Adds an event to the decision and lets it take effect in the working copy. */
export function emit(work: Work, event: HostEvent): void {
  evolveVm(work.vm, event);
  work.events.push(event);
}
