// A vCPU that takes the same fault for ever: the host answers, nothing changes, the instruction runs again. On real
// hardware the vCPU spins until somebody changes what it meets; a run goes on without it.

import type { MachineEvent } from './events.ts';

/** Faults of one access; three times what racing vCPUs were measured to need (19 in a row). */
const FAULTS = 64;

/** Faults after which even what others do is not waited for. */
const MOST_FAULTS = 8 * FAULTS;

/** The access of this event has faulted so often that only somebody else can end it. */
export const livelocks = (event: MachineEvent): boolean =>
  event.type === 'stage2-faulted' && event.attempt >= FAULTS;

/** Nothing will end it. */
export const livelocksForEver = (event: MachineEvent): boolean =>
  event.type === 'stage2-faulted' && event.attempt >= MOST_FAULTS;
