// How an event changes a vCPU's slice: mutation of a draft or a plain object, total, without policy.

import type { GuestEvent } from './events.ts';
import type { VcpuState } from './state.ts';
import { closed, EMPTY_STORE_BUFFER, withoutLines, withStore, withStoreIn } from './store-buffer.ts';

/** Events of others that end or continue a vCPU's access. */
export type VcpuInput =
  | GuestEvent
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
      vcpu.walk = event.walk;
      vcpu.pending = event.access;
      vcpu.waiting = null;
      return;
    case 'stage1-translated':
      vcpu.walk = null;
      vcpu.pending = event.access;
      vcpu.waiting = null;
      return;
    case 'stage2-faulted':
      // An exception taken to EL2 clears the local monitor (measured rule 7).
      vcpu.attempts += 1;
      vcpu.monitor = false;
      return;
    case 'access-completed':
      if (vcpu.pending?.kind === 'exclusive-load' && event.translation !== null) vcpu.monitor = true;
      if (vcpu.pending?.kind === 'exclusive-store') vcpu.monitor = false;
      ended(vcpu);
      return;
    case 'access-translated':
      vcpu.waiting = { translation: event.translation, answers: [] };
      return;
    case 'transaction-answered':
      if (vcpu.waiting === null || vcpu.pending?.id !== event.access) return;
      vcpu.waiting = { ...vcpu.waiting, answers: [...vcpu.waiting.answers, event.value] };
      return;
    case 'stage1-faulted':
    case 'run-failed':
    case 'abort-injected':
    case 'nisv-exited':
    case 'sea-exited':
    case 'serror-injected':
      ended(vcpu);
      return;
    default:
      evolveStoreBuffer(vcpu, event);
  }
}

function ended(vcpu: VcpuState): void {
  vcpu.pending = null;
  vcpu.walk = null;
  vcpu.waiting = null;
}

function evolveStoreBuffer(vcpu: VcpuState, event: VcpuInput): void {
  switch (event.type) {
    case 'store-buffered':
      vcpu.storeBuffer =
        event.into === undefined
          ? withStore(vcpu.storeBuffer, event.store)
          : withStoreIn(vcpu.storeBuffer, event.store, event.into);
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
