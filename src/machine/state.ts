// The whole machine: slices of all parts, flat, so that one event changes one or two of them.

import type { HostState, VmState } from '../host/state.ts';
import type { VcpuState } from '../guest/state.ts';

export interface MachineState {
  /** Null until the host has booted. */
  host: HostState | null;
  vms: VmState[];
  vcpus: VcpuState[];
}

export const initialState = (): MachineState => ({ host: null, vms: [], vcpus: [] });
