// Guest programs: generators that yield what a vCPU does next and get back what came of it, so that a guest can act
// on what it read or on an abort.

import type { AccessKind } from '../arch/access.ts';
import type { Barrier } from './events.ts';
import type { BurstOptions, LoadOptions, PairOptions, StoreOptions, VectorOptions } from './instruction.ts';
import { accessOf, ahead, fetchOf, LINE, loadOf, storeOf, vectorsOf } from './instruction.ts';
import type { Stage1 } from './issue.ts';
import { issue } from './issue.ts';
import type { GuestAddress, Mappable, Mapping, Stage1Attribute } from './mapping.ts';
import { createVaSpace, normalWriteBack, physicalMapping, walkedAddress } from './mapping.ts';
import type { GuestOp, OpResult, Steps, Vectors } from './operations.ts';
import type { TablePlan } from './table-plan.ts';

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
  /** Tells everyone who waits for the signal to go on. */
  raise(signal: Signal): Steps<OpResult>;
  /** Goes on once the signal is raised. */
  await(signal: Signal): Steps<OpResult>;
}

/** Bytes of a stage-1 descriptor. */
const DOUBLEWORD = 8;

/**
 * The vCPU that a program is given.
 * @param ram the guest's RAM
 * @param mapAs what every ioremap() maps as, whatever it is told; null for what it is told
 */
export function createCpu(index: number, ram: Mappable, mapAs: Stage1Attribute | null = null): Cpu {
  const space = createVaSpace();
  const linear = space.map(ram, { ...normalWriteBack, executable: true });
  // Whether stage 1 is on changes only between the accesses of this program.
  const stage1: Stage1 = { on: true, tables: null, own: null, bigEndian: false };
  const simple = (kind: AccessKind, size: number) => (at: GuestAddress) =>
    issue(stage1, accessOf(at, kind, size, { cm: kind !== 'dc-zva', wnr: true }));
  const barrier = (name: Barrier) => () => one({ kind: 'barrier', barrier: name });
  return {
    index,
    ioremap: (target, attribute) => space.map(target, mapAs ?? attribute),
    physical: physicalMapping,
    useTables: (plan) => useTables(stage1, plan),
    va: walkedAddress,
    setEndian(order) {
      stage1.bigEndian = order === 'big';
    },
    ram: (offset) => linear.at(offset),
    load: (at, options = {}) => issue(stage1, loadOf(at, options)),
    store: (at, options = {}) => issue(stage1, storeOf(at, options)),
    loadVectors: (at, options = {}) => issue(stage1, vectorsOf(at, 'read', options)),
    storeVectors: (at, options = {}) => issue(stage1, vectorsOf(at, 'write', options)),
    loadBurst: (at, options) => loadBurst(stage1, at, options),
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
    vectors: (vectors) => one({ kind: 'vectors', vectors }),
    maskInterrupts: () => one({ kind: 'mask', masked: true }),
    unmaskInterrupts: () => one({ kind: 'mask', masked: false }),
    wfi: () => one({ kind: 'wfi' }),
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

function* loadBurst(
  stage1: Stage1,
  at: GuestAddress,
  { count, size = 8 }: Omit<BurstOptions, 'value'>,
): Steps<OpResult> {
  let result: OpResult = { value: null, aborted: null, skipped: null };
  for (let index = 0; index < count && result.aborted === null; index++) {
    const left = (count - 1 - index) * size;
    result = yield* issue(stage1, { ...loadOf(ahead(at, index * size), { size }), ahead: left });
  }
  return result;
}
