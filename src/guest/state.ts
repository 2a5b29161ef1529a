// What a vCPU remembers between events: one flat slice each.

import type { Access } from '../arch/access.ts';
import type { Stage1Controls } from '../arch/stage1.ts';

/** The guest's own translation regime as far as it decides faults and types. */
export interface Stage1Regime {
  readonly controls: Stage1Controls;
  /** ID_AA64MMFR0_EL1.PARange as the guest sees it, in bits: with stage 1 off no address may have more. */
  readonly paBits: number;
}

export interface VcpuState {
  /** Number of the VM's slice. */
  vm: number;
  /** Number of the vCPU in its VM. */
  index: number;
  stage1: Stage1Regime;
  /** The access under way; null between accesses. */
  pending: Access | null;
  /** Stage-2 faults that the pending access took. */
  attempts: number;
  /** Local exclusive monitor (DDI0487 B2.12). */
  monitor: boolean;
}
