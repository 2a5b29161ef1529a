// Runs the same steps on Immer drafts and on a plain object, and compares after every event: `evolve` may not
// see a difference between the two.

import { expect } from 'vitest';
import type { Recorded } from '../../src/machine/events.ts';
import { evolve } from '../../src/machine/evolve.ts';
import type { Simulation, SimulationOptions } from '../../src/machine/simulation.ts';
import { createSimulation } from '../../src/machine/simulation.ts';
import type { MachineState } from '../../src/machine/state.ts';
import { initialState } from '../../src/machine/state.ts';

/**
 * The events and the last state of the run.
 * @param steps dispatches from outside; called twice
 */
export function runBothWays(
  steps: (simulation: Simulation) => void,
  options: Omit<SimulationOptions, 'state'> = {},
): { readonly events: readonly Recorded[]; readonly state: MachineState } {
  const events: Recorded[] = [];
  const snapshots: MachineState[] = [];
  const drafted = createSimulation({ ...options, state: 'immer' });
  drafted.bus.all.subscribe((event) => {
    events.push(event);
    snapshots.push(drafted.state);
  });
  steps(drafted);
  const plain = initialState();
  for (const [index, event] of events.entries()) {
    evolve(plain, event);
    expect(plain, `state after event ${event.seq}, ${event.type}`).toEqual(snapshots[index]);
  }
  const plainEvents: Recorded[] = [];
  const changed = createSimulation({ ...options, state: 'plain' });
  changed.bus.all.subscribe((event) => plainEvents.push(event));
  steps(changed);
  expect(plainEvents, 'events of the run without snapshots').toEqual(events);
  expect(changed.state, 'last state of the run without snapshots').toEqual(drafted.state);
  return { events, state: drafted.state };
}
