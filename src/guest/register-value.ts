// What a load leaves in its register: the bytes in the order of the data (SCTLR_EL1.EE), cut to the access,
// sign-extended where the instruction says so (LDRSB, LDRSH, LDRSW; ESR_EL2.SSE and SF). kvm_handle_mmio_return() does
// the same for an emulated load, the sign only since Linux 7.2; vcpu_data_guest_to_host() the reverse for a store.

import type { Access } from '../arch/access.ts';
import { bytesOfValue, valueOfBytes } from '../arch/transaction.ts';

/** XZR as a destination: the load is made, no register changes (vcpu_set_reg()). */
const XZR = 31;

/**
 * @param raw bytes of the load as a little-endian number; null where they are not known
 * @param extendsSign whether who carries the load out does what the instruction says
 */
export function registerValue(access: Access, raw: bigint | null, extendsSign = true): bigint | null {
  const { syndrome } = access;
  if (raw === null || (syndrome?.isv === true && syndrome.srt === XZR)) return null;
  const value = inOrder(access, BigInt.asUintN(access.size * 8, raw));
  if (!extendsSign || syndrome?.isv !== true || !syndrome.sse) return value;
  return BigInt.asUintN(syndrome.sf ? 64 : 32, BigInt.asIntN(access.size * 8, value));
}

/** What a store puts on the bus, as a little-endian number; null where it is not known. */
export const storedValue = (access: Access): bigint | null =>
  access.value === undefined ? null : inOrder(access, access.value);

/** A pair is two registers, each in its own order. */
function inOrder({ bigEndian, kind, size }: Access, value: bigint): bigint {
  if (bigEndian !== true) return value;
  const register = kind === 'read-pair' || kind === 'write-pair' ? size / 2 : size;
  const bytes = bytesOfValue(value, size);
  const swapped: number[] = [];
  for (let from = 0; from < size; from += register) {
    swapped.push(...bytes.slice(from, from + register).reverse());
  }
  return valueOfBytes(swapped);
}
