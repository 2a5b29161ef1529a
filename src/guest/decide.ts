// What a vCPU does: issues its access through stage 1 and stage 2, retries after the host mapped, and ends it
// when it completed, was emulated or aborted. Pure: from the vCPU's slice and its stage 2 to the events that
// follow.

import type { Access } from '../arch/access.ts';
import { isAcquire, isRelease, isWrite } from '../arch/access.ts';
import type { Ipa, Pa } from '../arch/addresses.ts';
import { permits } from '../arch/permits.ts';
import type { EndpointRange, PaRange } from '../arch/transaction.ts';
import { rangeAt } from '../arch/transaction.ts';
import type { Choose } from './choices.ts';
import { TYPICAL } from './choices.ts';
import { accessDevice, continueAccess } from './device-access.ts';
import { drain, drainAll } from './drain.ts';
import { completed, issued } from './emit.ts';
import type { Barrier, GuestEvent, Translation } from './events.ts';
import type { TransactionAnswer } from './evolve.ts';
import { externalAbort } from './external-abort.ts';
import type { Stage2Regime } from './mmu.ts';
import { translateStage2 } from './mmu.ts';
import { extentOf, transactionsOf } from './pieces.ts';
import type { RamContents } from './ram.ts';
import { accessRam } from './ram.ts';
import { makesNoAccess, stage1Refusal, unsupportedAtomic, unsupportedExclusive } from './refusals.ts';
import { registerValue } from './register-value.ts';
import { boundsOf, speculativeRead } from './speculation.ts';
import type { VcpuState } from './state.ts';
import { overdue, overlapping, withoutLines } from './store-buffer.ts';
import { beginWalk, walked, walkUnderWay } from './walk.ts';

/** What a vCPU reacts to besides its own events: words of the host, and answers of devices and the VMM. */
export type GuestInput =
  | Extract<
      GuestEvent,
      {
        type:
          | 'access-issued'
          | 'access-translated'
          | 'barrier-executed'
          | 'program-ended'
          | 'bus-error-reported'
          | 'stage1-walk-stepped'
          | 'stage1-descriptor-read'
          | 'stage1-descriptor-updated'
          | 'stage1-translated';
      }
    >
  | { readonly type: 'guest-reentered' | 'instruction-skipped'; readonly vm: number; readonly vcpu: number }
  | { readonly type: 'run-failed'; readonly vm: number; readonly vcpu: number }
  | {
      readonly type: 'mmio-answered';
      readonly vm: number;
      readonly vcpu: number;
      readonly value: bigint | null;
    }
  | TransactionAnswer;

export const GUEST_HEARS = [
  'access-issued',
  'access-translated',
  'barrier-executed',
  'program-ended',
  'stage1-walk-stepped',
  'stage1-descriptor-read',
  'stage1-descriptor-updated',
  'stage1-translated',
  'guest-reentered',
  'instruction-skipped',
  'run-failed',
  'mmio-answered',
  'transaction-answered',
  'bus-error-reported',
] as const;

/** What lies around a vCPU: its stage 2, and the physical addresses at which devices are. */
export interface GuestRegime extends Stage2Regime {
  /** Sorted, without overlap; everything else is RAM, where an access completes at once. */
  readonly interconnect: readonly EndpointRange[];
  /** Somebody else could see in which order stores to different places arrive; nobody if absent. */
  readonly isObserved?: boolean;
  /** The host extends the sign of an emulated load; yes unless given. */
  readonly mmioSignExtends?: boolean;
  /** What RAM holds; null where nobody keeps it. */
  readonly ram?: RamContents | null;
  /** Who takes the choices that memory types leave; a typical processor if absent. */
  readonly choose?: Choose;
}

/** @param id number of the vCPU's slice */
export function decideGuest(
  vcpu: VcpuState,
  id: number,
  regime: GuestRegime,
  input: GuestInput,
): GuestEvent[] {
  const { choose = TYPICAL } = regime;
  switch (input.type) {
    case 'barrier-executed':
      return barrier(vcpu, id, input.barrier, choose);
    case 'program-ended':
    case 'run-failed':
      return drainAll(vcpu, id, 'finite-time', choose);
    default:
      return vcpu.pending === null ? [] : goOn(vcpu, id, regime, input, vcpu.pending);
  }
}

