// The whole machine: slices of all parts, flat, so that one event changes one or two of them.

import type { DeviceMemory } from '../devices/memory.ts';
import type { DeviceState } from '../devices/state.ts';
import type { VcpuState } from '../guest/state.ts';
import type { HostState, VmState } from '../host/state.ts';
import type { Adversary } from './adversary.ts';
import type { Route } from './interconnect.ts';

export interface MachineState {
  /** Null until the host has booted. */
  host: HostState | null;
  vms: VmState[];
  vcpus: VcpuState[];
  devices: DeviceState[];
  /** Where devices are in physical memory, sorted; everything else is RAM. */
  interconnect: readonly Route[];
  /** What RAM holds, by physical address; null where nobody keeps it. */
  ram: DeviceMemory | null;
  /** Null where processors are typical. */
  adversary: Adversary | null;
}

export const initialState = (): MachineState => ({
  host: null,
  vms: [],
  vcpus: [],
  devices: [],
  interconnect: [],
  ram: null,
  adversary: null,
});
