// KVM_SET_USER_MEMORY_REGION: create, delete, change flags. Only the VMAs that are there now are looked at
// (kvm_arch_prepare_memory_region); a call that fails changes no slot, but a move that fails has emptied its old range.

import type { VmmCall } from '../calls.ts';
import type { Memslot, SlotRange } from '../memslot.ts';
import { allowsMte, hasMte } from '../mte.ts';
import { PageBitmap } from '../page-bitmap.ts';
import { cacheablePfnmapSupported } from '../user-mem-abort.ts';
import type { Vma } from '../vma.ts';
import { vmasIn } from '../vma.ts';
import type { Work } from '../work.ts';
import { emit } from '../work.ts';
import { initiallySet, splitEagerly, writeProtect } from './dirty-log.ts';

const EEXIST = 17;
const EFAULT = 14;
const EINVAL = 22;

type SetMemslot = VmmCall & { kind: 'set-memslot' };

/** @returns 0 or the errno */
export function setMemslot(work: Work, call: SetMemslot): number {
  const old = work.vm.slots.find((slot) => slot.slot === call.slot);
  if (call.size === 0) return old === undefined ? EINVAL : deleteSlot(work, old);
  if (!pageAligned(work, call) || !guestMemfdFits(work, call, old)) return EINVAL;
  if (old !== undefined && !sameMemory(old, call)) return EINVAL;
  if (old !== undefined && old.ipa === call.ipa && (old.dirty !== null) === call.logDirty) return 0;
  if (overlaps(work, call)) return EEXIST;
  const unmapped = old !== undefined && old.ipa !== call.ipa ? rangeOf(old) : null;
  const errno = prepare(work, call);
  if (errno !== 0) {
    // kvm_set_memslot(): kvm_invalidate_memslot() has flushed the old range before the move is refused and undone.
    if (old !== undefined && unmapped !== null)
      emit(work, { type: 'memslot-set', vm: work.id, slot: old, unmapped });
    return errno;
  }
  emit(work, { type: 'memslot-set', vm: work.id, slot: slotOf(work, call, old), unmapped });
  const logStarts = call.logDirty && (old === undefined || old.dirty === null);
  if (logStarts && old !== undefined && !initiallySet(work)) {
    const range = { slot: call.slot, ipa: call.ipa, size: call.size };
    writeProtect(work, [range]);
    splitEagerly(work, [range]);
  }
  return 0;
}

/** kvm_arch_prepare_memory_region() */
function prepare(work: Work, call: SetMemslot): number {
  if (call.ipa + call.size > 2 ** work.vm.geometry.ipaBits) return EFAULT;
  return refusedByVmas(work, call) ? EINVAL : 0;
}

/** check_memory_region_flags(): no dirty log, not read-only; such a slot can only be deleted again. */
function guestMemfdFits({ host }: Work, call: SetMemslot, old: Memslot | undefined): boolean {
  if (call.guestMemfd !== true) return old?.guestMemfd !== true;
  return host.features.guestMemfd && old === undefined && !call.readonly && !call.logDirty;
}

const pageAligned = (work: Work, call: SetMemslot): boolean =>
  [call.ipa, call.hva, call.size].every((value) => value % work.vm.geometry.granule === 0);

/** A live slot may move and may change its logging, but not its memory, its size nor KVM_MEM_READONLY. */
const sameMemory = (old: Memslot, call: SetMemslot): boolean =>
  old.size === call.size && old.hva === call.hva && old.readonly === call.readonly;

const overlaps = (work: Work, call: SetMemslot): boolean =>
  work.vm.slots.some(
    (slot) => slot.slot !== call.slot && slot.ipa < call.ipa + call.size && call.ipa < slot.ipa + slot.size,
  );

const rangeOf = ({ slot, ipa, size }: Memslot): SlotRange => ({ slot, ipa, size });

/**
 * No dirty log over VM_PFNMAP, no VMA without tags for a VM with MTE, no cacheable
 * PFNMAP that this host could not map cacheable.
 */
const refusedByVmas = (work: Work, call: SetMemslot): boolean =>
  vmasIn(work.vm.vmas, call.hva, call.hva + call.size).some(
    (vma) =>
      (call.logDirty && vma.backing.kind === 'pfnmap') ||
      (hasMte(work) && !allowsMte(vma)) ||
      cacheableRefused(work, vma),
  );

/** kvm_vma_is_cacheable() looks at vm_page_prot alone, whatever lies behind the mapping. */
const cacheableRefused = ({ host }: Work, { backing }: Vma): boolean =>
  backing.kind === 'pfnmap' &&
  backing.cacheable &&
  host.features.cacheablePfnmap &&
  !cacheablePfnmapSupported(host.cpu);

function slotOf(work: Work, call: SetMemslot, old: Memslot | undefined): Memslot {
  const { slot, ipa, size, hva, readonly } = call;
  const pages = size / work.vm.geometry.granule;
  const fresh = (): PageBitmap => (initiallySet(work) ? PageBitmap.full(pages) : PageBitmap.empty(pages));
  const dirty = call.logDirty ? (old?.dirty ?? fresh()) : null;
  const common = { slot, ipa, size, hva, readonly, dirty };
  return call.guestMemfd === true ? { ...common, guestMemfd: true } : common;
}

function deleteSlot(work: Work, old: Memslot): number {
  emit(work, { type: 'memslot-deleted', vm: work.id, slot: old.slot, unmapped: rangeOf(old) });
  return 0;
}
