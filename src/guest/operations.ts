// What a program's vCPU can be told to do, and what comes back: one operation at a time, by generators.

import type { Access } from '../arch/access.ts';
import type { Barrier } from './events.ts';
import type {
  AtomicOptions,
  BurstOptions,
  LoadOptions,
  PairOptions,
  StoreOptions,
  VectorOptions,
} from './instruction.ts';
import type { GuestAddress, Mappable, Mapping, Stage1Attribute } from './mapping.ts';
import type { Stage1Tables } from './stage1-regime.ts';
import type { TablePlan } from './table-plan.ts';

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
  /** MSR CNTV_CTL_EL0; before it CNTV_TVAL_EL0 unless null. */
  | {
      readonly kind: 'timer';
      readonly enabled: boolean;
      readonly masked: boolean;
      readonly after: number | null;
    }
  | { readonly kind: 'raise' | 'await'; readonly signal: string };

export interface TimerOptions {
  /** Ticks from now, each a nanosecond of the run, in which an event happens; the compare value stays unless given. */
  readonly after?: number;
  /** CNTV_CTL_EL0.ENABLE; true unless given. */
  readonly enabled?: boolean;
  /** CNTV_CTL_EL0.IMASK; false unless given. */
  readonly masked?: boolean;
}

/** Handlers of interrupts; each runs to its end with interrupts masked. */
export interface Vectors {
  readonly irq?: GuestProgram;
  readonly fiq?: GuestProgram;
}

/** A run of operations inside a program: `yield*` it. */
export type Steps<Result> = Generator<GuestOp, Result, OpResult>;

export type GuestProgram = (cpu: Cpu) => Steps<void>;

/** Something that programs of guests and of the VMM can wait for; it stays raised. */
export interface Signal {
  readonly signal: string;
}

/** What a vCPU can be told to do. Everything but the mappings is a generator: `yield* cpu.store(...)`. */
export interface Cpu {
  /** Number of the vCPU in its VM. */
  readonly index: number;
  /** Maps a region at a virtual address of its own. */
  ioremap(target: Mappable, attribute: Stage1Attribute): Mapping;
  /** The region with stage 1 off: accesses switch SCTLR_EL1.M off, data is Device-nGnRnE. */
  physical(target: Mappable): Mapping;
  /**
   * Stores tables with stage 1 off, a doubleword each, then switches to them: what `va` gives is walked from here on.
   * Stops at the first store that aborts, which is its result.
   */
  useTables(plan: TablePlan): Steps<OpResult>;
  /** SCTLR_EL1.EE for the data of the accesses that follow, and of their walks. */
  setEndian(order: 'little' | 'big'): void;
  /** A virtual address that the tables of `useTables` translate; as long as there are none, an IPA. */
  va(address: number): GuestAddress;
  /** The guest's RAM, `offset` bytes behind its start; Normal Write-Back and executable. */
  ram(offset: number): GuestAddress;
  load(at: GuestAddress, options?: LoadOptions): Steps<OpResult>;
  store(at: GuestAddress, options?: StoreOptions): Steps<OpResult>;
  /** LD1 of several vector registers: ISV = 0, each element aligned by itself. */
  loadVectors(at: GuestAddress, options?: VectorOptions): Steps<OpResult>;
  /** ST1. */
  storeVectors(at: GuestAddress, options?: VectorOptions & { readonly value?: bigint }): Steps<OpResult>;
  /** Neighbouring loads, as the inner loop of a memcpy makes them: each is certain once the first is. */
  loadBurst(at: GuestAddress, options: Omit<BurstOptions, 'value'>): Steps<OpResult>;
  /** LDP: ISV = 0. */
  loadPair(at: GuestAddress, options?: PairOptions): Steps<OpResult>;
  /** STP: ISV = 0. */
  storePair(at: GuestAddress, options?: PairOptions): Steps<OpResult>;
  /** LDXR: ISV = 0, arms the local monitor. */
  loadExclusive(at: GuestAddress, options?: { readonly size?: 1 | 2 | 4 | 8 }): Steps<OpResult>;
  /** STXR: ISV = 0; without an armed monitor it makes no access. */
  storeExclusive(
    at: GuestAddress,
    options?: { readonly size?: 1 | 2 | 4 | 8; readonly value?: bigint },
  ): Steps<OpResult>;
  /** LSE: LDADD, LDCLR, LDEOR, LDSET, SWP, CAS, without acquire and release; ISV = 0. Gives what was there. */
  atomic(at: GuestAddress, options: AtomicOptions): Steps<OpResult>;
  /** Runs one instruction from there. */
  fetch(at: GuestAddress): Steps<OpResult>;
  /** PRFM: never faults. */
  prefetch(at: GuestAddress): Steps<OpResult>;
  dcZva(at: GuestAddress): Steps<OpResult>;
  dcCvac(at: GuestAddress): Steps<OpResult>;
  dcCvau(at: GuestAddress): Steps<OpResult>;
  dcCivac(at: GuestAddress): Steps<OpResult>;
  dcIvac(at: GuestAddress): Steps<OpResult>;
  icIvau(at: GuestAddress): Steps<OpResult>;
  /** Neighbouring stores, as the inner loop of a memcpy makes them; stops at the first that aborts. */
  burst(at: GuestAddress, options: BurstOptions): Steps<OpResult>;
  dmb(): Steps<OpResult>;
  dsb(): Steps<OpResult>;
  /** DGH, FEAT_DGH: a hint against further gathering. */
  dgh(): Steps<OpResult>;
  isb(): Steps<OpResult>;
  /** What runs in place of the program when an interrupt is taken; interrupts have to be unmasked for that. */
  vectors(vectors: Vectors): Steps<OpResult>;
  /** PSTATE.I and PSTATE.F; both are set at first. */
  maskInterrupts(): Steps<OpResult>;
  unmaskInterrupts(): Steps<OpResult>;
  /** WFI: goes on once an interrupt is pending for this vCPU, masked or not. */
  wfi(): Steps<OpResult>;
  /**
   * The virtual timer: CNTV_TVAL_EL0, then CNTV_CTL_EL0. Its PPI is INTID 27, a level that is high from when the
   * counter gets there until the timer is written again. A WFI that nothing else ends waits for it. Needs a vGICv2.
   */
  setTimer(timer: TimerOptions): Steps<OpResult>;
  /** Tells everyone who waits for the signal to go on. */
  raise(signal: Signal): Steps<OpResult>;
  /** Goes on once the signal is raised. */
  await(signal: Signal): Steps<OpResult>;
}