function goOn(
  vcpu: VcpuState,
  id: number,
  regime: GuestRegime,
  input: Exclude<GuestInput, { type: 'barrier-executed' | 'program-ended' | 'run-failed' }>,
  access: Access,
): GuestEvent[] {
  switch (input.type) {
    case 'access-issued':
      return inOrder(vcpu, id, regime, access);
    case 'bus-error-reported':
      return input.access === access.id ? externalAbort(vcpu, id, access) : [];
    case 'stage1-translated':
      return issue(vcpu, id, regime, access);
    case 'stage1-walk-stepped':
      return access.ipa === null ? [] : throughStage2(vcpu, id, regime, access, access.ipa);
    case 'stage1-descriptor-read':
    case 'stage1-descriptor-updated':
      return walked(vcpu, id, input, regime.cpu.hardwareAccessFlag);
    case 'guest-reentered':
      return retry(vcpu, id, regime, access);
    case 'instruction-skipped':
      return [completed(vcpu, id, access, {})];
    case 'mmio-answered':
      return [
        completed(vcpu, id, access, { value: registerValue(access, input.value, regime.mmioSignExtends) }),
      ];
    case 'access-translated':
    case 'transaction-answered':
      return input.access === access.id ? continueAccess(vcpu, id) : [];
  }
}

/** DMB and DSB drain; DGH only says that merging across it is not worth waiting for (DDI0487 C6.2 DGH). */
function barrier(vcpu: VcpuState, id: number, kind: Barrier, choose: Choose): GuestEvent[] {
  if (kind === 'DGH') {
    if (vcpu.storeBuffer.lines.length === 0 || choose('dgh', 2) === 1) return [];
    return [{ type: 'store-lines-closed', vm: vcpu.vm, vcpu: id }];
  }
  // A branch and an ISB order the loads behind them, too (B2.3); which branches a program takes is not known.
  const discarded = discardReads(vcpu, id);
  return kind === 'ISB' ? discarded : [...discarded, ...drainAll(vcpu, id, 'barrier', choose)];
}

/** No load to come is answered by a read that was made until now. */
const discardReads = (vcpu: VcpuState, id: number): GuestEvent[] =>
  vcpu.heldReads.length === 0 ? [] : [{ type: 'reads-discarded', vm: vcpu.vm, vcpu: id }];

/** What the access finds done before it: stores that waited long enough, all of them before a store-release. */
function inOrder(vcpu: VcpuState, id: number, regime: GuestRegime, access: Access): GuestEvent[] {
  const { choose } = regime;
  const { storeBuffer, heldReads } = vcpu;
  const isOrdered = isAcquire(access) || access.kind === 'exclusive-load';
  const discarded = isOrdered ? discardReads(vcpu, id) : [];
  const due = isRelease(access) ? storeBuffer.lines : overdue(storeBuffer, access.id);
  if (due.length === 0 && discarded.length === 0) return issue(vcpu, id, regime, access);
  const drained = drain(vcpu, id, due, isRelease(access) ? 'release' : 'finite-time', choose);
  const lines = due.map((line) => line.id);
  const after: VcpuState = {
    ...vcpu,
    storeBuffer: withoutLines(storeBuffer, lines),
    heldReads: isOrdered ? [] : heldReads,
  };
  return [...discarded, ...drained, ...issue(after, id, regime, access)];
}

function issue(vcpu: VcpuState, id: number, regime: GuestRegime, access: Access): GuestEvent[] {
  if (access.byVa === true) {
    const nothing = makesNoAccess(vcpu, regime, access);
    if (nothing !== null) return [completed(vcpu, id, access, { because: nothing })];
    return beginWalk(vcpu, id, access);
  }
  // What makes no access cannot be refused (measured rules 7 and 37), unless stage 1 is known to have refused it.
  const nothing = makesNoAccess(vcpu, regime, access);
  if (nothing !== null && access.ipa !== null) return [completed(vcpu, id, access, { because: nothing })];
  const refusal = stage1Refusal(vcpu, regime, access);
  if (refusal !== null) {
    if (access.kind === 'prefetch')
      return [completed(vcpu, id, access, { because: 'prefetch-never-faults' })];
    return [{ type: 'stage1-faulted', vm: vcpu.vm, vcpu: id, access: access.id, far: access.va, ...refusal }];
  }
  if (access.kind === 'prefetch') return prefetch(vcpu, id, regime, access);
  return access.ipa === null ? [] : throughStage2(vcpu, id, regime, access, access.ipa);
}

