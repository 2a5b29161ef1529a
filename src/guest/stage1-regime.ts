// The guest's own translation regime, as far as it decides faults and memory types (DDI0487 D8.6.1).

import type { Stage1Controls } from '../arch/stage1.ts';

export interface Stage1Regime {
  readonly controls: Stage1Controls;
  /** ID_AA64MMFR0_EL1.PARange as the guest sees it, in bits: with stage 1 off no address may have more. */
  readonly paBits: number;
}
