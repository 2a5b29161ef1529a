// What a load leaves in its register: the bytes cut to the access, sign-extended where the instruction says
// so (LDRSB, LDRSH, LDRSW; ESR_EL2.SSE and SF). kvm_handle_mmio_return() does the same for an emulated load.

import type { Access } from '../arch/access.ts';

/** @param raw bytes of the load as a little-endian number; null where they are not known */
export function registerValue(access: Access, raw: bigint | null): bigint | null {
  if (raw === null) return null;
  const value = BigInt.asUintN(access.size * 8, raw);
  const { syndrome } = access;
  if (syndrome?.isv !== true || !syndrome.sse) return value;
  return BigInt.asUintN(syndrome.sf ? 64 : 32, BigInt.asIntN(access.size * 8, value));
}
