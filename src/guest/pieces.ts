// How one access becomes transactions where nothing is gathered: a pair is two single accesses (DDI0487
// B2.10.2), several vector registers go one by one, and what crosses a 64-byte line of memory that permits it is cut
// there.

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
import { byLine, LINE_BYTES } from './store-buffer.ts';

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

/** Bytes of a vector register. */
const VECTOR = 16;

/** Bytes of one register of an access that has several, or of all of it. */
function registerSize({ kind, size, element }: Access): number {
  if (kind === 'read-pair' || kind === 'write-pair') return size / 2;
  return element === undefined ? size : Math.min(size, VECTOR);
}

/**
 * The transactions of one access, in ascending order unless given.
 * @param waits the access needs the answer of each
 * @param pieces how somebody chose to carry it out
 */
export function transactionsOf(
  access: Access,
  pa: Pa,
  memoryType: MemoryType,
  waits: boolean,
  pieces?: readonly Pick<BufferedStore, 'pa' | 'size'>[],
): Transaction[] {
  const whole = extentOf(access, pa, memoryType);
  return (pieces ?? usualPieces(access, whole)).map(({ pa: start, size }) => ({
    ...partOf(whole, start, size),
    kind: isWrite(access.kind) ? 'write' : 'read',
    stores: 1,
    access: waits ? access.id : null,
  }));
}

function usualPieces(access: Access, whole: BufferedStore): readonly BufferedStore[] {
  const { pa, size, memoryType } = whole;
  const register = registerSize(access);
  if (register === size && (pa % LINE_BYTES) + size <= LINE_BYTES) return [whole];
  const singles = Array.from({ length: Math.ceil(size / register) }, (_, index) => {
    const from = index * register;
    return partOf(whole, (pa + from) as Pa, Math.min(register, size - from));
  });
  const isKept = permits(memoryType).sizeAndCountKept.value && access.element === undefined;
  return isKept ? singles : singles.flatMap(byLine);
}

function partOf(whole: BufferedStore, pa: Pa, size: number): BufferedStore {
  if (pa === whole.pa && size === whole.size) return whole;
  const bytes = whole.bytes?.slice(pa - whole.pa, pa - whole.pa + size) ?? null;
  return { ...whole, pa, size, bytes };
}
