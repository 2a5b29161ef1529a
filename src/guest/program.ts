// Guest programs: generators that yield what a vCPU does next and get back what came of it, so that a guest can act
// on what it read or on an abort. Instruction syndromes follow the form of the instruction (DDI0487 D24.2.40, ISV).

import type { Access, AccessKind } from '../arch/access.ts';
import { isWrite } from '../arch/access.ts';
import type { InstructionSyndrome } from '../arch/esr.ts';
import { NO_SYNDROME } from '../arch/esr.ts';
import type { Barrier } from './events.ts';
import type { Stage1 } from './issue.ts';
import { issue } from './issue.ts';
import type { GuestAddress, Mappable, Mapping, Stage1Attribute } from './mapping.ts';
import { createVaSpace, normalWriteBack, physicalMapping, walkedAddress } from './mapping.ts';
import type { GuestOp, OpResult, Steps } from './operations.ts';
import type { TablePlan } from './table-plan.ts';

export type GuestProgram = (cpu: Cpu) => Steps<void>;

/** Something that programs of guests and of the VMM can wait for; it stays raised. */
export interface Signal {
  readonly signal: string;
}

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
  /** Number of the general register, 0 to 31; 31 is XZR. 0 unless given. */
  readonly register?: number;
}

export interface StoreOptions extends Omit<LoadOptions, 'signed' | 'registerBits'> {
  /** What is stored, unsigned; unknown to device and reports unless given. XZR stores 0. */
  readonly value?: bigint;
}

export interface PairOptions {
  /** Bytes of both registers: two W, X or Q registers. 16 unless given. */
  readonly size?: 8 | 16 | 32;
  readonly value?: bigint;
}

export interface BurstOptions {
  /** How many stores, each behind the one before. */
  readonly count: number;
  /** Bytes of one store; 8 unless given. */
  readonly size?: 1 | 2 | 4 | 8 | 16;
  /** Stored by all of them. */
  readonly value?: bigint;
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
  /** Tells everyone who waits for the signal to go on. */
  raise(signal: Signal): Steps<OpResult>;
  /** Goes on once the signal is raised. */
  await(signal: Signal): Steps<OpResult>;
}

/** Block of DC ZVA (DCZID_EL0.BS = 4) and line of the other DC and IC operations (CTR_EL0), in bytes. */
const LINE = 64;
const INSTRUCTION = 4;
const DOUBLEWORD = 8;
const XZR = 31;
/** Smallest page of stage 1: an access that crosses it has two translations. */
const PAGE = 4096;

/** The vCPU that a program is given. @param ram the guest's RAM */
export function createCpu(index: number, ram: Mappable): Cpu {
  const space = createVaSpace();
  const linear = space.map(ram, { ...normalWriteBack, executable: true });
  // Whether stage 1 is on changes only between the accesses of this program.
  const stage1: Stage1 = { on: true, tables: null, own: null, bigEndian: false };
  const simple = (kind: AccessKind, size: number) => (at: GuestAddress) =>
    issue(stage1, accessOf(at, kind, size, { cm: kind !== 'dc-zva', wnr: true }));
  const barrier = (name: Barrier) => () => one({ kind: 'barrier', barrier: name });
  return {
    index,
    ioremap: (target, attribute) => space.map(target, attribute),
    physical: physicalMapping,
    useTables: (plan) => useTables(stage1, plan),
    va: walkedAddress,
    setEndian(order) {
      stage1.bigEndian = order === 'big';
    },
    ram: (offset) => linear.at(offset),
    load: (at, options = {}) => issue(stage1, loadOf(at, options)),
    store: (at, options = {}) => issue(stage1, storeOf(at, options)),
    loadPair: (at, { size = 16 } = {}) => issue(stage1, accessOf(at, 'read-pair', size, {})),
    storePair: (at, { size = 16, value } = {}) =>
      issue(stage1, accessOf(at, 'write-pair', size, { wnr: true }, value)),
    loadExclusive: (at, { size = 8 } = {}) => issue(stage1, accessOf(at, 'exclusive-load', size, {})),
    storeExclusive: (at, { size = 8, value } = {}) =>
      issue(stage1, accessOf(at, 'exclusive-store', size, { wnr: true }, value)),
    fetch: (at) => issue(stage1, fetchOf(at)),
    prefetch: (at) => issue(stage1, accessOf(at, 'prefetch', LINE, {})),
    dcZva: simple('dc-zva', LINE),
    dcCvac: simple('dc-cvac', LINE),
    dcCvau: simple('dc-cvau', LINE),
    dcCivac: simple('dc-civac', LINE),
    dcIvac: simple('dc-ivac', LINE),
    icIvau: simple('ic-ivau', LINE),
    burst: (at, options) => burst(stage1, at, options),
    dmb: barrier('DMB'),
    dsb: barrier('DSB'),
    dgh: barrier('DGH'),
    isb: barrier('ISB'),
    raise: ({ signal }) => one({ kind: 'raise', signal }),
    await: ({ signal }) => one({ kind: 'await', signal }),
  };
}

function* one(op: GuestOp): Steps<OpResult> {
  return yield op;
}

function* useTables(stage1: Stage1, { tables, stores }: TablePlan): Steps<OpResult> {
  let result: OpResult = { value: null, aborted: null, skipped: null };
  for (const { ipa, value } of stores) {
    const at = { va: ipa as number as GuestAddress['va'], ipa, stage1: null, room: DOUBLEWORD };
    result = yield* issue(stage1, storeOf(at, { size: DOUBLEWORD, value }));
    if (result.aborted !== null || result.skipped !== null) return result;
  }
  stage1.own = tables;
  return result;
}

function* burst(stage1: Stage1, at: GuestAddress, options: BurstOptions): Steps<OpResult> {
  const { count, size = 8, value } = options;
  let result: OpResult = { value: null, aborted: null, skipped: null };
  for (let index = 0; index < count && result.aborted === null; index++) {
    const from = ahead(at, index * size);
    result = yield* issue(stage1, storeOf(from, value === undefined ? { size } : { size, value }));
  }
  return result;
}

function ahead(at: GuestAddress, bytes: number): GuestAddress {
  return {
    va: (at.va + bytes) as GuestAddress['va'],
    ipa: at.ipa === null ? null : ((at.ipa + bytes) as GuestAddress['ipa']),
    stage1: at.stage1,
    room: at.room - bytes,
  };
}

function loadOf(at: GuestAddress, options: LoadOptions): Omit<Access, 'id'> {
  const { size = 8 } = options;
  return accessOf(at, 'read', size, { ...syndromeOf(size, options), wnr: false });
}

function storeOf(at: GuestAddress, options: StoreOptions): Omit<Access, 'id'> {
  const { size = 8, value = options.register === XZR ? 0n : undefined } = options;
  return accessOf(at, 'write', size, { ...syndromeOf(size, options), wnr: true }, value);
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
function fetchOf(at: GuestAddress): Omit<Access, 'id'> {
  const access = accessOf(at, 'fetch', INSTRUCTION, {});
  return { ...access, syndrome: null, ipa: at.stage1?.executable === false ? null : access.ipa };
}

function accessOf(
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
