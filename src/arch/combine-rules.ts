// The rules by which one stage 1 type and one stage 2 MemAttr give one memory type, each under its name
// (DDI0487 D8.6.5 and D8.6.6; S2Translate, S2CombineS1MemAttrs, S2ApplyFWBMemAttrs).

import type { Cacheability, CachePolicy, MemoryType, NormalMemory } from './memory-type.ts';
import {
  isNonCacheable,
  isWriteBack,
  isWriteBackRwa,
  lowerPolicy,
  NON_CACHEABLE,
  NORMAL_NC,
  NORMAL_WB,
  stricterDevice,
  WRITE_BACK_RWA,
  xsOf,
} from './memory-type.ts';
import type { Stage2MemAttr } from './stage2-memattr.ts';

/** Why a combined type is what it is. */
export type CombineRule =
  /** FWB = 0, one stage Device: its subtype, whatever the Normal side says (R_QPHXK). */
  | 'device-wins-over-normal'
  /** FWB = 0, both Device (R_TNHFM). */
  | 'stricter-device-wins'
  /**
   * FWB = 0, both Normal: inner and outer each take the lower of NC < WT < WB, hints from stage 1 (R_GQFSF).
   */
  | 'less-cacheable-wins'
  /** FWB = 1, MemAttr 0b00dd over Normal: the Device type of stage 2. */
  | 'fwb-device-over-normal'
  /** FWB = 1, MemAttr 0b00dd over Device: the stricter of both (R_GSDKZ). */
  | 'fwb-device-stricter'
  /** FWB = 1, MemAttr 0b0101 over Normal (R_THYXB). */
  | 'fwb-forces-non-cacheable'
  /** FWB = 1, MemAttr 0b0101 over Device: stays as it is (R_THYXB). */
  | 'fwb-non-cacheable-keeps-device'
  /** FWB = 1, MemAttr 0b0110: Write-Back, over Device and Non-cacheable too (R_RHWZM). */
  | 'fwb-forces-write-back'
  /** FWB = 1, MemAttr 0b0111 (R_TBQKG). */
  | 'fwb-takes-stage-1'
  /** HCR_EL2.CD = 1 made a cacheable result Non-cacheable. */
  | 'hcr-cd-makes-non-cacheable';

export type TypeRegime = {
  /** HCR_EL2.FWB. */
  readonly fwb: boolean;
  /** HCR_EL2.CD: data accesses and walks through stage 2 are Non-cacheable where Normal. */
  readonly cd: boolean;
  /** FEAT_XS is implemented. */
  readonly xs: boolean;
  /** FnXS of the stage 2 leaf, descriptor bit 11: forces XS = 0 under FEAT_XS. */
  readonly fnXS: boolean;
};

export type RuledType = { readonly type: MemoryType; readonly because: CombineRule };

/**
 * Stage 2 may lower a half but never gives it hints: they and Transient are stage 1's (S2CombineS1AttrHints).
 */
function lowerHalf(stage1: Cacheability, stage2: CachePolicy): Cacheability {
  if (stage1.policy === 'NC') return stage1;
  const policy = lowerPolicy(stage1.policy, stage2);
  return policy === 'NC' ? NON_CACHEABLE : { ...stage1, policy };
}

/** MemAttr 0b0110 acts on each half by itself: MAIR byte 0x4F becomes 0xFF, 0x4A becomes 0xFE. */
function writeBackHalf(stage1: Cacheability): Cacheability {
  return stage1.policy === 'NC' ? WRITE_BACK_RWA : { ...stage1, policy: 'WB' };
}

/**
 * Tagged survives only on WB/WB RWA non-transient (S2MemTagType); NoTagAccess says nothing about Untagged.
 */
function normalFrom(
  stage1: NormalMemory,
  inner: Cacheability,
  outer: Cacheability,
  noTagAccess: boolean,
): NormalMemory {
  const tagged = stage1.tagged && isWriteBackRwa(inner) && isWriteBackRwa(outer);
  const type: NormalMemory = { type: 'Normal', inner, outer, tagged };
  return tagged && noTagAccess ? { ...type, noTagAccess: true } : type;
}

