// How an event changes a vCPU's slice: mutation of a draft or a plain object, total, without policy.

import { isWrite } from '../arch/access.ts';
import type { Pa } from '../arch/addresses.ts';
import type { PaRange } from '../arch/transaction.ts';
import type { GuestEvent } from './events.ts';
import type { ReadBytes } from './held-reads.ts';
import { withoutBytes, withRead } from './held-reads.ts';
import { extentOf } from './pieces.ts';
import type { VcpuState, Waiting } from './state.ts';
import {
  closed,
  EMPTY_STORE_BUFFER,
  withoutLines,
  withStore,
  withStoreIn,
  writesOf,
} from './store-buffer.ts';

/** Events of others that end or continue a vCPU's access. */
export type VcpuInput =
  | GuestEvent
  | SpeculationAnswer
  | { readonly type: EndOfAccess; readonly vm: number; readonly vcpu: number }
  | TransactionAnswer;

/** A device answered a transaction that the pending access waits for. */
export interface TransactionAnswer {
  readonly type: 'transaction-answered';
  readonly vm: number;
  readonly vcpu: number;
  readonly access: number;
  /** Null for a write. */
  readonly value: bigint | null;
}

/** A device answered a read that no access waits for. */
export interface SpeculationAnswer {
  readonly type: 'speculation-answered';
  readonly vm: number;
  readonly vcpu: number;
  readonly read: ReadBytes;
}

type EndOfAccess = 'run-failed' | 'abort-injected' | 'nisv-exited' | 'sea-exited' | 'serror-injected';

export function initialVcpu(event: GuestEvent & { type: 'vcpu-created' }): VcpuState {
  const { vm, index, stage1 } = event;
  return {
    vm,
    index,
    stage1,
    pending: null,
    attempts: 0,
    walk: null,
    monitor: false,
    waiting: null,
    storeBuffer: EMPTY_STORE_BUFFER,
    heldReads: [],
    interruptsMasked: true,
  };
}

export function evolveVcpu(vcpu: VcpuState, event: VcpuInput): void {
  switch (event.type) {
    case 'stage1-switched':
      vcpu.stage1 = event.stage1;
      return;
    case 'access-issued':
      vcpu.pending = event.access;
      vcpu.attempts = 0;
      return;
    case 'stage1-walk-stepped':
    case 'stage1-translated':
      vcpu.walk = event.type === 'stage1-translated' ? null : event.walk;
      vcpu.pending = event.access;
      vcpu.waiting = null;
      return;
    case 'stage2-faulted':
      // An exception taken to EL2 clears the local monitor (measured rule 7).
      vcpu.attempts += 1;
      vcpu.monitor = false;
      if (vcpu.heldReads.length > 0) vcpu.heldReads = [];
      return;
    case 'access-completed':
      if (vcpu.pending?.kind === 'exclusive-load' && event.translation !== null) vcpu.monitor = true;
      if (vcpu.pending?.kind === 'exclusive-store') vcpu.monitor = false;
      if (event.translation !== null && vcpu.heldReads.length > 0) dropUsed(vcpu, event);
      ended(vcpu);
      return;
    case 'access-translated': {
      const { translation, accessPlan: plan } = event;
      vcpu.waiting = { translation, answers: [], ...(plan === undefined ? {} : { plan }) };
      return;
    }
    case 'transaction-answered':
      if (vcpu.waiting === null || vcpu.pending?.id !== event.access) return;
      if (event.value !== null && vcpu.waiting.plan !== undefined)
        holdAnswer(vcpu, vcpu.waiting, event.value);
      vcpu.waiting = { ...vcpu.waiting, answers: [...vcpu.waiting.answers, event.value] };
      return;
    case 'stage1-faulted':
      // The handler's ERET clears the local monitor (AArch64.ExceptionReturn).
      vcpu.monitor = false;
      ended(vcpu);
      return;
    case 'run-failed':
    case 'abort-injected':
    case 'nisv-exited':
    case 'sea-exited':
    case 'serror-injected':
      ended(vcpu);
      return;
    case 'interrupts-masked':
      vcpu.interruptsMasked = event.masked;
      return;
    case 'interrupt-taken':
      vcpu.interruptsMasked = true;
      return;
    case 'exception-returned':
      vcpu.interruptsMasked = false;
      return;
    default:
      evolveBuffers(vcpu, event);
  }
}

/** An answer to a load that somebody planned. */
function holdAnswer(vcpu: VcpuState, { translation, answers, plan }: Waiting, value: bigint): void {
  const piece = plan?.pieces[answers.length];
  if (plan === undefined || piece === undefined) return;
  hold(vcpu, { ...piece, value, memoryType: translation.combined.type }, plan.keeps);
}

/** A read was answered; where the vCPU's own stores wait, what it gave is older than they are. */
function hold(vcpu: VcpuState, read: ReadBytes, keeps: PaRange | null): void {
  let held = withRead(vcpu.heldReads, read, keeps);
  for (const { pa, size } of vcpu.storeBuffer.lines.flatMap(writesOf)) held = withoutBytes(held, pa, size);
  vcpu.heldReads = held;
}

/** A store makes what was read there old; a load that an earlier read answered uses it up. */
function dropUsed(vcpu: VcpuState, event: GuestEvent & { type: 'access-completed' }): void {
  const { pending, heldReads } = vcpu;
  if (pending === null || event.translation === null) return;
  if (!isWrite(pending.kind) && event.because !== 'earlier-read-answers') return;
  const { pa, size } = extentOf(pending, event.translation.pa, event.translation.combined.type);
  vcpu.heldReads = withoutBytes(heldReads, pa, size);
}

function ended(vcpu: VcpuState): void {
  vcpu.pending = null;
  vcpu.walk = null;
  vcpu.waiting = null;
}

/** Stores that wait, and reads that loads to come may be answered by. */
function evolveBuffers(vcpu: VcpuState, event: VcpuInput): void {
  switch (event.type) {
    case 'speculation-answered': {
      const { pa, size } = event.read;
      hold(vcpu, event.read, { start: pa, end: (pa + size) as Pa });
      return;
    }
    case 'reads-discarded':
      vcpu.heldReads = [];
      return;
    case 'store-buffered':
      vcpu.storeBuffer =
        event.into === undefined
          ? withStore(vcpu.storeBuffer, event.store, event.access)
          : withStoreIn(vcpu.storeBuffer, event.store, event.into, event.access);
      return;
    case 'store-lines-drained':
      vcpu.storeBuffer = withoutLines(vcpu.storeBuffer, event.lines);
      return;
    case 'store-lines-closed':
      vcpu.storeBuffer = closed(vcpu.storeBuffer);
      return;
    default:
      return;
  }
}
