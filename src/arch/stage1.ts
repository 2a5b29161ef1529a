// What stage 1 of the EL1&0 regime hands to stage 2: from a MAIR byte and SH field, or with stage 1 off, and
// what SCTLR_EL1.{M, C, I} and HCR_EL2.{DC, DCT} make of it (DDI0487 D8.6.1; S1Translate, S1DisabledOutput).

import { decodeMair } from './mair.ts';
import type { MemoryFeatures, MemoryType } from './memory-type.ts';
import { DEVICE_nGnRnE, NORMAL_NC, NORMAL_WB, normal, WRITE_THROUGH_RA, xsOf } from './memory-type.ts';
import type { Shareability } from './shareability.ts';
import { decodeShareability } from './shareability.ts';

/** Which rule gave the stage 1 attributes. */
export type Stage1Rule =
  | 'mair'
  /** A reserved MAIR byte: UNPREDICTABLE, here the strictest of the types it may act as. */
  | 'mair-byte-reserved'
  | 'sctlr-m-off-data'
  | 'sctlr-m-off-fetch'
  | 'hcr-dc'
  | 'sctlr-c-off'
  | 'sctlr-i-off'
  /** Taken as Normal Non-cacheable; the alternative is a Permission fault. */
  | 'fetch-from-device';

export type Stage1Attributes = {
  readonly type: MemoryType;
  /** As the SH field says: Device and Non-cacheable become Outer Shareable when combined. */
  readonly shareability: Shareability;
  readonly because: Stage1Rule;
};

export type Stage1Controls = {
  /** SCTLR_EL1.M: stage 1 is on. */
  readonly m: boolean;
  /** SCTLR_EL1.C: data accesses may be cacheable. */
  readonly c: boolean;
  /** SCTLR_EL1.I: fetches may be cacheable. */
  readonly i: boolean;
  /** HCR_EL2.DC: stage 1 acts as off and everything is Normal Write-Back. */
  readonly dc: boolean;
  /** HCR_EL2.DCT: with DC and FEAT_MTE2, that memory is Tagged. */
  readonly dct: boolean;
};

/** How Linux runs: stage 1, both caches on, no defaults of the hypervisor. */
export const STAGE_1_ON: Stage1Controls = { m: true, c: true, i: true, dc: false, dct: false };
/** Out of reset, and while a guest boots without its MMU. */
export const STAGE_1_OFF: Stage1Controls = { m: false, c: false, i: false, dc: false, dct: false };

export type Stage1Access = 'data' | 'fetch';

/** HCR_EL2.DC = 1 makes SCTLR_EL1.M act as 0. */
export function isStage1On(controls: Stage1Controls): boolean {
  return controls.m && !controls.dc;
}

/**
 * Attributes with stage 1 off (S1DisabledOutput). HCR_EL2.DC = 1: Normal Write-Back RWA, NSH, for data and
 * fetch. Else data is Device-nGnRnE and fetches are Write-Through read-allocate or, with SCTLR_EL1.I = 0,
 * Non-cacheable; OSH.
 */
export function stage1Disabled(
  access: Stage1Access,
  controls: Stage1Controls,
  features: MemoryFeatures = {},
): Stage1Attributes {
  if (controls.dc) {
    const tagged = controls.dct && features.mte2 === true;
    return { type: { ...NORMAL_WB, tagged }, shareability: 'NSH', because: 'hcr-dc' };
  }
  if (access === 'data') return { type: DEVICE_nGnRnE, shareability: 'OSH', because: 'sctlr-m-off-data' };
  const type = controls.i ? normal(WRITE_THROUGH_RA) : NORMAL_NC;
  return { type, shareability: 'OSH', because: 'sctlr-m-off-fetch' };
}

/** Normal Non-cacheable in place of another type; XS stays that of the walk (S1Translate). */
function nonCacheableFor(
  replaced: MemoryType,
  because: Stage1Rule,
  features: MemoryFeatures,
): Stage1Attributes {
  const type: MemoryType = features.xs && xsOf(replaced) === 0 ? { ...NORMAL_NC, xs: 0 } : NORMAL_NC;
  return { type, shareability: 'OSH', because };
}

/**
 * Attributes of a location mapped by stage 1 with this MAIR byte (0 to 255) and SH field (0 to 3).
 * SCTLR_EL1.C = 0 makes Normal data Non-cacheable and leaves Device alone; a fetch from Device or with
 * SCTLR_EL1.I = 0 is treated as Non-cacheable. A reserved byte acts as Device-nGnRnE, a reserved SH field as
 * OSH: one permitted outcome of many.
 * @throws RangeError for a byte or field out of range
 */
export function stage1FromMair(
  field: { readonly attr: number; readonly sh: number },
  access: Stage1Access,
  controls: Stage1Controls = STAGE_1_ON,
  features: MemoryFeatures = {},
): Stage1Attributes {
  const decoded = decodeMair(field.attr, features);
  const [shareability] = decodeShareability(field.sh);
  const type = decoded.encoding === 'allocated' ? decoded.type : DEVICE_nGnRnE;
  if (access === 'fetch') {
    if (type.type === 'Device') return nonCacheableFor(type, 'fetch-from-device', features);
    if (!controls.i) return nonCacheableFor(type, 'sctlr-i-off', features);
  } else if (!controls.c && type.type === 'Normal') {
    return nonCacheableFor(type, 'sctlr-c-off', features);
  }
  return { type, shareability, because: decoded.encoding === 'allocated' ? 'mair' : 'mair-byte-reserved' };
}

/**
 * Attributes that stage 1 gives an access under these controls; `field` is what its leaf and MAIR_EL1 say,
 * null where no stage 1 table was walked.
 * @throws RangeError when stage 1 is on and no field is given, or a field is out of range
 */
export function stage1Attributes(
  field: { readonly attr: number; readonly sh: number } | null,
  access: Stage1Access,
  controls: Stage1Controls,
  features: MemoryFeatures = {},
): Stage1Attributes {
  if (!isStage1On(controls)) return stage1Disabled(access, controls, features);
  if (field === null) throw new RangeError('stage 1 is on: give the MAIR byte and SH field of the location');
  return stage1FromMair(field, access, controls, features);
}
