// An access that stage 2 led to a device: what of it leaves the processor, when, and whether the program
// waits. The combined memory type decides (DDI0487 B2.10; permits.ts): gathered stores wait in the store
// buffer, others go at once.

import type { Access } from '../arch/access.ts';
import { isCacheMaintenance, isWrite } from '../arch/access.ts';
import type { MemoryType } from '../arch/memory-type.ts';
import { permits } from '../arch/permits.ts';
import type { Transaction } from '../arch/transaction.ts';
import { bufferStore, buffersStore } from './buffered-store.ts';
import type { Choose } from './choices.ts';
import { TYPICAL } from './choices.ts';
import { drain, drainEarly } from './drain.ts';
import { completed, issued } from './emit.ts';
import type { GuestEvent, Translation } from './events.ts';
import { extentOf, transactionsOf } from './pieces.ts';
import { registerValue } from './register-value.ts';
import type { VcpuState } from './state.ts';
import type { BufferedStore } from './store-buffer.ts';
import { forwardable, overlapping } from './store-buffer.ts';

/** @param id number of the vCPU's slice @param choose who takes the choices that the type leaves */
export function accessDevice(
  vcpu: VcpuState,
  id: number,
  access: Access,
  translation: Translation,
  choose: Choose = TYPICAL,
): GuestEvent[] {
  if (isCacheMaintenance(access.kind)) return [completed(vcpu, id, access, { translation })];
  const memoryType = translation.combined.type;
  if (buffersStore(access, memoryType, choose)) return bufferStore(vcpu, id, access, translation, choose);
  const extent = extentOf(access, translation.pa, memoryType);
  const forwarded = forwardedValue(vcpu, access, extent, choose);
  if (forwarded !== null) {
    const value = registerValue(access, forwarded);
    return [completed(vcpu, id, access, { translation, value })];
  }
  const early = drainEarly(vcpu, id, vcpu.storeBuffer, choose);
  const { pa, size } = extent;
  const inTheWay = overlapping(early.buffer, pa, size);
  const drained = [...early.events, ...drain(vcpu, id, inTheWay, 'overlapping-access', choose)];
  const waits = waitsForAnswer(access, memoryType);
  if (!waits) {
    const writes = transactionsOf(access, translation.pa, memoryType, waits).map((transaction) =>
      issued(vcpu, id, transaction, 'not-gathered'),
    );
    return [...drained, ...writes, completed(vcpu, id, access, { translation })];
  }
  const translated: GuestEvent = {
    type: 'access-translated',
    vm: vcpu.vm,
    vcpu: id,
    access: access.id,
    translation,
  };
  // The transactions follow once this event is heard: behind what the drained writes do to the device.
  return [...drained, translated];
}

/** What the store buffer holds of a load, if somebody chose to answer from there and the type permits it. */
function forwardedValue(
  vcpu: VcpuState,
  access: Access,
  { pa, size, memoryType }: BufferedStore,
  choose: Choose,
): bigint | null {
  if (choose === TYPICAL || (access.kind !== 'read' && access.kind !== 'read-pair')) return null;
  // A barrier empties the buffer, so that what is in it has none between.
  if (permits(memoryType).storeBufferForwarding.value === 'no') return null;
  const value = forwardable(vcpu.storeBuffer, pa, size);
  return value !== null && choose('forward', 2) === 1 ? value : null;
}

/** Loads wait for data, nE stores for the endpoint, exclusives for their result, walks for the descriptor. */
function waitsForAnswer(access: Access, memoryType: MemoryType): boolean {
  if (!isWrite(access.kind) || access.kind === 'exclusive-store') return true;
  return !permits(memoryType).earlyWriteAcknowledgement.value;
}

/**
 * The next transaction of an access that waits, or its end after the last answer. The two of a pair go one
 * after the other.
 */
export function continueAccess(vcpu: VcpuState, id: number): GuestEvent[] {
  const { pending: access, waiting } = vcpu;
  if (access === null || waiting === null) return [];
  const { translation, answers } = waiting;
  const transactions = transactionsOf(access, translation.pa, translation.combined.type, true);
  const left = transactions[answers.length];
  if (left !== undefined) return [issued(vcpu, id, left, 'not-gathered')];
  const value = isWrite(access.kind) ? null : registerValue(access, joined(transactions, answers));
  return [completed(vcpu, id, access, { translation, value })];
}

/** The bytes of all answers, the lowest address lowest; unknown if one of them is. */
function joined(transactions: readonly Transaction[], answers: readonly (bigint | null)[]): bigint | null {
  let value = 0n;
  let shift = 0n;
  for (const [index, { size }] of transactions.entries()) {
    const answer = answers[index];
    if (answer === undefined || answer === null) return null;
    value |= answer << shift;
    shift += BigInt(size * 8);
  }
  return value;
}
