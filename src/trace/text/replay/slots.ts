// Memslots and VMAs of a replay. Where the machine file leaves an address open, the simulated host gets one that can
// belong to no process and makes no block possible.

import type { Hva, Ipa } from '../../../arch/addresses.ts';
import type { VmmCall } from '../../../host/calls.ts';
import type { Vma } from '../../../host/vma.ts';
import { vmaAt } from '../../../host/vma.ts';
import type { TraceBacking, TraceSlot, TraceVma } from '../../machine-file/machine.ts';

/** A slot as the simulation has it; where the hva is not known it has one that no process uses. */
export interface WorldSlot {
  readonly slot: number;
  readonly ipa: Ipa;
  readonly size: number;
  readonly hva: number;
  readonly hvaKnown: boolean;
  readonly backing: TraceBacking | null;
  /** KVM_MEM_READONLY. */
  readonly readonly: boolean;
  /** KVM_MEM_LOG_DIRTY_PAGES. */
  readonly logged: boolean;
}

/** Below the addresses that arm64 gives to programs and mappings, in steps far larger than any slot's offset. */
const NO_PROCESS = 2 ** 40;

/** What is known of a slot, from its own backing or from the VMA at its hva. */
export function worldSlot(slot: TraceSlot, mapped: readonly TraceVma[], pageSize: number): WorldSlot {
  const { ipa, size, readonly } = slot;
  const at = slot.hva;
  const vma = at === null ? undefined : mapped.findLast(({ start, end }) => start <= at && at < end);
  // Off by a page from the IPA, so that the simulated host never makes a block of what it does not know.
  const hva = at ?? NO_PROCESS * 2 + slot.slot * NO_PROCESS + (ipa % NO_PROCESS) + pageSize;
  const backing = slot.backing ?? vma?.backing ?? null;
  return { slot: slot.slot, ipa, size, hva, hvaKnown: at !== null, backing, readonly, logged: slot.logDirty };
}

export const memslotCall = ({ slot, ipa, size, hva, readonly, logged }: WorldSlot): VmmCall => ({
  ...{ kind: 'set-memslot', slot, ipa, size, readonly },
  hva: hva as Hva,
  logDirty: logged,
});

/** The VMA that a slot needs where its backing is told and no listed VMA covers it. */
export function vmaBehind({ hva, size, backing }: WorldSlot, vmas: readonly Vma[]): TraceVma | null {
  if (backing === null) return null;
  const vma = vmaAt(vmas, hva);
  if (vma !== undefined && vma.end >= hva + size) return null;
  return { start: hva as Hva, end: (hva + size) as Hva, prot: 'read-write', backing };
}

export function mmapOf({ start, end, prot, backing }: TraceVma, pageSize: number): VmmCall {
  const { vma } = placed(backing, start, pageSize);
  return { kind: 'mmap', hva: start, size: end - start, prot, backing: vma };
}

/** A PFNMAP backing whose physical address is not known gets one off by a page from the hva: pages, never blocks. */
function placed(backing: TraceBacking, hva: number, pageSize: number): TraceBacking {
  if (backing.vma.kind !== 'pfnmap' || backing.paKnown) return backing;
  const pa = ((hva % NO_PROCESS) + pageSize) as typeof backing.vma.pa;
  return { ...backing, vma: { ...backing.vma, pa } };
}
