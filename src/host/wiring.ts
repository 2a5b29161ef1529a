// What a VM's process has wired to it: eventfds that stores signal, interrupts of devices, and what VFIO holds back.
// Mutation of a draft or a plain object, without policy.

import type { HostEvent } from './events.ts';
import type { VmState } from './state.ts';

export type WiringEvent = Extract<
  HostEvent,
  {
    type:
      | 'ioeventfd-assigned'
      | 'irqfd-assigned'
      | 'eventfd-signalled'
      | 'eventfd-read'
      | 'vfio-irq-masked'
      | 'vfio-irq-unmasked';
  }
>;

export function evolveWiring(vm: VmState, event: WiringEvent): void {
  switch (event.type) {
    case 'ioeventfd-assigned':
      vm.ioeventfds = [...vm.ioeventfds, event.ioeventfd];
      return;
    case 'irqfd-assigned':
      vm.irqfds = [...vm.irqfds, event.irqfd];
      return;
    case 'eventfd-signalled':
      vm.eventfds = { ...vm.eventfds, [event.eventfd]: (vm.eventfds[event.eventfd] ?? 0) + 1 };
      return;
    case 'eventfd-read':
      vm.eventfds = { ...vm.eventfds, [event.eventfd]: 0 };
      return;
    case 'vfio-irq-masked':
      vm.maskedIrqs = [...vm.maskedIrqs, event.gsi];
      return;
    case 'vfio-irq-unmasked':
      vm.maskedIrqs = vm.maskedIrqs.filter((gsi) => gsi !== event.gsi);
  }
}
