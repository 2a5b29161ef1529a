// The rules behind decisions, in words: of combining with their names in the Arm manual (DDI0487 D8.6), of
// the guest's processors, and of the host, which words its own.

import type { CombineRule } from '../arch/combine-rules.ts';
import type { GuestBecause } from '../guest/events.ts';
import { BECAUSE } from '../host/because.ts';

export const COMBINE_WORDS: Readonly<Record<CombineRule, string>> = {
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

const GUEST_WORDS: Readonly<Record<GuestBecause, string>> = {
  'stage1-refuses': "the guest's own stage 1 refuses the access",
  'stage1-address-size': 'stage 1 is off and the address has more bits than the guest has physical addresses',
  'stage1-alignment': 'the memory type of stage 1, or the instruction itself, needs alignment',
  'stage1-translation': "the guest's tables have no valid descriptor for the address",
  'stage1-access-flag': 'the access flag of the leaf is clear and hardware does not set it (TCR_EL1.HA)',
  'stage1-permission': 'AP or PXN of the leaf, or of a table above it, forbids the access',
  'stage1-output-size': 'a descriptor or TTBR0_EL1 holds an address of more bits than TCR_EL1.IPS',
  'stage1-table-unknown': 'the walk read memory into which the program stored without giving a value',
  'monitor-clear': 'a store-exclusive without an armed monitor stores nothing',
  'prefetch-never-faults': 'PRFM never faults',
  'exclusive-unsupported': 'exclusives to this memory type may fault, with FSC 0b110101 (DDI0487 B2.2.6)',
  'atomic-unsupported':
    'atomics to this memory type may fault with FSC 0b110101, or do nothing (DDI0487 B2.2.6)',
  'store-buffer-forwards': 'the load was answered from the store buffer',
  'earlier-read-answers': 'the load was answered by a read that the processor made before it',
  'maintenance-is-a-no-op': 'this processor treats cache maintenance by address as a no-op',
};

/** Rules of a run's report. */
const RUN_WORDS = {
  'fault-repeats': 'the host answers the fault, nothing changes, and the instruction faults again',
};

const WORDS: ReadonlyMap<string, string> = new Map([
  ...Object.entries(COMBINE_WORDS),
  ...Object.entries(GUEST_WORDS),
  ...Object.entries(RUN_WORDS),
  ...Object.entries(BECAUSE),
]);

/** `unsupported-fsc: KVM handles ... faults only`, or the bare name of a rule that has no words. */
export function ruleText(rule: string): string {
  const words = WORDS.get(rule);
  return words === undefined ? rule : `${rule}: ${words}`;
}
