// VTCR_EL2, both ways (DDI0487, VTCR_EL2), and the value that KVM gives it for a VM (kvm_get_vtcr()). A safe
// integer: the highest field handled is SL2, bit 33.

import { field, flag } from './bits.ts';
import type { Granule, Level, Stage2Geometry } from './geometry.ts';

/** VTCR_EL2 by field; the size, granule and level fields in what they mean. */
export interface Vtcr {
  /** 64 - T0SZ. */
  readonly ipaBits: number;
  /** TG0. */
  readonly granule: Granule;
  /** SL2 and SL0. */
  readonly startLevel: Level;
  /** Cacheability of walks: 0 NC, 1 WBWA, 2 WT, 3 WB without write allocation. */
  readonly irgn0: 0 | 1 | 2 | 3;
  readonly orgn0: 0 | 1 | 2 | 3;
  /** Shareability of walks, and with DS also of what the descriptors map: 3 is Inner Shareable. */
  readonly sh0: 0 | 1 | 2 | 3;
  /** PS: output address size in bits. */
  readonly paBits: PaBits;
  /** VS. */
  readonly vmidBits: 8 | 16;
  /** Hardware management of the access flag. */
  readonly ha: boolean;
  /** Hardware management of the dirty state; KVM leaves it off. */
  readonly hd: boolean;
  /** HWU62 to HWU59, bits [28:25]. */
  readonly hwu: number;
  /** Bits 29 and 30, Secure stage 2 only. */
  readonly nsw: boolean;
  readonly nsa: boolean;
  /** FEAT_LPA2 descriptors. */
  readonly ds: boolean;
}

export type PaBits = 32 | 36 | 40 | 42 | 44 | 48 | 52 | 56;

const PS_BITS: readonly PaBits[] = [32, 36, 40, 42, 44, 48, 52, 56];
const TG0: readonly (Granule | undefined)[] = [4096, 65536, 16384, undefined];

// SL0 by value; 3 means level 3 with 4K (FEAT_TTST) and level 0 with 16K (FEAT_LPA2). SL2 with SL0 = 0 is -1.
const SL0: Readonly<Record<Granule, readonly (Level | undefined)[]>> = {
  4096: [2, 1, 0, 3],
  16384: [3, 2, 1, 0],
  65536: [3, 2, 1, undefined],
};

const WRITE_BACK_WRITE_ALLOCATE = 1;
const INNER_SHAREABLE = 3;
const RES1 = 2 ** 31;
const KNOWN_BITS = 34;

/**
 * VTCR_EL2 as KVM sets it up. `paRangeBits` is ID_AA64MMFR0_EL1.PARange of the host in bits; PS takes at most
 * 48 of it without LPA2 or 64K pages. HA is set on processors without hardware access flag too, but not on
 * those with erratum AC03_CPU_38. SL2 is never needed, because concatenation comes first.
 */
export function kvmVtcr(
  geometry: Stage2Geometry,
  host: { readonly paRangeBits: PaBits; readonly vmidBits: 8 | 16; readonly erratumAc03Cpu38?: boolean },
): Vtcr {
  const most = geometry.lpa2 || geometry.granule === 65536 ? 52 : 48;
  return {
    ipaBits: geometry.ipaBits,
    granule: geometry.granule,
    startLevel: geometry.startLevel,
    irgn0: WRITE_BACK_WRITE_ALLOCATE,
    orgn0: WRITE_BACK_WRITE_ALLOCATE,
    sh0: INNER_SHAREABLE,
    paBits: Math.min(host.paRangeBits, most) as PaBits,
    vmidBits: host.vmidBits,
    ha: !(host.erratumAc03Cpu38 ?? false),
    hd: false,
    hwu: 0,
    nsw: false,
    nsa: false,
    ds: geometry.lpa2,
  };
}

/** The register value, with RES1 bit 31. @throws RangeError if the granule cannot start at that level */
export function encodeVtcr(vtcr: Vtcr): number {
  const sl2 = vtcr.startLevel === -1 && vtcr.granule === 4096;
  const sl0 = sl2 ? 0 : SL0[vtcr.granule].indexOf(vtcr.startLevel);
  if (sl0 === -1) {
    throw new RangeError(`VTCR_EL2 cannot start a ${vtcr.granule / 1024}K walk at level ${vtcr.startLevel}`);
  }
  return (
    field('T0SZ', 64 - vtcr.ipaBits, 6) +
    sl0 * 2 ** 6 +
    vtcr.irgn0 * 2 ** 8 +
    vtcr.orgn0 * 2 ** 10 +
    vtcr.sh0 * 2 ** 12 +
    TG0.indexOf(vtcr.granule) * 2 ** 14 +
    PS_BITS.indexOf(vtcr.paBits) * 2 ** 16 +
    flag(vtcr.vmidBits === 16, 19) +
    flag(vtcr.ha, 21) +
    flag(vtcr.hd, 22) +
    field('HWU', vtcr.hwu, 4) * 2 ** 25 +
    flag(vtcr.nsw, 29) +
    flag(vtcr.nsa, 30) +
    RES1 +
    flag(vtcr.ds, 32) +
    flag(sl2, 33)
  );
}

/**
 * The fields of a register value.
 * @throws RangeError for reserved TG0, SL0 or bits above 33 (FEAT_D128 and later)
 */
export function decodeVtcr(value: number): Vtcr {
  if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** KNOWN_BITS) {
    throw new RangeError(`VTCR_EL2 value ${value} has bits above SL2 (33), or is no register value`);
  }
  const bits = (at: number, width: number): number => Math.floor(value / 2 ** at) % 2 ** width;
  const granule = TG0[bits(14, 2)];
  if (granule === undefined) {
    throw new RangeError('VTCR_EL2.TG0 is 0b11, which is reserved');
  }
  const sl0 = bits(6, 2);
  const startLevel = bits(33, 1) === 0 ? SL0[granule][sl0] : granule === 4096 && sl0 === 0 ? -1 : undefined;
  if (startLevel === undefined) {
    throw new RangeError(
      `VTCR_EL2.SL2 and SL0 (${sl0}) name no start level of the ${granule / 1024}K granule`,
    );
  }
  return {
    ipaBits: 64 - bits(0, 6),
    granule,
    startLevel,
    irgn0: bits(8, 2) as 0 | 1 | 2 | 3,
    orgn0: bits(10, 2) as 0 | 1 | 2 | 3,
    sh0: bits(12, 2) as 0 | 1 | 2 | 3,
    paBits: PS_BITS[bits(16, 3)] as PaBits,
    vmidBits: bits(19, 1) === 1 ? 16 : 8,
    ha: bits(21, 1) === 1,
    hd: bits(22, 1) === 1,
    hwu: bits(25, 4),
    nsw: bits(29, 1) === 1,
    nsa: bits(30, 1) === 1,
    ds: bits(32, 1) === 1,
  };
}
