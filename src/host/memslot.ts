// Memslots of a VM (struct kvm_memory_slot): which part of the VMM's address space backs which IPA range.
// Slots never overlap in IPA; a slot being deleted is simply absent here.

import type { Hva, Ipa } from '../arch/addresses.ts';
import type { PageBitmap } from './page-bitmap.ts';

export interface Memslot {
  readonly slot: number;
  readonly ipa: Ipa;
  /** Bytes, a multiple of the page size. */
  readonly size: number;
  readonly hva: Hva;
  /** KVM_MEM_READONLY. */
  readonly readonly: boolean;
  /** KVM_MEM_LOG_DIRTY_PAGES: the dirty bitmap, one bit a host page; null without logging. */
  readonly dirty: PageBitmap | null;
  /** KVM_MEM_GUEST_MEMFD: pages come from the file, not from the VMA. */
  readonly guestMemfd?: true;
}

/** A range of one slot, in both address spaces; what a notifier's hva range comes to. */
export interface SlotRange {
  readonly slot: number;
  readonly ipa: Ipa;
  readonly size: number;
}

/** gfn_to_memslot(): slots are sorted by IPA. */
export function slotAt(slots: readonly Memslot[], address: number): Memslot | undefined {
  let low = 0;
  let high = slots.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const slot = slots[middle] as Memslot;
    if (address < slot.ipa) high = middle - 1;
    else if (address >= slot.ipa + slot.size) low = middle + 1;
    else return slot;
  }
  return undefined;
}

/** kvm_for_each_memslot_in_hva_range: slots whose host memory overlaps [start, end), as IPA ranges. */
export function slotRangesOfHva(slots: readonly Memslot[], start: number, end: number): SlotRange[] {
  const ranges: SlotRange[] = [];
  for (const slot of slots) {
    const from = Math.max(start, slot.hva);
    const to = Math.min(end, slot.hva + slot.size);
    if (from < to)
      ranges.push({ slot: slot.slot, ipa: (slot.ipa + from - slot.hva) as Ipa, size: to - from });
  }
  return ranges;
}

/**
 * fault_supports_stage2_huge_mapping(): IPA and hva are congruent modulo `size`, and the window of that size
 * around the hva lies inside the slot.
 */
export function supportsStage2Block(slot: Memslot, address: Hva, size: number): boolean {
  if (slot.ipa % size !== slot.hva % size) return false;
  const window = address - (address % size);
  return window >= slot.hva && window + size <= slot.hva + slot.size;
}
