// An access that stage 2 led to a device: what of it leaves the processor, when, and whether the program
// waits. The combined memory type decides (DDI0487 B2.10; permits.ts): gathered stores wait in the store
// buffer, others go at once.

import type { Access } from '../arch/access.ts';
import { isAcquire, isCacheMaintenance, isWrite } from '../arch/access.ts';
import type { MemoryType } from '../arch/memory-type.ts';
import { permits } from '../arch/permits.ts';
import type { PaRange, Transaction } from '../arch/transaction.ts';
import { bytesOfValue, valueOfBytes } from '../arch/transaction.ts';
import { continueAtomic } from './atomic-access.ts';
import { bufferStore, buffersStore } from './buffered-store.ts';
import type { Choose } from './choices.ts';
import { TYPICAL } from './choices.ts';
import { drain, drainEarly } from './drain.ts';
import { completed, issued } from './emit.ts';
import type { GuestEvent, Translation } from './events.ts';
import { heldValue } from './held-reads.ts';
import { extentOf, transactionsOf } from './pieces.ts';
import { planOf } from './plan.ts';
import { registerValue } from './register-value.ts';
import type { VcpuState } from './state.ts';
import type { BufferedStore, StoreBuffer } from './store-buffer.ts';
import { forwardable, keepsOrder, overlapping, withPredecessors } from './store-buffer.ts';

/** What lies around an access that reached a device. */
export interface Route {
  readonly translation: Translation;
  /** The peripheral: the region at the interconnect. */
  readonly peripheral: PaRange;
  /** What of it the stage-2 leaf covers. */
  readonly bounds: PaRange;
  /** Somebody else could see in which order stores to different places arrive. */
  readonly isObserved: boolean;
}

/** @param id number of the vCPU's slice @param choose who takes the choices that the type leaves */
export function accessDevice(
  vcpu: VcpuState,
  id: number,
  access: Access,
  route: Route,
  choose: Choose = TYPICAL,
): GuestEvent[] {
  const { translation, bounds } = route;
  const { pa, combined } = translation;
  if (isCacheMaintenance(access.kind)) return [completed(vcpu, id, access, { translation })];
  const plan = choose === TYPICAL ? null : planOf(access, pa, combined.type, bounds, choose);
  if (buffersStore(access, combined.type, route.isObserved, choose)) {
    return bufferStore(vcpu, id, access, translation, plan, choose);
  }
  const answered = answeredWithin(vcpu, id, access, translation, choose);
  if (answered !== null) return [answered];
  const early = drainEarly(vcpu, id, vcpu.storeBuffer, choose);
  const drained = [...early.events, ...makeWay(vcpu, id, early.buffer, access, route, choose)];
  if (waitsForAnswer(access, combined.type)) {
    const event = {
      type: 'access-translated',
      vm: vcpu.vm,
      vcpu: id,
      access: access.id,
      translation,
    } as const;
    // The transactions follow once this event is heard: behind what the drained writes do to the device.
    return [...drained, plan === null ? event : { ...event, accessPlan: plan }];
  }
  const writes = transactionsOf(access, pa, combined.type, false, plan?.pieces);
  return [
    ...drained,
    ...writes.map((write) => issued(vcpu, id, write, 'not-gathered')),
    completed(vcpu, id, access, { translation }),
  ];
}

/** Stores in the buffer that have to arrive before an access that leaves now. */
function makeWay(
  vcpu: VcpuState,
  id: number,
  buffer: StoreBuffer,
  access: Access,
  { translation, peripheral }: Route,
  choose: Choose,
): GuestEvent[] {
  const { pa, size, memoryType } = extentOf(access, translation.pa, translation.combined.type);
  const same = overlapping(buffer, pa, size);
  const isOrdered = !permits(memoryType).reordering.value;
  const before = buffer.lines.filter(
    (line) =>
      same.includes(line) ||
      (isOrdered && keepsOrder(line) && line.pa >= peripheral.start && line.pa < peripheral.end),
  );
  const because = same.length > 0 ? 'overlapping-access' : 'program-order';
  return drain(vcpu, id, withPredecessors(buffer, before), because, choose);
}

/** The end of a load that somebody chose to answer within the processor, where its type permits that. */
function answeredWithin(
  vcpu: VcpuState,
  id: number,
  access: Access,
  translation: Translation,
  choose: Choose,
): GuestEvent | null {
  if (choose === TYPICAL || (access.kind !== 'read' && access.kind !== 'read-pair')) return null;
  const extent = extentOf(access, translation.pa, translation.combined.type);
  const end = (value: bigint, because: 'store-buffer-forwards' | 'earlier-read-answers'): GuestEvent =>
    completed(vcpu, id, access, { translation, value: registerValue(access, value), because });
  const stored = storedValue(vcpu, access, extent);
  if (stored !== null && choose('forward', 2) === 1) return end(stored, 'store-buffer-forwards');
  const { heldReads } = vcpu;
  if (heldReads.length === 0 || isAcquire(access) || access.dependent === true) return null;
  const held = heldValue(heldReads, extent.pa, extent.size, extent.memoryType);
  return held !== null && choose('earlier-read', 2) === 1 ? end(held, 'earlier-read-answers') : null;
}

/** A barrier empties the buffer, so that what is in it has none between. An LDAR waits for the stores before it. */
function storedValue(
  vcpu: VcpuState,
  access: Access,
  { pa, size, memoryType }: BufferedStore,
): bigint | null {
  if (isAcquire(access) || permits(memoryType).storeBufferForwarding.value === 'no') return null;
  return forwardable(vcpu.storeBuffer, pa, size);
}

/** Loads and atomics wait for data, nE stores for the endpoint, exclusives for their result, walks for descriptors. */
function waitsForAnswer(access: Access, memoryType: MemoryType): boolean {
  if (!isWrite(access.kind) || access.kind === 'exclusive-store' || access.kind === 'atomic') return true;
  return !permits(memoryType).earlyWriteAcknowledgement.value;
}

/**
 * The next transaction of an access that waits, or its end after the last answer. The two of a pair go one
 * after the other.
 */
export function continueAccess(vcpu: VcpuState, id: number): GuestEvent[] {
  const { pending: access, waiting } = vcpu;
  if (access === null || waiting === null) return [];
  const { translation, answers, plan } = waiting;
  const { pa, combined } = translation;
  if (access.kind === 'atomic') return continueAtomic(vcpu, id, access, translation, answers);
  const transactions = transactionsOf(access, pa, combined.type, true, plan?.pieces);
  const left = transactions[answers.length];
  if (left !== undefined) return [issued(vcpu, id, left, 'not-gathered')];
  const value = isWrite(access.kind)
    ? null
    : registerValue(access, joined(access, pa, transactions, answers));
  return [completed(vcpu, id, access, { translation, value })];
}

/** What the load asked for of all answers; unknown if one of them is. A byte read twice counts as read last. */
function joined(
  { size }: Access,
  pa: number,
  transactions: readonly Transaction[],
  answers: readonly (bigint | null)[],
): bigint | null {
  const bytes = Array.from({ length: size }, () => 0);
  for (const [index, transaction] of transactions.entries()) {
    const answer = answers[index];
    if (answer === undefined || answer === null) return null;
    const from = transaction.pa - pa;
    for (const [at, byte] of bytesOfValue(answer, transaction.size).entries()) {
      if (from + at >= 0 && from + at < size) bytes[from + at] = byte;
    }
  }
  return valueOfBytes(bytes);
}
