// MemAttr[3:0] of a stage 2 descriptor, whose meaning depends on HCR_EL2.FWB: a memory type of its own
// without it, an instruction to stage 1 with it (DDI0487 R_HMNDG, R_VRJSW; S2DecodeMemAttrs,
// S2ApplyFWBMemAttrs).

import type { CachePolicy, DeviceType, MemoryFeatures, NonEmpty } from './memory-type.ts';
import { DEVICE_TYPES } from './memory-type.ts';

export type Stage2MemAttr =
  | { readonly type: 'Device'; readonly device: DeviceType }
  /** FWB = 0 only. Stage 2 carries no allocation hints. */
  | {
      readonly type: 'Normal';
      readonly inner: CachePolicy;
      readonly outer: CachePolicy;
      readonly noTagAccess?: true;
    }
  /** FWB = 1 only: Normal becomes Non-cacheable, Device stays (R_THYXB). */
  | { readonly type: 'force-non-cacheable' }
  /** FWB = 1 only: Write-Back, even over Device (R_RHWZM). */
  | { readonly type: 'force-write-back'; readonly noTagAccess?: true }
  /** FWB = 1 only: whatever stage 1 says (R_TBQKG). */
  | { readonly type: 'as-stage-1'; readonly noTagAccess?: true };

export type Stage2Decode = {
  /**
   * 'RES0' is an allocated meaning with bit 3 set although the bit is RES0: FWB = 1 without FEAT_MTE_PERM.
   * 'reserved' is CONSTRAINED UNPREDICTABLE for FWB = 0, and for FWB = 1 reserved by the tables.
   */
  readonly encoding: 'allocated' | 'reserved' | 'RES0';
  /** One where the architecture allows one, else all that are permitted, the least cacheable first. */
  readonly outcomes: NonEmpty<Stage2MemAttr>;
};

function deviceOf(field: number): Stage2MemAttr {
  return { type: 'Device', device: DEVICE_TYPES[field & 0b11] ?? 'nGnRnE' };
}

function policiesOf(half: number): NonEmpty<CachePolicy> {
  if (half === 0b01) return ['NC'];
  if (half === 0b10) return ['WT'];
  if (half === 0b11) return ['WB'];
  return ['NC', 'WT', 'WB'];
}

/** [3:2] is Device (00) or the outer cacheability; [1:0] the Device type or the inner cacheability. */
function decodeWithoutFwb(memattr: number, features: MemoryFeatures): Stage2Decode {
  if (memattr >> 2 === 0) return { encoding: 'allocated', outcomes: [deviceOf(memattr)] };
  if (memattr === 0b0100 && features.mtePerm) {
    return {
      encoding: 'allocated',
      outcomes: [{ type: 'Normal', inner: 'WB', outer: 'WB', noTagAccess: true }],
    };
  }
  const [outer] = policiesOf(memattr >> 2);
  const [first, ...others] = policiesOf(memattr & 0b11);
  const withInner = (inner: CachePolicy): Stage2MemAttr => ({ type: 'Normal', inner, outer });
  return {
    encoding: others.length === 0 ? 'allocated' : 'reserved',
    outcomes: [withInner(first), ...others.map(withInner)],
  };
}

/** S2ApplyFWBMemAttrs: bit 2 clear is Device; 0b100 is reserved and takes the branch of 0b101. */
function instructionOf(memattr: number): Stage2MemAttr {
  if ((memattr & 0b100) === 0) return deviceOf(memattr);
  if ((memattr & 0b111) === 0b110) return { type: 'force-write-back' };
  if ((memattr & 0b111) === 0b111) return { type: 'as-stage-1' };
  return { type: 'force-non-cacheable' };
}

function decodeWithFwb(memattr: number, features: MemoryFeatures): Stage2Decode {
  const instruction = instructionOf(memattr);
  const reserved = (memattr & 0b111) === 0b100;
  if (memattr < 0b1000) return { encoding: reserved ? 'reserved' : 'allocated', outcomes: [instruction] };
  if (!features.mtePerm) return { encoding: reserved ? 'reserved' : 'RES0', outcomes: [instruction] };
  if (instruction.type === 'force-write-back' || instruction.type === 'as-stage-1') {
    return { encoding: 'allocated', outcomes: [{ ...instruction, noTagAccess: true }] };
  }
  return { encoding: 'reserved', outcomes: [instruction] };
}

/**
 * Decodes MemAttr[3:0] (0 to 15) under HCR_EL2.FWB.
 *
 * FWB = 0: a reserved inner half (0b0100, 0b1000, 0b1100) acts as NC, WT or WB. FWB = 1: for reserved
 * encodings the one outcome is that of the pseudocode, which treats 0b0100 as 0b0101 and ignores bit 3; the
 * text says only Reserved, so software must not rely on it and `encoding` tells.
 * @throws RangeError outside 0 to 15
 */
export function decodeMemAttr(memattr: number, fwb: boolean, features: MemoryFeatures = {}): Stage2Decode {
  if (!Number.isInteger(memattr) || memattr < 0 || memattr > 0b1111) {
    throw new RangeError(`stage 2 MemAttr ${memattr} is not a whole number from 0 to 15`);
  }
  return fwb ? decodeWithFwb(memattr, features) : decodeWithoutFwb(memattr, features);
}
