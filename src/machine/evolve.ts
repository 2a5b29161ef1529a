// The machine's `evolve`: every event to the slices it concerns. Runs on an Immer draft where a snapshot is wanted
// and on a plain object for bulk replay; both give equal states after every event.

import { evolveVcpu, initialVcpu } from '../guest/evolve.ts';
import { evolveHost, evolveVm, initialHost, initialVm } from '../host/evolve.ts';
import type { MachineEvent } from './events.ts';
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
      return;
    case 'access-issued':
    case 'access-completed':
    case 'stage1-faulted':
    case 'stage1-switched':
    case 'stage2-faulted':
    case 'abort-injected':
    case 'run-failed':
    case 'sea-exited':
    case 'serror-injected':
    case 'nisv-exited': {
      const vcpu = state.vcpus[event.vcpu];
      if (vcpu !== undefined) evolveVcpu(vcpu, event);
      return;
    }
    case 'mmio-answered':
      return;
    default: {
      const vm = state.vms[event.vm];
      if (vm !== undefined) evolveVm(vm, event);
    }
  }
}
