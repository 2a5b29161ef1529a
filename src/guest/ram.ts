// An access that stage 2 led to RAM, where it completes at once: what a load gives and a store leaves, if anybody keeps
// what RAM holds. Coherent: caches and mismatched attributes are not modelled.

import type { Access } from '../arch/access.ts';
import { isCacheMaintenance, isWrite } from '../arch/access.ts';
import { bytesOfValue, valueOfBytes } from '../arch/transaction.ts';
import { atomicStores } from './atomic-access.ts';
import { completed } from './emit.ts';
import type { GuestEvent, Translation } from './events.ts';
import { extentOf } from './pieces.ts';
import { registerValue } from './register-value.ts';
import type { VcpuState } from './state.ts';

/** `size` bytes from a physical address, ascending; null if one of them is not known. */
export type RamContents = (pa: number, size: number) => readonly number[] | null;

/** @param ram null where nobody keeps it: values are not known */
export function accessRam(
  vcpu: VcpuState,
  id: number,
  ram: RamContents | null,
  access: Access,
  translation: Translation,
): GuestEvent[] {
  const { kind } = access;
  if (ram === null || kind === 'fetch' || isCacheMaintenance(kind)) {
    return [completed(vcpu, id, access, { translation })];
  }
  const { pa, size, bytes } = extentOf(access, translation.pa, translation.combined.type);
  if (!isWrite(kind)) {
    const found = ram(pa, size);
    const value = found === null ? null : registerValue(access, valueOfBytes(found));
    return [completed(vcpu, id, access, { translation, value })];
  }
  if (kind === 'atomic') {
    const found = ram(pa, size);
    const old = found === null ? null : valueOfBytes(found);
    const stores = atomicStores(access, old);
    const after = stores === undefined || stores === null ? null : bytesOfValue(stores, size);
    const left = after ?? Array.from({ length: size }, () => null);
    const done = completed(vcpu, id, access, { translation, value: registerValue(access, old) });
    return stores === null ? [done] : [{ type: 'ram-written', vm: vcpu.vm, vcpu: id, pa, bytes: left }, done];
  }
  const stored = bytes ?? Array.from({ length: size }, () => null);
  return [
    { type: 'ram-written', vm: vcpu.vm, vcpu: id, pa, bytes: stored },
    completed(vcpu, id, access, { translation }),
  ];
}
