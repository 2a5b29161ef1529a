// An access that stage 2 led to a device: what of it leaves the processor, when, and whether the program
// waits. The combined memory type decides (DDI0487 B2.10; permits.ts): gathered stores wait in the store
// buffer, others go at once.

import type { Access } from '../arch/access.ts';
import { isCacheMaintenance, isWrite } from '../arch/access.ts';
import type { MemoryType } from '../arch/memory-type.ts';
import { permits } from '../arch/permits.ts';
import type { Transaction } from '../arch/transaction.ts';
import { completed, issued } from './emit.ts';
import type { GuestEvent, TransactionBecause, Translation } from './events.ts';
import { extentOf, transactionsOf } from './pieces.ts';
import { registerValue } from './register-value.ts';
import type { VcpuState } from './state.ts';
import type { Line } from './store-buffer.ts';
import {
  byLine,
  isFull,
  LINES,
  lineFor,
  newestLine,
  overlapping,
  withElders,
  withoutLines,
  withStore,
  writesOf,
} from './store-buffer.ts';

/** @param id number of the vCPU's slice */
export function accessDevice(
  vcpu: VcpuState,
  id: number,
  access: Access,
  translation: Translation,
): GuestEvent[] {
  if (isCacheMaintenance(access.kind)) return [completed(vcpu, id, access, { translation })];
  const memoryType = translation.combined.type;
  if (isGathered(access, memoryType)) return bufferStore(vcpu, id, access, translation);
  const { pa, size } = extentOf(access, translation.pa, memoryType);
  const drained = drain(vcpu, id, overlapping(vcpu.storeBuffer, pa, size), 'overlapping-access');
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

/** Stores that may merge and are acknowledged early; exclusives need to know how they ended. */
function isGathered(access: Access, memoryType: MemoryType): boolean {
  if (access.kind !== 'write' && access.kind !== 'write-pair' && access.kind !== 'dc-zva') return false;
  const { gathering, earlyWriteAcknowledgement } = permits(memoryType);
  return gathering.value && earlyWriteAcknowledgement.value;
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

/**
 * A store into the buffer: a part for each line, the oldest line making room, a full line leaving at once.
 */
function bufferStore(vcpu: VcpuState, id: number, access: Access, translation: Translation): GuestEvent[] {
  const events: GuestEvent[] = [];
  let buffer = vcpu.storeBuffer;
  const leave = (lines: readonly Line[], because: TransactionBecause): void => {
    events.push(...drain(vcpu, id, lines, because));
    buffer = withoutLines(
      buffer,
      lines.map((line) => line.id),
    );
  };
  for (const part of byLine(extentOf(access, translation.pa, translation.combined.type))) {
    const oldest = buffer.lines[0];
    if (lineFor(buffer, part) === undefined && oldest !== undefined && buffer.lines.length >= LINES) {
      leave([oldest], 'store-buffer-full');
    }
    events.push({ type: 'store-buffered', vm: vcpu.vm, vcpu: id, access: access.id, store: part });
    buffer = withStore(buffer, part);
    const line = newestLine(buffer, part);
    if (line !== undefined && isFull(line)) leave(withElders(buffer, line), 'line-full');
  }
  return [...events, completed(vcpu, id, access, { translation })];
}

/** Lines leave the buffer in this order, each as its writes. */
function drain(
  vcpu: VcpuState,
  id: number,
  lines: readonly Line[],
  because: TransactionBecause,
): GuestEvent[] {
  if (lines.length === 0) return [];
  const ids = lines.map((line) => line.id);
  const writes = lines.flatMap(writesOf).map((transaction) => issued(vcpu, id, transaction, because));
  return [{ type: 'store-lines-drained', vm: vcpu.vm, vcpu: id, lines: ids, because }, ...writes];
}

/** All lines of the buffer. */
export const drainAll = (vcpu: VcpuState, id: number, because: TransactionBecause): GuestEvent[] =>
  drain(vcpu, id, vcpu.storeBuffer.lines, because);
