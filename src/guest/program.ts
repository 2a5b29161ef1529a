// Guest programs: generators that yield what a vCPU does next and get back what came of it, so that a guest can act
// on what it read or on an abort.

import type { AccessKind } from '../arch/access.ts';
import type { Barrier } from './events.ts';
import type { BurstOptions } from './instruction.ts';
import { accessOf, ahead, atomicOf, fetchOf, LINE, loadOf, storeOf, vectorsOf } from './instruction.ts';
import type { Stage1 } from './issue.ts';
import { issue } from './issue.ts';
import type { GuestAddress, Mappable, Stage1Attribute } from './mapping.ts';
import { createVaSpace, normalWriteBack, physicalMapping, walkedAddress } from './mapping.ts';
import type { Cpu, GuestOp, OpResult, Steps } from './operations.ts';
import type { TablePlan } from './table-plan.ts';

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
    atomic: (at, options) => issue(stage1, atomicOf(at, options)),
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
    setTimer: ({ after = null, enabled = true, masked = false }) =>
      one({ kind: 'timer', after, enabled, masked }),
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
