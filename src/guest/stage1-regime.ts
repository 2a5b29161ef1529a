// The guest's own translation regime, as far as it decides faults and memory types (DDI0487 D8.6.1), and where its
// tables are if they are walked.

import type { Stage1Field } from '../arch/access.ts';
import type { Ipa } from '../arch/addresses.ts';
import type { Granule } from '../arch/geometry.ts';
import type { Stage1Controls } from '../arch/stage1.ts';

export interface Stage1Regime {
  readonly controls: Stage1Controls;
  /** ID_AA64MMFR0_EL1.PARange as the guest sees it, in bits: with stage 1 off no address may have more. */
  readonly paBits: number;
  /** Tables in the guest's memory; absent where what stage 1 gives comes with each access. */
  readonly tables?: Stage1Tables;
}

/** TTBR0_EL1, TCR_EL1 and MAIR_EL1 by field. */
export interface Stage1Tables {
  /** TTBR0_EL1.BADDR. */
  readonly ttbr0: Ipa;
  /** TCR_EL1.TG0. */
  readonly granule: Granule;
  /** 64 - TCR_EL1.T0SZ: 25 to 48. */
  readonly inputBits: number;
  /** TCR_EL1.IPS in bits: descriptors with more give Address size faults. */
  readonly outputBits: number;
  /** MAIR_EL1: up to eight bytes, Attr0 first. */
  readonly mair: readonly number[];
  /** TCR_EL1.IRGN0, ORGN0 and SH0 of the walks, as a MAIR byte and an SH field. */
  readonly walk: Stage1Field;
  /** TCR_EL1.HA: hardware sets the access flag, if it can. */
  readonly ha: boolean;
  /** TCR_EL1.HD: hardware clears AP[2] of a leaf with DBM on a write. */
  readonly hd: boolean;
}
