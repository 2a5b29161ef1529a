// gmem_abort(): a fault in a memslot of guest_memfd. The page comes from the file and is always one page, Normal and
// writable; no VMA is looked at.

import { alignDown, type Ipa } from '../arch/addresses.ts';
import type { FaultInput } from './events.ts';
import { isExecFault } from './inject.ts';
import { leafAttributes } from './leaf.ts';
import type { Memslot } from './memslot.ts';
import { faultInGmem } from './mm-fault.ts';
import { beginMap } from './user-mem-abort.ts';
import type { Work } from './work.ts';
import { emit } from './work.ts';

const EHWPOISON = 133;

export function gmemAbort(work: Work, input: FaultInput, slot: Memslot): void {
  const { granule } = work.vm.geometry;
  const ipa = alignDown(input.fault.ipa, granule) as Ipa;
  const { mmuSeq } = work.vm;
  const page = faultInGmem(work, slot.hva + (ipa - slot.ipa));
  if (page.kind === 'error') {
    const { because } = page;
    emit(work, { type: 'run-failed', vm: work.id, vcpu: input.vcpu, errno: EHWPOISON, log: null, because });
    return;
  }
  const { cpu } = work.host;
  const exec = isExecFault(input) || cpu.dic;
  beginMap(work, input, {
    // A permission fault on a page that is there only widens it, as the map call leaves such a leaf alone.
    kind: input.fault.status.kind === 'permission' ? 'relax' : 'map',
    ipa,
    level: 3,
    pa: page.pa,
    attributes: leafAttributes(cpu.fwb, { write: true, exec, type: 'normal' }),
    mmuSeq,
    dirty: null,
    because: 'guest-memfd',
    sizeBecause: null,
  });
}
