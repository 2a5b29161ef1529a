// What the host does about an event: pure, from its slices and the event to the events that follow. The way in for
// everything the host hears; each case leads to the file that follows the kernel's function.

import { handleGuestAbort } from './abort.ts';
import type { FaultInput, HostEvent, PciInput } from './events.ts';
import { endMap } from './map.ts';
import type { HostState, VmState } from './state.ts';
import { zapDevice, zapReason } from './vfio-zap.ts';
import { mapVgicResources } from './vgic.ts';
import { vmmCall } from './vmm-call.ts';
import type { Work } from './work.ts';
import { workOn } from './work.ts';

/** What the host reacts to: its own events and the faults of the guest's processors. */
export type HostInput = HostEvent | FaultInput;

/** Types of events that `decideHost` answers; all others leave the host as it is. */
export const HOST_HEARS = ['vmm-called', 'vcpu-run', 'stage2-faulted', 'stage2-map-begun'] as const;

/** @returns the events that follow, in order */
export function decideHost(host: HostState, vm: VmState, input: HostInput): HostEvent[] {
  if (!('vm' in input)) return [];
  const work = workOn(host, input.vm, vm);
  react(work, input);
  return work.events;
}

function react(work: Work, input: HostInput): void {
  switch (input.type) {
    case 'vmm-called':
      vmmCall(work, input.call);
      return;
    case 'vcpu-run':
      mapVgicResources(work);
      return;
    case 'stage2-faulted':
      handleGuestAbort(work, input);
      return;
    case 'stage2-map-begun':
      endMap(work, input.vcpu, input.plan);
      return;
    default:
      return;
  }
}

/** Memory decoding off, D3hot and resets zap the mappings of every VM's process. */
export function decideZap(host: HostState, vms: readonly VmState[], input: PciInput): HostEvent[] {
  const events: HostEvent[] = [];
  const because = zapReason(host, input);
  if (because === null) return events;
  const along = input.type === 'pci-reset-asked' ? (input.along ?? []) : [];
  for (const device of [input.device, ...along]) {
    vms.forEach((vm, id) => {
      zapDevice(workOn(host, id, vm, events), device, because);
    });
  }
  return events;
}
