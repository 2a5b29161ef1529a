// Memslots and VMAs of a replay. Where the machine file leaves an address open, the simulated host gets one that can
// belong to no process and makes no block possible.

import type { Hva, Ipa } from '../../../arch/addresses.ts';
import { alignUp } from '../../../arch/addresses.ts';
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

/** Below the addresses that arm64 gives to programs and mappings. */
const NO_PROCESS = 2 ** 40;
const USER_ADDRESSES = 2 ** 48;
/** Larger than any block but those of 64K pages at level 1, which no kernel maps. */
const GIB = 2 ** 30;

/** Where the next slot goes whose hva is not known. */
export interface Places {
  next: number;
}

export const freePlaces = (): Places => ({ next: NO_PROCESS });

/**
 * Off by a page from the IPA, so that the simulated host never makes a block of what it does not know.
 * @param size at most half of a process's addresses
 */
function place(places: Places, ipa: number, size: number, pageSize: number): number {
  const span = alignUp(size, GIB) + 2 * GIB;
  if (places.next + span > USER_ADDRESSES) places.next = NO_PROCESS;
  const start = places.next;
  places.next += span;
  return start + (ipa % GIB) + pageSize;
}

/** What is known of a slot, from its own backing or from the VMA at its hva. */
export function worldSlot(
  slot: TraceSlot,
  mapped: readonly TraceVma[],
  places: Places,
  pageSize: number,
): WorldSlot {
  const { ipa, size, readonly } = slot;
  const at = slot.hva;
  const vma = at === null ? undefined : mapped.findLast(({ start, end }) => start <= at && at < end);
  const hva = at ?? place(places, ipa, size, pageSize);
  const backing = slot.backing ?? vma?.backing ?? null;
  return { slot: slot.slot, ipa, size, hva, hvaKnown: at !== null, backing, readonly, logged: slot.logDirty };
}

/** A range that a process can have. */
export const isMappable = ({ hva, size }: WorldSlot): boolean => hva + size <= USER_ADDRESSES;

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
