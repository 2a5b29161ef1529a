// Which interrupts each vCPU acknowledged by reading GICV_IAR or GICV_AIAR, and which ones a read acknowledged that no
// program asked for: those the guest never learns of. And the other way: which eventfds stores of guests signalled.

import { acknowledgedBy } from '../devices/gicv2/device.ts';
import type { Recorded } from './events.ts';
import type { EventfdReport, InterruptReport } from './report.ts';

export interface InterruptCollector {
  hear(event: Recorded): void;
  /** Eventfds in the order in which they were wired. */
  eventfds(): readonly EventfdReport[];
  /** @param vcpu number of its slice */
  reports(vcpu: number): readonly InterruptReport[];
}

export function interruptCollector(): InterruptCollector {
  const seen = new Map<number, InterruptReport[]>();
  /** Events that sent reads nobody waits for. */
  const unasked = new Set<number>();
  const names: string[] = [];
  const signals = new Map<string, { vm: string; eventfd: string; signalled: number }>();
  const hearEventfd = (vm: number, eventfd: string, times: number): void => {
    const key = `${vm} ${eventfd}`;
    const known = signals.get(key) ?? { vm: names[vm] ?? '', eventfd, signalled: 0 };
    signals.set(key, { ...known, signalled: known.signalled + times });
  };
  return {
    hear(event) {
      if (event.type === 'transaction-issued') {
        const { kind, access } = event.transaction;
        if (kind === 'read' && access === null) unasked.add(event.seq);
        return;
      }
      if (event.type === 'vm-created') names[event.vm] = event.name;
      if (event.type === 'ioeventfd-assigned') hearEventfd(event.vm, event.ioeventfd.eventfd, 0);
      if (event.type === 'eventfd-signalled') hearEventfd(event.vm, event.eventfd, 1);
      if (event.type !== 'device-read') return;
      const taken = acknowledgedBy(event.register, Number(event.value));
      if (taken === null) return;
      const lost = event.cause !== null && unasked.has(event.cause);
      const list = seen.get(event.by.vcpu) ?? [];
      list.push({ seq: event.seq, ...taken, lost });
      seen.set(event.by.vcpu, list);
    },
    eventfds: () => [...signals.values()],
    reports: (vcpu) => seen.get(vcpu) ?? [],
  };
}