function withoutFwb(stage1: MemoryType, stage2: Stage2MemAttr, cd: boolean): RuledType {
  if (stage2.type === 'Device') {
    if (stage1.type === 'Normal') return { type: stage2, because: 'device-wins-over-normal' };
    const device = stricterDevice(stage1.device, stage2.device);
    return { type: { type: 'Device', device }, because: 'stricter-device-wins' };
  }
  if (stage1.type === 'Device') return { type: stage1, because: 'device-wins-over-normal' };
  if (stage2.type !== 'Normal') {
    throw new RangeError(`stage 2 '${stage2.type}' needs HCR_EL2.FWB = 1; decode MemAttr with the same FWB`);
  }
  const noTagAccess = stage2.noTagAccess === true;
  const inner = lowerHalf(stage1.inner, stage2.inner);
  const outer = lowerHalf(stage1.outer, stage2.outer);
  const cacheable = inner.policy !== 'NC' || outer.policy !== 'NC';
  // CD replaces the stage 2 value before combining, so a stage 1 Device above stays the Device it is.
  if (cd && cacheable) return { type: NORMAL_NC, because: 'hcr-cd-makes-non-cacheable' };
  return { type: normalFrom(stage1, inner, outer, noTagAccess), because: 'less-cacheable-wins' };
}

function applyFwb(stage1: MemoryType, stage2: Stage2MemAttr): RuledType {
  switch (stage2.type) {
    case 'Device': {
      if (stage1.type === 'Normal') return { type: stage2, because: 'fwb-device-over-normal' };
      const device = stricterDevice(stage1.device, stage2.device);
      return { type: { type: 'Device', device }, because: 'fwb-device-stricter' };
    }
    case 'force-non-cacheable':
      return stage1.type === 'Device'
        ? { type: stage1, because: 'fwb-non-cacheable-keeps-device' }
        : { type: NORMAL_NC, because: 'fwb-forces-non-cacheable' };
    case 'force-write-back': {
      if (stage1.type === 'Device') return { type: NORMAL_WB, because: 'fwb-forces-write-back' };
      const inner = writeBackHalf(stage1.inner);
      const outer = writeBackHalf(stage1.outer);
      const type = normalFrom(stage1, inner, outer, stage2.noTagAccess === true);
      return { type, because: 'fwb-forces-write-back' };
    }
    case 'as-stage-1': {
      if (stage1.type === 'Device') return { type: stage1, because: 'fwb-takes-stage-1' };
      const type = normalFrom(stage1, stage1.inner, stage1.outer, stage2.noTagAccess === true);
      return { type, because: 'fwb-takes-stage-1' };
    }
    case 'Normal':
      throw new RangeError("stage 2 'Normal' needs HCR_EL2.FWB = 0; decode MemAttr with the same FWB");
  }
}

/** With FWB = 1, CD acts on the combined value, so 0b0110 and 0b0111 give Non-cacheable too (S2Translate). */
function withFwb(stage1: MemoryType, stage2: Stage2MemAttr, cd: boolean): RuledType {
  const applied = applyFwb(stage1, stage2);
  const { type } = applied;
  if (!cd || type.type === 'Device' || isNonCacheable(type)) return applied;
  return { type: NORMAL_NC, because: 'hcr-cd-makes-non-cacheable' };
}

function withoutXs(type: MemoryType): MemoryType {
  if (type.xs === undefined) return type;
  const { xs: _, ...rest } = type;
  return rest;
}

/**
 * The type of a location behind two stages of translation and the rule that decided it. The stage 2 value
 * must have been decoded with the same FWB.
 *
 * XS (FEAT_XS): 0 for iWB-oWB, else that of stage 1, forced to 0 by FnXS; so stage 1 Write-Back under a stage
 * 2 Device gives a Device type with XS = 0.
 * @throws RangeError when stage 2 was decoded with the other FWB
 */
export function combineTypes(stage1: MemoryType, stage2: Stage2MemAttr, regime: TypeRegime): RuledType {
  const ruled = regime.fwb ? withFwb(stage1, stage2, regime.cd) : withoutFwb(stage1, stage2, regime.cd);
  const plain = withoutXs(ruled.type);
  const xsIsZero = regime.xs && !isWriteBack(plain) && (regime.fnXS || xsOf(stage1) === 0);
  return { type: xsIsZero ? { ...plain, xs: 0 } : plain, because: ruled.because };
}
