// What a vCPU remembers between events: one flat slice each.

import type { Access } from '../arch/access.ts';
import type { Translation } from './events.ts';
import type { HeldRead } from './held-reads.ts';
import type { Plan } from './plan.ts';
import type { Stage1Regime } from './stage1-regime.ts';
import type { StoreBuffer } from './store-buffer.ts';
import type { Walk } from './walk-state.ts';

export type { Stage1Regime };

/** An access that waits for a device. */
export interface Waiting {
  readonly translation: Translation;
  /** Answers so far, one for each of its transactions; null for a write. */
  readonly answers: readonly (bigint | null)[];
  /** Absent: the transactions of a typical processor. */
  readonly plan?: Plan;
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
  /** Null while no table of the guest is walked. */
  walk: Walk | null;
  /** Local exclusive monitor (DDI0487 B2.12). */
  monitor: boolean;
  /** Null while the pending access waits for no device. */
  waiting: Waiting | null;
  storeBuffer: StoreBuffer;
  /** Oldest first; empty for a typical processor. */
  heldReads: readonly HeldRead[];
  /** PSTATE.I and PSTATE.F: set at reset, and while a handler runs. */
  interruptsMasked: boolean;
}
