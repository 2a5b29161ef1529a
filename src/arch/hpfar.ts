// HPFAR_EL2, the faulting intermediate physical address of a stage 2 abort, both ways, and when it says
// anything (DDI0487 D24.2.76, AArch64.IPAValid()). A 64-bit register with a flag in bit 63, therefore bigint.

import type { Ipa } from './addresses.ts';
import { ipa } from './addresses.ts';
import type { FaultStatus } from './fault-status.ts';

/**
 * The field that holds IPA[n:12] >> 12 at bit 4: up to IPA[47] at first, [51] with FEAT_LPA, [55] with
 * FEAT_D128.
 */
export type FipaFeature = 'base' | 'FEAT_LPA' | 'FEAT_D128';

const FIPA_TOP: Readonly<Record<FipaFeature, number>> = { base: 48, FEAT_LPA: 52, FEAT_D128: 56 };
const FIPA_SHIFT = 4n;
const PAGE_SHIFT = 12n;
const NS = 1n << 63n;

/**
 * The register for a faulting address. It keeps the address at a granularity of 4 KiB whatever the
 * translation granule; the offset within the page is in FAR_EL2. `nonSecure` sets NS, which only Secure EL2
 * has.
 * @throws RangeError if the address has more bits than the field
 */
export function encodeHpfar(address: Ipa, feature: FipaFeature, nonSecure = false): bigint {
  if (address >= 2 ** FIPA_TOP[feature]) {
    const where = `IPA 0x${address.toString(16)}`;
    throw new RangeError(
      `${where} does not fit into HPFAR_EL2.FIPA of ${FIPA_TOP[feature]} bits (${feature})`,
    );
  }
  return ((BigInt(address) >> PAGE_SHIFT) << FIPA_SHIFT) + (nonSecure ? NS : 0n);
}

/**
 * The address in the register, with its low 12 bits clear; bits that are RES0 without the feature are
 * ignored.
 */
export function decodeHpfar(
  hpfar: bigint,
  feature: FipaFeature,
): { readonly ipa: Ipa; readonly nonSecure: boolean } {
  const page = BigInt.asUintN(FIPA_TOP[feature] - Number(PAGE_SHIFT), hpfar >> FIPA_SHIFT);
  return { ipa: ipa(Number(page << PAGE_SHIFT)), nonSecure: (hpfar & NS) !== 0n };
}

/**
 * Whether a stage 2 abort writes HPFAR_EL2: Translation, Access flag and Address size faults do, and any of
 * these or a Permission fault on a stage 1 walk. After every other exception to EL2 the register is UNKNOWN,
 * and the host has to translate FAR_EL2 itself, as KVM's __get_fault_info() does with AT S1E1R for Permission
 * faults.
 */
export function hpfarValid(status: FaultStatus, s1ptw: boolean): boolean {
  switch (status.kind) {
    case 'translation':
    case 'access-flag':
    case 'address-size':
      return true;
    case 'permission':
      return s1ptw;
    default:
      return false;
  }
}
