// What a program's vCPU can be told to do, and what comes back: one operation at a time, by generators.

import type { Access } from '../arch/access.ts';
import type { Barrier } from './events.ts';
import type { GuestProgram } from './program.ts';
import type { Stage1Tables } from './stage1-regime.ts';

/** An exception that the guest takes at EL1 instead of the access. */
export interface GuestAbort {
  /** ESR_EL1 as the guest reads it, 64 bits; null where only stage 1 itself refuses. */
  readonly esr: bigint | null;
  /** FAR_EL1. */
  readonly far: number;
  /** Taken by the guest's own stage 1, or injected by the host. */
  readonly from: 'stage-1' | 'host';
  readonly because: string;
}

export interface OpResult {
  /** What a load put into its register, unsigned; null for all else and where the value is not known. */
  readonly value: bigint | null;
  readonly aborted: GuestAbort | null;
  /** errno of a KVM_RUN that failed here and that the VMM stepped over; null otherwise. */
  readonly skipped: number | null;
}

/** What a vCPU does next. */
export type GuestOp =
  | { readonly kind: 'access'; readonly access: Omit<Access, 'id'> }
  | { readonly kind: 'barrier'; readonly barrier: Barrier }
  /** SCTLR_EL1.M changes, or TTBR0_EL1 with TCR_EL1 and MAIR_EL1; null where no tables of the guest are walked. */
  | { readonly kind: 'stage-1'; readonly on: boolean; readonly tables: Stage1Tables | null }
  /** VBAR_EL1: what runs when an interrupt is taken. */
  | { readonly kind: 'vectors'; readonly vectors: Vectors }
  /** MSR DAIFSet or DAIFClr, bits I and F. */
  | { readonly kind: 'mask'; readonly masked: boolean }
  | { readonly kind: 'wfi' }
  | { readonly kind: 'raise' | 'await'; readonly signal: string };

/** Handlers of interrupts; each runs to its end with interrupts masked. */
export interface Vectors {
  readonly irq?: GuestProgram;
  readonly fiq?: GuestProgram;
}

/** A run of operations inside a program: `yield*` it. */
export type Steps<Result> = Generator<GuestOp, Result, OpResult>;
