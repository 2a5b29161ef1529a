// One call of the VMM, from its arguments to its errno. Calls that fail change nothing.

import { alignUp } from '../arch/addresses.ts';
import type { Level } from '../arch/geometry.ts';
import { levelSize } from '../arch/geometry.ts';
import { clearDirtyLog, getDirtyLog } from './calls/dirty-log.ts';
import { madvise } from './calls/madvise.ts';
import { setMemslot } from './calls/memslot.ts';
import { mmap, munmap } from './calls/mmap.ts';
import { mprotect } from './calls/mprotect.ts';
import type { VmmCall } from './calls.ts';
import { assignIoeventfd } from './eventfd.ts';
import { assignIrqfd } from './irqfd.ts';
import { touch } from './mm-fault.ts';
import { createVgic } from './vgic.ts';
import type { Work } from './work.ts';
import { emit } from './work.ts';

const EINVAL = 22;

const EAGER_SPLIT = 'KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE';
const MANUAL_PROTECT = 'KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2';

/** KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET. */
const MANUAL_PROTECT_AND_SET = 3;

export function vmmCall(work: Work, call: VmmCall): void {
  if (call.kind === 'dirty-log-get') {
    const { errno, dirtyPages } = getDirtyLog(work, call);
    emit(work, { type: 'vmm-call-returned', vm: work.id, errno, dirtyPages });
    return;
  }
  emit(work, { type: 'vmm-call-returned', vm: work.id, errno: perform(work, call) });
}

function perform(work: Work, call: Exclude<VmmCall, { kind: 'dirty-log-get' }>): number {
  switch (call.kind) {
    case 'mmap':
      return mmap(work, wholePages(work, call));
    case 'mmap-refused':
      return call.errno;
    case 'munmap':
    case 'mprotect':
    case 'madvise':
      return startsPage(work, call.hva) ? changeMemory(work, wholePages(work, call)) : EINVAL;
    case 'set-memslot':
      return setMemslot(work, call);
    case 'dirty-log-clear':
      return clearDirtyLog(work, call);
    case 'create-vgic':
      return createVgic(work, call.vgic);
    case 'ioeventfd':
      return assignIoeventfd(work, call.ioeventfd);
    case 'irqfd':
      return assignIrqfd(work, call.irqfd);
    case 'enable-cap':
      return enableCap(work, call.cap, call.argument);
    case 'host-read':
      touch(work, call.hva, call.hva + call.size, false, null);
      return 0;
    case 'host-write':
      touch(work, call.hva, call.hva + call.size, true, call.stride);
      return 0;
    case 'dma-map':
      touch(work, call.hva, call.hva + call.size, true, null);
      return 0;
  }
}

function changeMemory(work: Work, call: VmmCall & { kind: 'munmap' | 'mprotect' | 'madvise' }): number {
  if (call.kind === 'munmap') return munmap(work, call);
  return call.kind === 'mprotect' ? mprotect(work, call) : madvise(work, call);
}

/** Addresses are not rounded: a VMM that reckons with 4K pages is refused on a 16K host. */
const startsPage = (work: Work, hva: number): boolean => hva % work.vm.geometry.granule === 0;

/** The kernel rounds lengths up to pages (PAGE_ALIGN). */
const wholePages = <C extends { readonly size: number }>(work: Work, call: C): C => ({
  ...call,
  size: alignUp(call.size, work.vm.geometry.granule),
});

function enableCap(work: Work, cap: string, argument: number): number {
  if (!acceptsCap(work, cap, argument)) return EINVAL;
  emit(work, { type: 'capability-enabled', vm: work.id, cap, argument });
  return 0;
}

/**
 * kvm_vm_ioctl_enable_cap(): a chunk size is a block size and set before the first memslot; options depend on bit 0.
 */
function acceptsCap(work: Work, cap: string, argument: number): boolean {
  if (cap === MANUAL_PROTECT) return argument === 0 || argument === 1 || argument === MANUAL_PROTECT_AND_SET;
  if (cap !== EAGER_SPLIT) return true;
  if (!work.host.features.eagerSplit || work.vm.slots.length > 0) return false;
  const { granule } = work.vm.geometry;
  const levels: readonly Level[] = granule === 4096 ? [1, 2, 3] : [2, 3];
  return argument === 0 || levels.some((level) => levelSize(granule, level) === argument);
}
