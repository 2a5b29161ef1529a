// Immutable states by Immer: each event drafts only the slice it concerns, not the machine around it, which is copied
// by hand. Two states share every slice that no event between them changed.

import { Immer } from 'immer';
import type { MachineEvent } from './events.ts';
import type { Slices } from './evolve.ts';
import { evolveSlices } from './evolve.ts';
import type { MachineState } from './state.ts';

export interface SnapshotState {
  readonly state: MachineState;
  apply(event: MachineEvent): void;
}

/** @param first an immutable state; it stays as it is */
export function snapshotState(first: MachineState): SnapshotState {
  const immer = new Immer();
  let state = immer.produce(first, () => {});

  const replaced = <S extends object>(list: S[], id: number, change: (slice: S) => void): S[] | null => {
    const slice = list[id];
    if (slice === undefined) return null;
    const next = immer.produce(slice, (draft) => change(draft as S));
    if (next === slice) return null;
    const copy = list.slice();
    copy[id] = next;
    return copy;
  };

  const slices: Slices = {
    machine(change) {
      state = immer.produce(state, (draft) => change(draft as unknown as MachineState));
    },
    vm(id, change) {
      const vms = replaced(state.vms, id, change);
      if (vms !== null) state = Object.freeze({ ...state, vms: Object.freeze(vms) as typeof vms });
    },
    vcpu(id, change) {
      const vcpus = replaced(state.vcpus, id, change);
      if (vcpus !== null) state = Object.freeze({ ...state, vcpus: Object.freeze(vcpus) as typeof vcpus });
    },
    device(id, change) {
      const devices = replaced(state.devices, id, change);
      if (devices !== null)
        state = Object.freeze({ ...state, devices: Object.freeze(devices) as typeof devices });
    },
  };

  return {
    get state() {
      return state;
    },
    apply: (event) => evolveSlices(slices, event),
  };
}
