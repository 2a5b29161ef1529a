// MMU notifiers: what KVM does when the host's own page table changes under a memslot (kvm_mmu_notifier_*).
// The range is traced whether or not a slot overlaps; only an overlap moves mmu_invalidate_seq.

import type { Hva } from '../arch/addresses.ts';
import type { Because } from './because.ts';
import { slotRangesOfHva } from './memslot.ts';
import type { Work } from './work.ts';
import { emit } from './work.ts';

/** kvm_unmap_gfn_range over [start, end): stage 2 loses every leaf that overlaps, whole blocks included. */
export function notifyUnmap(work: Work, start: number, end: number, because: Because): void {
  emit(work, {
    type: 'notifier-invalidated',
    vm: work.id,
    start: start as Hva,
    end: end as Hva,
    slots: slotRangesOfHva(work.vm.slots, start, end),
    because,
  });
}

/** kvm_age_gfn over [start, end): access flags are cleared, nothing is unmapped. */
export function notifyAge(work: Work, start: number, end: number): void {
  emit(work, {
    type: 'notifier-aged',
    vm: work.id,
    start: start as Hva,
    end: end as Hva,
    slots: slotRangesOfHva(work.vm.slots, start, end),
  });
}
