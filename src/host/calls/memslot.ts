// KVM_SET_USER_MEMORY_REGION: create, delete, change flags. Only the VMAs that are there now are looked at
// (kvm_arch_prepare_memory_region); a call that fails changes nothing.

import type { VmmCall } from '../calls.ts';
import type { Memslot } from '../memslot.ts';
import { PageBitmap } from '../page-bitmap.ts';
import { vmasIn } from '../vma.ts';
import type { Work } from '../work.ts';
import { emit } from '../work.ts';
import { initiallySet, writeProtect } from './dirty-log.ts';

const EEXIST = 17;
const EFAULT = 14;
const EINVAL = 22;

type SetMemslot = VmmCall & { kind: 'set-memslot' };

/** @returns 0 or the errno */
export function setMemslot(work: Work, call: SetMemslot): number {
  const old = work.vm.slots.find((slot) => slot.slot === call.slot);
  if (call.size === 0) return old === undefined ? EINVAL : deleteSlot(work, old);
  if (call.ipa + call.size > 2 ** work.vm.geometry.ipaBits) return EFAULT;
  if (old !== undefined && !sameRegion(old, call)) return EINVAL;
  if (old === undefined && overlaps(work, call)) return EEXIST;
  if (call.logDirty && coversPfnmap(work, call)) return EINVAL;
  emit(work, { type: 'memslot-set', vm: work.id, slot: slotOf(work, call, old), unmapped: null });
  const logStarts = call.logDirty && (old === undefined || old.dirty === null);
  if (logStarts && old !== undefined && !initiallySet(work)) {
    const range = { slot: call.slot, ipa: call.ipa, size: call.size };
    writeProtect(work, [range]);
    if (splitsEagerly(work)) emit(work, { type: 'stage2-split', vm: work.id, ranges: [range] });
  }
  return 0;
}

const splitsEagerly = (work: Work): boolean => 'KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE' in work.vm.capabilities;

/** Flags may change under a live slot, but not KVM_MEM_READONLY, nor size and address (moving is not modelled). */
const sameRegion = (old: Memslot, call: SetMemslot): boolean =>
  old.size === call.size && old.ipa === call.ipa && old.hva === call.hva && old.readonly === call.readonly;

const overlaps = (work: Work, call: SetMemslot): boolean =>
  work.vm.slots.some((slot) => slot.ipa < call.ipa + call.size && call.ipa < slot.ipa + slot.size);

const coversPfnmap = (work: Work, call: SetMemslot): boolean =>
  vmasIn(work.vm.vmas, call.hva, call.hva + call.size).some((vma) => vma.backing.kind === 'pfnmap');

function slotOf(work: Work, call: SetMemslot, old: Memslot | undefined): Memslot {
  const { slot, ipa, size, hva, readonly } = call;
  const pages = size / work.vm.geometry.granule;
  const fresh = (): PageBitmap => (initiallySet(work) ? PageBitmap.full(pages) : PageBitmap.empty(pages));
  const dirty = call.logDirty ? (old?.dirty ?? fresh()) : null;
  return { slot, ipa, size, hva, readonly, dirty };
}

function deleteSlot(work: Work, old: Memslot): number {
  const unmapped = { slot: old.slot, ipa: old.ipa, size: old.size };
  emit(work, { type: 'memslot-deleted', vm: work.id, slot: old.slot, unmapped });
  return 0;
}
