// The rules of combining in words, with the rule's name in the Arm manual (DDI0487 D8.6).

import type { CombineRule } from '../arch/combine-rules.ts';

export const RULE_WORDS: Readonly<Record<CombineRule, string>> = {
  'device-wins-over-normal': 'one stage is Device: its subtype, whatever the Normal side says (R_QPHXK)',
  'stricter-device-wins': 'both are Device: the stricter, nGnRnE < nGnRE < nGRE < GRE (R_TNHFM)',
  'less-cacheable-wins': 'both are Normal: inner and outer each take the lower of NC < WT < WB (R_GQFSF)',
  'fwb-device-over-normal': 'stage 2 Device over stage 1 Normal: the Device type of stage 2 (R_GSDKZ)',
  'fwb-device-stricter': 'both are Device: the stricter (R_GSDKZ)',
  'fwb-forces-non-cacheable': 'stage 2 makes any Normal type Non-cacheable (R_THYXB)',
  'fwb-non-cacheable-keeps-device': 'stage 2 Non-cacheable leaves a stage 1 Device as it is (R_THYXB)',
  'fwb-forces-write-back': 'stage 2 makes everything Write-Back, a stage 1 Device too (R_RHWZM)',
  'fwb-takes-stage-1': 'stage 2 leaves it to stage 1 (R_TBQKG)',
  'hcr-cd-makes-non-cacheable': 'HCR_EL2.CD makes a Normal result of stage 2 Non-cacheable (S2Translate)',
};
