// What happens in a guest's processors, in the past tense. `vm` is the number of the VM's slice, `vcpu` the
// number of the vCPU's slice, which is unique over all VMs.

import type { Access } from '../arch/access.ts';
import type { Ipa, Pa } from '../arch/addresses.ts';
import type { CombinedType } from '../arch/combine.ts';
import type { Level } from '../arch/geometry.ts';
import type { Stage2Fault } from '../arch/stage2-fault.ts';
import type { Transaction } from '../arch/transaction.ts';
import type { Plan } from './plan.ts';
import type { Stage1Regime } from './stage1-regime.ts';
import type { BufferedStore } from './store-buffer.ts';
import type { Walk } from './walk-state.ts';

interface OfVcpu {
  readonly vm: number;
  readonly vcpu: number;
}

/** Why stage 1 refused an access, or why an instruction made none. */
export type GuestBecause =
  /** Stage 1 has no mapping, no permission or a clear access flag; the input says so. */
  | 'stage1-refuses'
  /** Stage 1 is off and the address has more bits than the guest's physical addresses. */
  | 'stage1-address-size'
  /** A memory type of stage 1, or the instruction itself, needs alignment. */
  | 'stage1-alignment'
  /** The walk of the guest's tables ended at an invalid descriptor, or beyond the range of TTBR0_EL1. */
  | 'stage1-translation'
  /** The leaf's access flag is clear and hardware does not set it. */
  | 'stage1-access-flag'
  /** AP or PXN of the leaf, or of a table above it, forbids the access. */
  | 'stage1-permission'
  /** A descriptor, or TTBR0_EL1, holds an address of more bits than TCR_EL1.IPS. */
  | 'stage1-output-size'
  /** The walk read memory into which the program stored without giving a value. */
  | 'stage1-table-unknown'
  /** STXR without an armed exclusive monitor stores nothing. */
  | 'monitor-clear'
  /** PRFM never faults. */
  | 'prefetch-never-faults'
  /** This processor treats cache maintenance by address as a no-op. */
  | 'maintenance-is-a-no-op'
  /** An exclusive to memory for which the architecture does not promise any. */
  | 'exclusive-unsupported'
  /** An LSE atomic to memory for which the architecture does not promise any: refused, or nothing at all happens. */
  | 'atomic-unsupported'
  /** The load was answered from the store buffer, or from a read made before it. */
  | 'store-buffer-forwards'
  | 'earlier-read-answers';

/** Why a transaction left the processor, or lines of the store buffer did. */
export type TransactionBecause =
  /** The type forbids gathering, or it is a load or an exclusive: each goes at once. */
  | 'not-gathered'
  /** All 64 bytes of the line are written. */
  | 'line-full'
  /** A store to another line needs room. */
  | 'store-buffer-full'
  /** DMB or DSB: what is before it may not be gathered with what is after it. */
  | 'barrier'
  /** A load or an ungathered store of bytes that are in the buffer. */
  | 'overlapping-access'
  /** A TLBI of their stage-2 translation: the DSB behind it waits for accesses that used it (DDI0487 D8.17). */
  | 'translation-invalidated'
  /** Stores reach the endpoint in finite time without a barrier: here after many accesses, or as the program ends. */
  | 'finite-time'
  /** STLR: what is before it in the program arrives before it. */
  | 'release'
  /** Non-Reordering: what is before it at the same peripheral arrives before it. */
  | 'program-order'
  /** A prefetch of Normal memory reads without a load asking. */
  | 'speculative-read';

/** Barriers and hints that the store buffer knows; ISB and the fetches after it do not concern it. */
export type Barrier = 'DMB' | 'DSB' | 'DGH' | 'ISB';

/** How both stages let an access pass: where it goes and as what. */
export interface Translation {
  readonly pa: Pa;
  /** Level of the stage-2 leaf. */
  readonly level: Level;
  readonly combined: CombinedType;
}

