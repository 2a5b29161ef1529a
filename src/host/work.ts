// One decision in the making: the slices it looks at, a copy of those it may change, and the events so far. Each event
// takes effect in the copy by the same `evolve` that will run on the real state, so that later steps see earlier ones.

import type { HostEvent } from './events.ts';
import { evolveVm } from './evolve.ts';
import type { HostState, VmState } from './state.ts';

export interface Work {
  readonly host: HostState;
  /** Number of the VM's slice. */
  readonly id: number;
  /** The slice as the events so far leave it, but for the host's pages: those are read by `hostPages`. */
  readonly vm: VmState;
  readonly events: HostEvent[];
}

/** A decision that looks at the real slice until an event changes it. */
interface Ongoing extends Work {
  vm: VmState;
  /** Whether `vm` is a copy. */
  copied: boolean;
  /** Events of the host's pages from this one on have not taken effect in the copy. */
  pagesFrom: number;
}

export function workOn(host: HostState, id: number, vm: VmState, events: HostEvent[] = []): Work {
  const work: Ongoing = { host, id, vm, events, copied: false, pagesFrom: events.length };
  return work;
}

/** Adds the last events of a decision: nothing looks at the working copy any more, so it is left as it is. */
export function conclude(work: Work, ...events: readonly HostEvent[]): void {
  work.events.push(...events);
}

/** Adds an event to the decision and lets it take effect in the working copy. */
export function emit(work: Work, event: HostEvent): void {
  work.events.push(event);
  if (!isOfPages(event)) evolveVm(copyIn(work as Ongoing), event);
}

/**
 * The slice with the host's page table as the events so far leave it. Most faults never look at a page that they put
 * there themselves, and a change of a copied table costs more than all else in them.
 */
export function hostPages(work: Work): Pick<VmState, 'memory' | 'nextPage'> {
  const ongoing = work as Ongoing;
  for (; ongoing.pagesFrom < ongoing.events.length; ongoing.pagesFrom++) {
    const event = ongoing.events[ongoing.pagesFrom];
    if (event !== undefined && isOfPages(event) && event.vm === work.id) evolveVm(copyIn(ongoing), event);
  }
  return ongoing.vm;
}

type PagesEvent = Extract<HostEvent, { readonly type: 'host-pages-set' | 'host-pages-freed' }>;

const isOfPages = (event: HostEvent): event is PagesEvent =>
  event.type === 'host-pages-set' || event.type === 'host-pages-freed';

function copyIn(work: Ongoing): VmState {
  if (!work.copied) {
    work.vm = { ...work.vm, table: work.vm.table.view(), memory: work.vm.memory.view() };
    work.copied = true;
  }
  return work.vm;
}
