// A state that every event changes in place, for bulk replay: no draft, no copy, and tables that change where they are.
// What is to stay as it is now takes `copyState` of it.

import type { VmState } from '../host/state.ts';
import type { MachineEvent } from './events.ts';
import { evolveSlices, slicesOf } from './evolve.ts';
import type { SnapshotState } from './snapshots.ts';
import type { MachineState } from './state.ts';

/** @param state becomes the state that changes; nobody else may hold it */
export function plainState(state: MachineState): SnapshotState {
  const slices = slicesOf(state);
  state.vms.forEach(makeEditable);
  return {
    state,
    apply(event: MachineEvent) {
      evolveSlices(slices, event);
      if (event.type === 'vm-created') slices.vm(event.vm, makeEditable);
    },
  };
}

function makeEditable(vm: VmState): void {
  vm.table = vm.table.editable();
  vm.memory = vm.memory.editable();
}
