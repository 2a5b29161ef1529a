// The VMM's later calls, from the words of a machine file to the calls of the simulated host. Lengths that cannot be
// meant are refused here, so that no file makes a replay endless; whether a call fails is the simulated host's to say.

import type { Hva, Ipa } from '../../arch/addresses.ts';
import type { KernelFeatures } from '../../host/kernel-features.ts';
import { InputError } from '../input-error.ts';
import { backingOf } from './backing.ts';
import type { FileCall } from './call-schema.ts';
import type { TimedCall, TraceCall } from './machine.ts';

/** Pages that the VMM touches, over all its calls, each of them an entry of a page table. */
const MAX_TOUCHED_PAGES = 2 ** 22;
/** Pages of a slot with dirty logging: a bit each. */
export const MAX_LOGGED_PAGES = 2 ** 26;
/** User addresses of an arm64 process, without the 52-bit hint of FEAT_LVA; a slot takes half of them at most. */
export const USER_ADDRESSES = 2 ** 48;
export const MAX_SLOT_BYTES = USER_ADDRESSES / 2;
/** madvise looks at every PMD window of its range. */
const MAX_ADVISED_BYTES = 2 ** 40;

interface Context {
  readonly features: KernelFeatures;
  readonly pageSize: number;
  readonly where: string;
  /** Path of the list. */
  readonly at: string;
}

/** @throws InputError that names the field */
export function resolveCalls(calls: readonly FileCall[], context: Context): TimedCall[] {
  const { pageSize, where, at } = context;
  let touched = 0;
  return calls.map((entry, index) => {
    const path = `${at}.${index}`;
    checkRange(entry, `${path}.end`, where);
    touched += touchedPages(entry, pageSize);
    if (touched > MAX_TOUCHED_PAGES) {
      const what = `${path}: so far the VMM touches ${touched} pages`;
      throw new InputError(where, what, `at most ${MAX_TOUCHED_PAGES} are replayed`);
    }
    if (entry.op === 'memslot') checkSlot(entry, pageSize, path, where);
    return { after: entry.after, call: callOf(entry, context.features) };
  });
}

function checkSlot(
  { size = 0, hva = 0, logDirty }: FileCall & { op: 'memslot' },
  pageSize: number,
  path: string,
  where: string,
): void {
  if (size > MAX_SLOT_BYTES || hva >= USER_ADDRESSES) {
    throw new InputError(where, `${path}: beyond the addresses of a process`, 'correct hva or size');
  }
  if (logDirty === true && size / pageSize > MAX_LOGGED_PAGES) {
    const what = `${path}.size: a dirty log of more than ${MAX_LOGGED_PAGES} pages`;
    throw new InputError(where, what, 'correct the field');
  }
}

function checkRange(entry: FileCall, path: string, where: string): void {
  if (!('end' in entry)) return;
  const size = entry.end - entry.start;
  if (entry.end > USER_ADDRESSES) {
    throw new InputError(where, `${path}: beyond the addresses of a process`, 'correct the field');
  }
  if (size <= 0) throw new InputError(where, `${path}: the range ends before it starts`, 'correct the field');
  if (entry.op === 'madvise' && size > MAX_ADVISED_BYTES) {
    throw new InputError(where, `${path}: more than 1 TiB`, 'correct the field');
  }
}

function touchedPages(entry: FileCall, pageSize: number): number {
  if (entry.op !== 'host-write' && entry.op !== 'host-read' && entry.op !== 'dma-map') return 0;
  const stride = entry.op === 'host-write' ? (entry.stride ?? pageSize) : pageSize;
  return Math.ceil((entry.end - entry.start) / Math.max(stride, pageSize));
}

function callOf(entry: FileCall, features: KernelFeatures): TraceCall {
  switch (entry.op) {
    case 'memslot':
      return {
        kind: 'memslot',
        slot: entry.slot,
        ipa: (entry.ipa ?? null) as Ipa | null,
        size: entry.size ?? null,
        hva: (entry.hva ?? null) as Hva | null,
        readonly: entry.readonly ?? null,
        logDirty: entry.logDirty ?? null,
        backing: entry.backing === undefined ? null : backingOf(entry.backing, features),
      };
    case 'mmap': {
      const { prot, start, end } = entry;
      const backing = backingOf(entry.backing, features);
      return { kind: 'mmap', vma: { start: start as Hva, end: end as Hva, prot, backing } };
    }
    case 'dirty-log': {
      const { slot, firstPage, pages = null } = entry;
      return entry.action === 'get'
        ? { kind: 'dirty-log-get', slot }
        : { kind: 'dirty-log-clear', slot, firstPage, pages };
    }
    case 'pci-command':
      return { kind: 'pci-command', device: entry.device, value: entry.value };
    default:
      return rangeCallOf(entry);
  }
}

type RangeCall = Extract<
  FileCall,
  { op: 'munmap' | 'mprotect' | 'madvise' | 'host-write' | 'host-read' | 'dma-map' }
>;

function rangeCallOf(entry: RangeCall): TraceCall {
  const hva = entry.start as Hva;
  const size = entry.end - entry.start;
  switch (entry.op) {
    case 'mprotect':
      return { kind: 'mprotect', hva, size, prot: entry.prot };
    case 'madvise':
      // What reclaim takes, the notifiers of the trace say.
      return { kind: 'madvise', hva, size, advice: entry.advice, reclaim: [] };
    case 'host-write':
      return { kind: 'host-write', hva, size, stride: entry.stride ?? null };
    default:
      return { kind: entry.op, hva, size };
  }
}
