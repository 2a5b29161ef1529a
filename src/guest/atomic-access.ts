// An LSE atomic that is carried out: the endpoint's read and write of one request, or RAM's. Nothing comes in between;
// the program gets what was there before.

import type { Access } from '../arch/access.ts';
import { atomicResult } from '../arch/atomic.ts';
import { bytesOfValue } from '../arch/transaction.ts';
import { completed, issued } from './emit.ts';
import type { GuestEvent, Translation } from './events.ts';
import { extentOf } from './pieces.ts';
import { registerValue, storedValue } from './register-value.ts';
import type { VcpuState } from './state.ts';

/** What an atomic leaves where it found `old`, as a little-endian number; null for nothing, undefined if not known. */
export function atomicStores(access: Access, old: bigint | null): bigint | null | undefined {
  const { atomic, value, size } = access;
  const found = registerValue(access, old);
  if (atomic === undefined || found === null || value === undefined) return undefined;
  const result = atomicResult(atomic, size, found, value);
  return result === null ? null : (storedValue({ ...access, value: result }) ?? undefined);
}

/** The read, then the write unless a CAS found another value, then the end. @param answers of those so far */
export function continueAtomic(
  vcpu: VcpuState,
  id: number,
  access: Access,
  translation: Translation,
  answers: readonly (bigint | null)[],
): GuestEvent[] {
  const { pa, combined } = translation;
  const { bytes: _operand, ...place } = extentOf(access, pa, combined.type);
  const common = { ...place, stores: 1, access: access.id };
  const [old = null] = answers;
  if (answers.length === 0)
    return [issued(vcpu, id, { ...common, kind: 'read', bytes: null }, 'not-gathered')];
  const stores = atomicStores(access, old);
  if (answers.length === 1 && stores !== null) {
    const bytes = stores === undefined ? null : bytesOfValue(stores, access.size);
    return [issued(vcpu, id, { ...common, kind: 'write', bytes }, 'not-gathered')];
  }
  return [completed(vcpu, id, access, { translation, value: registerValue(access, old) })];
}
