// Loads and stores as instructions form them: which bytes, and the instruction syndrome that goes with the form
// (DDI0487 D24.2.40, ISV). What a program says of an access becomes the access here.

import type { Access, AccessKind } from '../arch/access.ts';
import { isWrite } from '../arch/access.ts';
import type { AtomicOp } from '../arch/atomic.ts';
import type { InstructionSyndrome } from '../arch/esr.ts';
import { NO_SYNDROME } from '../arch/esr.ts';
import type { GuestAddress } from './mapping.ts';

/**
 * Form of a load or store. `register`: one general register, ISV = 1. `acquire-release`: LDAR, STLR, ISV = 1.
 * Without a syndrome (ISV = 0): `post-index`, `pre-index` (writeback) and `simd` (an FP or vector register).
 */
export type InstructionForm = 'register' | 'acquire-release' | 'post-index' | 'pre-index' | 'simd';

export interface LoadOptions {
  /** Bytes; 16 is one vector register. 8 unless given. */
  readonly size?: 1 | 2 | 4 | 8 | 16;
  readonly form?: InstructionForm;
  /** LDRSB, LDRSH, LDRSW: sign-extended to the width of the register. */
  readonly signed?: boolean;
  /** Width of the register of a signed load: 32 is Wt. 64 unless given. */
  readonly registerBits?: 32 | 64;
  /** The address was computed from what an earlier load gave: no read made before that load answers this one. */
  readonly dependent?: boolean;
  /** Number of the general register, 0 to 31; 31 is XZR. 0 unless given. */
  readonly register?: number;
}

export interface StoreOptions extends Omit<LoadOptions, 'signed' | 'registerBits' | 'dependent'> {
  /** What is stored, unsigned; unknown to device and reports unless given. XZR stores 0. */
  readonly value?: bigint;
}

export interface PairOptions {
  /** Bytes of both registers: two W, X or Q registers. 16 unless given. */
  readonly size?: 8 | 16 | 32;
  readonly value?: bigint;
}

export interface AtomicOptions {
  readonly op: AtomicOp;
  /** Bytes; 8 unless given. */
  readonly size?: 1 | 2 | 4 | 8;
  /** What is added, cleared, toggled, set or stored. */
  readonly value: bigint;
  /** Of CAS: the value for which it stores. 0 unless given. */
  readonly compare?: bigint;
}

export interface VectorOptions {
  /** How many registers of 16 bytes; 2 unless given. */
  readonly registers?: 1 | 2 | 3 | 4;
  /** Bytes of one element; 8 unless given. */
  readonly element?: 1 | 2 | 4 | 8;
}

export interface BurstOptions {
  /** How many stores or loads, each behind the one before. */
  readonly count: number;
  /** Bytes of each; 8 unless given. */
  readonly size?: 1 | 2 | 4 | 8 | 16;
  /** Stored by all of them. */
  readonly value?: bigint;
}

/** Block of DC ZVA (DCZID_EL0.BS = 4) and line of the other DC and IC operations (CTR_EL0), in bytes. */
export const LINE = 64;
const INSTRUCTION = 4;
const XZR = 31;
/** A vector register. */
const VECTOR = 16;
/** Smallest page of stage 1: an access that crosses it has two translations. */
const PAGE = 4096;

/** The address `bytes` on. */
export function ahead(at: GuestAddress, bytes: number): GuestAddress {
  return {
    va: (at.va + bytes) as GuestAddress['va'],
    ipa: at.ipa === null ? null : ((at.ipa + bytes) as GuestAddress['ipa']),
    stage1: at.stage1,
    room: at.room - bytes,
  };
}

export function loadOf(at: GuestAddress, options: LoadOptions): Omit<Access, 'id'> {
  const { size = 8, dependent } = options;
  const access = accessOf(at, 'read', size, { ...syndromeOf(size, options), wnr: false });
  return { ...access, ...elementOf(size, options), ...(dependent === true ? { dependent } : {}) };
}

export function storeOf(at: GuestAddress, options: StoreOptions): Omit<Access, 'id'> {
  const { size = 8, value = options.register === XZR ? 0n : undefined } = options;
  const access = accessOf(at, 'write', size, { ...syndromeOf(size, options), wnr: true }, value);
  return { ...access, ...elementOf(size, options) };
}

/** An FP register of 8 bytes or less; one of 16 says so by its size. */
const elementOf = (size: number, { form }: LoadOptions): Pick<Access, 'element'> =>
  form === 'simd' && size < VECTOR ? { element: size } : {};

export function vectorsOf(
  at: GuestAddress,
  kind: 'read' | 'write',
  options: VectorOptions & { readonly value?: bigint },
): Omit<Access, 'id'> {
  const { registers = 2, element = 8, value } = options;
  return { ...accessOf(at, kind, registers * VECTOR, { wnr: kind === 'write' }, value), element };
}

export function atomicOf(at: GuestAddress, options: AtomicOptions): Omit<Access, 'id'> {
  const { op, size = 8, value, compare = 0n } = options;
  const operand = BigInt.asUintN(size * 8, value);
  const expected = BigInt.asUintN(size * 8, compare);
  const atomic = op === 'CAS' ? { op, compare: expected } : { op };
  return { ...accessOf(at, 'atomic', size, { wnr: true }, operand), atomic };
}

/** ISV is 1 for one general register without writeback, acquire and release included. */
function syndromeOf(size: number, options: LoadOptions): Partial<InstructionSyndrome> {
  const { form = size === 16 ? 'simd' : 'register', register = 0 } = options;
  const { signed = false, registerBits = 64 } = options;
  if (form !== 'register' && form !== 'acquire-release') return {};
  if (size === 16)
    throw new RangeError(`a ${form} access has at most 8 bytes; 16 need form 'simd' or a pair`);
  const sas = Math.log2(size) as 0 | 1 | 2 | 3;
  return {
    isv: true,
    sas,
    sse: signed,
    srt: register,
    sf: size === 8 || (signed && registerBits === 64),
    ar: form !== 'register',
  };
}

/** A stage 1 that maps execute-never refuses the fetch itself. */
export function fetchOf(at: GuestAddress): Omit<Access, 'id'> {
  const access = accessOf(at, 'fetch', INSTRUCTION, {});
  return { ...access, syndrome: null, ipa: at.stage1?.executable === false ? null : access.ipa };
}

export function accessOf(
  at: GuestAddress,
  kind: AccessKind,
  size: number,
  syndrome: Partial<InstructionSyndrome>,
  value?: bigint,
): Omit<Access, 'id'> {
  if (size > at.room) throw new RangeError(`${kind} of ${size} bytes leaves the mapping ${at.room} bytes on`);
  const crosses = (at.va % PAGE) + size > PAGE && size < LINE;
  if (crosses) throw new RangeError(`${kind} of ${size} bytes crosses a page: issue an access for each side`);
  const { va, ipa } = at;
  return {
    kind,
    size,
    va,
    ipa,
    ...(ipa === null ? { byVa: true as const } : {}),
    stage1: at.stage1 === null ? null : { attr: at.stage1.attr, sh: at.stage1.sh },
    syndrome: { ...NO_SYNDROME, ...syndrome },
    ...(isWrite(kind) && value !== undefined ? { value } : {}),
  };
}