/** A retried STXR finds its monitor cleared by the abort: it makes no access (measured rule 7). */
function retry(vcpu: VcpuState, id: number, regime: GuestRegime, access: Access): GuestEvent[] {
  if (access.kind === 'exclusive-store') return [completed(vcpu, id, access, { because: 'monitor-clear' })];
  const walk = walkUnderWay(vcpu);
  if (walk !== null) {
    const exclusive = walk.of.kind === 'exclusive-store';
    return exclusive
      ? [completed(vcpu, id, walk.of, { because: 'monitor-clear' })]
      : beginWalk(vcpu, id, walk.of);
  }
  return access.ipa === null ? [] : throughStage2(vcpu, id, regime, access, access.ipa);
}

function throughStage2(
  vcpu: VcpuState,
  id: number,
  regime: GuestRegime,
  access: Access,
  address: Ipa,
): GuestEvent[] {
  const result = translateStage2(regime, vcpu.stage1, access, address);
  const { vm } = vcpu;
  if (result.kind === 'faulted') {
    const walk = walkUnderWay(vcpu);
    if (walk?.of.kind === 'prefetch')
      return [completed(vcpu, id, walk.of, { because: 'prefetch-never-faults' })];
    return [{ type: 'stage2-faulted', vm, vcpu: id, access, attempt: vcpu.attempts, fault: result.fault }];
  }
  const { pa, level, combined } = result;
  const translation = { pa, level, combined };
  const route = routeOf(regime, pa);
  const done =
    route === undefined
      ? accessRam(vcpu, id, regime.ram ?? null, access, translation)
      : (unsupportedExclusive(vcpu, id, regime, access, translation, address) ??
        unsupportedAtomic(vcpu, id, regime, access, translation, address, route) ??
        toDevice(vcpu, id, regime, access, translation, route));
  return result.setsAccessFlag ? [{ type: 'access-flag-set', vm, vcpu: id, ipa: address }, ...done] : done;
}

const routeOf = ({ interconnect }: GuestRegime, pa: Pa): EndpointRange | undefined =>
  interconnect.length === 0 ? undefined : rangeAt(interconnect, pa);

/** To a device: what somebody chose to read before it, then the access itself. */
function toDevice(
  vcpu: VcpuState,
  id: number,
  { choose = TYPICAL, geometry, isObserved = false }: GuestRegime,
  access: Access,
  translation: Translation,
  peripheral: PaRange,
): GuestEvent[] {
  const bounds = boundsOf(translation, geometry.granule, peripheral);
  const read = isAcquire(access) ? undefined : speculativeRead(translation, bounds, choose);
  const route = { translation, peripheral, bounds, isObserved };
  const events = accessDevice(vcpu, id, access, route, choose);
  if (read === undefined) return events;
  // What this step may bring to the device right behind the read makes its answer old before it comes.
  const { pa, size } = extentOf(access, translation.pa, translation.combined.type);
  const isOld =
    (isWrite(access.kind) && pa < read.pa + read.size && read.pa < pa + size) ||
    overlapping(vcpu.storeBuffer, read.pa, read.size).length > 0;
  const { keeps: _keeps, ...unkept } = read;
  return [issued(vcpu, id, isOld ? unkept : read, 'speculative-read'), ...events];
}

/** PRFM takes no fault; where the combined type permits speculation it reads (DDI0487 B2.10.1, B2.10.2). */
function prefetch(vcpu: VcpuState, id: number, regime: GuestRegime, access: Access): GuestEvent[] {
  const done = completed(vcpu, id, access, { because: 'prefetch-never-faults' });
  if (access.ipa === null || regime.interconnect.length === 0) return [done];
  const result = translateStage2(regime, vcpu.stage1, access, access.ipa);
  if (result.kind === 'faulted' || routeOf(regime, result.pa) === undefined) return [done];
  const { type } = result.combined;
  const { choose = TYPICAL } = regime;
  if (!permits(type).speculativeReads.value || choose('prefetch', 2) === 1) return [done];
  const reads = transactionsOf(access, result.pa, type, false);
  const sent = choose === TYPICAL ? reads : reads.map((read) => ({ ...read, keeps: true as const }));
  return [...sent.map((read) => issued(vcpu, id, read, 'speculative-read')), done];
}
