// The machine's `evolve`: every event to the slices it concerns. Runs on an Immer draft where a snapshot is
// wanted and on a plain object for bulk replay; both give equal states after every event.

import type { DeviceEvent } from '../devices/events.ts';
import { evolveDevice } from '../devices/evolve.ts';
import type { DeviceState } from '../devices/state.ts';
import { initialDevice } from '../devices/state.ts';
import { evolveVcpu, initialVcpu } from '../guest/evolve.ts';
import { evolveHost, evolveVm, initialHost, initialVm } from '../host/evolve.ts';
import type { VmState } from '../host/state.ts';
import type { MachineEvent } from './events.ts';
import { withDevice } from './interconnect.ts';
import type { MachineState } from './state.ts';

export function evolve(state: MachineState, event: MachineEvent): void {
  switch (event.type) {
    case 'host-booted':
      state.host = initialHost(event);
      return;
    case 'vm-created':
      if (state.host !== null) state.vms[event.vm] = initialVm(state.host, event);
      return;
    case 'vcpu-created':
      state.vcpus[event.vcpu] = initialVcpu(event);
      return;
    case 'pci-command-written':
      if (state.host !== null) evolveHost(state.host, event);
      evolveNamed(state, event);
      return;
    case 'device-plugged':
      plug(state, event);
      return;
    case 'vgic-created': {
      const vm = state.vms[event.vm];
      if (vm === undefined) return;
      evolveVm(vm, event);
      for (const device of state.devices) initialiseVgic(device, event.vm, vm);
      return;
    }
    case 'mmio-window-opened':
    case 'interrupt-line-changed':
    case 'device-read':
    case 'device-written': {
      const device = state.devices[event.device];
      if (device !== undefined) evolveDevice(device, event);
      return;
    }
    case 'access-issued':
    case 'access-completed':
    case 'stage1-faulted':
    case 'stage1-switched':
    case 'stage2-faulted':
    case 'abort-injected':
    case 'run-failed':
    case 'sea-exited':
    case 'serror-injected':
    case 'nisv-exited':
    case 'access-translated':
    case 'transaction-answered':
    case 'store-buffered':
    case 'store-lines-drained':
    case 'store-lines-closed': {
      const vcpu = state.vcpus[event.vcpu];
      if (vcpu !== undefined) evolveVcpu(vcpu, event);
      return;
    }
    case 'mmio-answered':
    case 'transaction-issued':
    case 'transaction-unclaimed':
    case 'barrier-executed':
    case 'program-ended':
      return;
    default: {
      const vm = state.vms[event.vm];
      if (vm !== undefined) evolveVm(vm, event);
    }
  }
}

function plug(state: MachineState, event: DeviceEvent & { type: 'device-plugged' }): void {
  const { device, description } = event;
  const slice = initialDevice(description);
  state.vms.forEach((vm, id) => {
    initialiseVgic(slice, id, vm);
  });
  state.devices[device] = slice;
  state.interconnect = withDevice(state.interconnect, device, description);
}

/** A GICv2 keeps a distributor and CPU interfaces for each VM that has one. */
function initialiseVgic(device: DeviceState, vm: number, { vgic, vcpus }: VmState): void {
  if (device.description.kind !== 'gicv2' || vgic?.version !== 2) return;
  evolveDevice(device, { type: 'vgic-initialised', vm, vcpus });
}

/** Config space belongs to PCI functions, which go by their name. */
function evolveNamed(state: MachineState, event: DeviceEvent & { type: 'pci-command-written' }): void {
  for (const device of state.devices) {
    const { kind, name } = device.description;
    if (name === event.device && (kind === 'vfio-pci' || kind === 'sysfs')) evolveDevice(device, event);
  }
}
