// How one access becomes transactions where nothing is gathered: a pair is two single accesses (DDI0487
// B2.10.2), and what crosses a 64-byte line of memory that permits it is cut there.

import type { Access } from '../arch/access.ts';
import { isWrite } from '../arch/access.ts';
import type { Pa } from '../arch/addresses.ts';
import { alignDown } from '../arch/addresses.ts';
import type { MemoryType } from '../arch/memory-type.ts';
import { permits } from '../arch/permits.ts';
import type { Transaction } from '../arch/transaction.ts';
import { bytesOfValue } from '../arch/transaction.ts';
import { storedValue } from './register-value.ts';
import type { BufferedStore } from './store-buffer.ts';
import { byLine } from './store-buffer.ts';

/** What the access touches: DC ZVA its whole block, with zeros, whatever the address in it. */
export function extentOf(access: Access, pa: Pa, memoryType: MemoryType): BufferedStore {
  if (access.kind === 'dc-zva') {
    const zeros = Array.from({ length: access.size }, () => 0);
    return { pa: alignDown(pa, access.size), size: access.size, bytes: zeros, memoryType };
  }
  const value = isWrite(access.kind) ? storedValue(access) : null;
  return {
    pa,
    size: access.size,
    bytes: value === null ? null : bytesOfValue(value, access.size),
    memoryType,
  };
}

const isPair = (access: Access): boolean => access.kind === 'read-pair' || access.kind === 'write-pair';

/** The transactions of one access in ascending order; `waits`: the access needs the answer of each. */
export function transactionsOf(
  access: Access,
  pa: Pa,
  memoryType: MemoryType,
  waits: boolean,
): Transaction[] {
  const whole = extentOf(access, pa, memoryType);
  const singles = isPair(access) ? halvesOf(whole) : [whole];
  const parts = permits(memoryType).sizeAndCountKept.value ? singles : singles.flatMap(byLine);
  return parts.map((part) => ({
    ...part,
    kind: isWrite(access.kind) ? 'write' : 'read',
    stores: 1,
    access: waits ? access.id : null,
  }));
}

function halvesOf(whole: BufferedStore): BufferedStore[] {
  const size = whole.size / 2;
  return [0, size].map((from) => ({
    ...whole,
    pa: (whole.pa + from) as Pa,
    size,
    bytes: whole.bytes?.slice(from, from + size) ?? null,
  }));
}
