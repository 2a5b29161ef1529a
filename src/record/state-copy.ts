// A copy of a plain state that later events leave alone. Slices hold plain data or persistent values that are replaced
// and never changed inside, so that a slice is copied shallowly; only translation tables, a device's registers and
// interrupt controllers change in place, and are copied with it, tables in no time.

import type { DeviceState } from '../devices/state.ts';
import type { MachineState } from '../machine/state.ts';

/** Takes time in proportion to the number of slices, not to what is mapped. */
export function copyState(state: MachineState): MachineState {
  return {
    ...state,
    host: state.host === null ? null : { ...state.host },
    vms: state.vms.map((vm) => ({ ...vm, table: vm.table.snapshot(), memory: vm.memory.snapshot() })),
    vcpus: state.vcpus.map((vcpu) => ({ ...vcpu })),
    devices: state.devices.map(copyDevice),
  };
}

function copyDevice(device: DeviceState): DeviceState {
  const regions = Object.entries(device.regions).map(
    ([index, region]) => [index, { ...region, registers: { ...region.registers } }] as const,
  );
  return { ...device, regions: Object.fromEntries(regions), vgics: { ...device.vgics } };
}
