// One memory access as a processor issues it: what every part needs to know of it, and nothing of what
// becomes of it. Kinds follow the A64 instruction groups of DDI0487 C3 and the hardware walks of D8.2.

import type { Ipa, Va } from './addresses.ts';
import type { AtomicOperation } from './atomic.ts';
import type { InstructionSyndrome } from './esr.ts';

export type AccessKind =
  | 'read'
  | 'write'
  | 'fetch'
  | 'read-pair'
  | 'write-pair'
  | 'exclusive-load'
  | 'exclusive-store'
  /** LSE: reads and writes one location. */
  | 'atomic'
  | 'dc-zva'
  | 'dc-cvac'
  | 'dc-cvau'
  | 'dc-civac'
  | 'dc-ivac'
  | 'ic-ivau'
  | 'prefetch'
  | 's1-walk'
  | 's1-walk-update';

/** What a hardware walk of stage-1 tables serves: EC and ISS of its fault follow that access. */
export type WalkPurpose = 'fetch' | 'read' | 'write';

/** The MAIR_ELx byte and SH field that stage 1 gives an access; DDI0487 D8.6.2. */
export interface Stage1Field {
  readonly attr: number;
  readonly sh: number;
}

export interface Access {
  /** Number of the access in its run, in program order of its vCPU. */
  readonly id: number;
  readonly kind: AccessKind;
  /** Bytes; for DC and IC the line or block. */
  readonly size: number;
  readonly va: Va;
  /** Output of stage 1; null if stage 1 itself refuses the access, or is still to be walked. */
  readonly ipa: Ipa | null;
  /** The guest's own tables are walked for it: `ipa` and `stage1` follow from them. */
  readonly byVa?: true;
  /** Stage-1 attributes; null where stage 1 is off (SCTLR_EL1.M = 0). */
  readonly stage1: Stage1Field | null;
  /** Syndrome bits of the instruction; null for fetches and walks. */
  readonly syndrome: InstructionSyndrome | null;
  readonly walk?: { readonly level: number; readonly purpose: WalkPurpose };
  /** SCTLR_EL1.EE: the highest byte of the register stands at the lowest address. */
  readonly bigEndian?: true;
  /** Value stored, at most 8 bytes a register. */
  readonly value?: bigint;
  /** Of LSE atomics; the operand is `value`. */
  readonly atomic?: AtomicOperation;
  /** Of SIMD&FP loads and stores: bytes of one element, the lanes of LD1 and ST1, or of the register. */
  readonly element?: number;
  /** Bytes behind a load that the program loads next, whatever this one gives: the loop of a memcpy. */
  readonly ahead?: number;
  /** The address was computed from an earlier load, which orders the two (address dependency, B2.3). */
  readonly dependent?: boolean;
}

const WRITES: ReadonlySet<AccessKind> = new Set([
  'write',
  'write-pair',
  'exclusive-store',
  'atomic',
  'dc-zva',
  's1-walk-update',
]);

const MAINTENANCE: ReadonlySet<AccessKind> = new Set([
  'dc-cvac',
  'dc-cvau',
  'dc-civac',
  'dc-ivac',
  'ic-ivau',
]);

/**
 * ESR.WnR of an atomic: 0 if a read would fault the same way (DDI0487 D24.2.40). No leaf of stage 2 forbids reads.
 */
export const atomicWnR = (status: string): boolean => status === 'permission';

/** Needs write permission at stage 2. DC IVAC does too (DDI0487 D7.5.9.3), see `needsWrite` of the walk. */
export const isWrite = (kind: AccessKind): boolean => WRITES.has(kind);

/** Cache maintenance by address: reaches no device, may still fault at stage 2. */
export const isCacheMaintenance = (kind: AccessKind): boolean => MAINTENANCE.has(kind);

/** Its faults are instruction aborts (EC 0x20, 0x21): a fetch, or a walk for one. */
export const isInstructionAbort = ({ kind, walk }: Access): boolean =>
  kind === 'fetch' || walk?.purpose === 'fetch';

/** LDAR, LDAPR: everything behind it in the program is behind it for every observer (B2.3). */
export const isAcquire = ({ kind, syndrome }: Access): boolean => kind === 'read' && syndrome?.ar === true;

/** STLR: everything before it in the program is before it for every observer (B2.3). */
export const isRelease = ({ kind, syndrome }: Access): boolean => kind === 'write' && syndrome?.ar === true;

/** An FP or vector register, or several. */
export const isSimd = ({ kind, size, element }: Access): boolean =>
  element !== undefined || (size === 16 && (kind === 'read' || kind === 'write'));

/** A hardware walk of the guest's stage-1 tables; its fault has ESR.S1PTW set. */
export const isStage1Walk = (kind: AccessKind): boolean => kind === 's1-walk' || kind === 's1-walk-update';