export type GuestEvent =
  | (OfVcpu & { readonly type: 'vcpu-created'; readonly index: number; readonly stage1: Stage1Regime })
  | (OfVcpu & { readonly type: 'stage1-switched'; readonly stage1: Stage1Regime })
  | (OfVcpu & { readonly type: 'access-issued'; readonly access: Access })
  /** The walk of stage 1 goes on: `access` reads a descriptor, or writes one whose flags hardware updates. */
  | (OfVcpu & { readonly type: 'stage1-walk-stepped'; readonly walk: Walk; readonly access: Access })
  /** That access came through stage 2; `descriptor` null after an update, or where memory is not known. */
  | (OfVcpu & {
      readonly type: 'stage1-descriptor-read' | 'stage1-descriptor-updated';
      readonly access: number;
      readonly ipa: Ipa;
      readonly level: Level;
      readonly descriptor: bigint | null;
      readonly translation: Translation;
    })
  /** The walk is done: the access has its IPA and attributes. */
  | (OfVcpu & { readonly type: 'stage1-translated'; readonly access: Access })
  /**
   * An exception to EL1 in which stage 2 has no part; `esr` null where the input says only that stage 1
   * refuses.
   */
  | (OfVcpu & {
      readonly type: 'stage1-faulted';
      readonly access: number;
      readonly esr: number | null;
      readonly far: number;
      readonly because: GuestBecause;
    })
  | (OfVcpu & {
      readonly type: 'stage2-faulted';
      readonly access: Access;
      /** 0 for the first fault of the access. */
      readonly attempt: number;
      readonly fault: Stage2Fault;
    })
  /** Hardware set the access flag of a leaf (FEAT_HAFDBS). */
  | (OfVcpu & { readonly type: 'access-flag-set'; readonly ipa: Ipa })
  | (OfVcpu & {
      readonly type: 'access-completed';
      readonly access: number;
      /** Null where the access made no memory access at all. */
      readonly translation: Translation | null;
      readonly value: bigint | null;
      readonly because: GuestBecause | null;
    })
  /** Both stages let an access pass to a device; it waits for the answers to its transactions. */
  | (OfVcpu & {
      readonly type: 'access-translated';
      readonly access: number;
      readonly translation: Translation;
      /** Where somebody chose how to carry it out. */
      readonly accessPlan?: Plan;
    })
  /** A read or write left the processor; the interconnect brings it to a device by its address. */
  | (OfVcpu & {
      readonly type: 'transaction-issued';
      readonly transaction: Transaction;
      readonly because: TransactionBecause;
    })
  /** A store reached RAM. `bytes` ascending, null where the program gave no value. */
  | (OfVcpu & {
      readonly type: 'ram-written';
      readonly pa: Pa;
      readonly bytes: readonly (number | null)[];
    })
  /** A store, or the part of it that falls into one line, entered the store buffer. */
  | (OfVcpu & {
      readonly type: 'store-buffered';
      readonly access: number;
      readonly store: BufferedStore;
      /** Where somebody chose: the line that it joined, null for one of its own. */
      readonly into?: number | null;
    })
  /** Lines left the store buffer; their writes follow as transactions. */
  | (OfVcpu & {
      readonly type: 'store-lines-drained';
      readonly lines: readonly number[];
      readonly because: TransactionBecause;
    })
  /** No line of the store buffer takes another store. */
  | (OfVcpu & { readonly type: 'store-lines-closed' })
  /** What earlier reads gave answers no load any more. */
  | (OfVcpu & { readonly type: 'reads-discarded' })
  /** The bus answered a request with an error instead of data; `access` is null for a posted write. */
  | (OfVcpu & { readonly type: 'bus-error-reported'; readonly access: number | null })
  | (OfVcpu & { readonly type: 'barrier-executed'; readonly barrier: Barrier })
  /** PSTATE.I and PSTATE.F as the guest sets them. */
  | (OfVcpu & { readonly type: 'interrupts-masked'; readonly masked: boolean })
  /** The vCPU takes an IRQ or FIQ to EL1: its handler runs, with both masked, until its exception return. */
  | (OfVcpu & { readonly type: 'interrupt-taken'; readonly exception: 'irq' | 'fiq' })
  | (OfVcpu & { readonly type: 'exception-returned' })
  /** WFI: the vCPU goes on once an interrupt is pending, masked or not. */
  | (OfVcpu & { readonly type: 'wfi-executed' })
  | (OfVcpu & { readonly type: 'program-ended' });
