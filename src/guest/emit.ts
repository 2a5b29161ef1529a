// The events by which every access ends or leaves the processor, built in one place.

import type { Access } from '../arch/access.ts';
import { isStage1Walk } from '../arch/access.ts';
import type { Transaction } from '../arch/transaction.ts';
import type { GuestBecause, GuestEvent, TransactionBecause, Translation } from './events.ts';
import type { VcpuState } from './state.ts';

interface Ending {
  readonly translation?: Translation | null;
  readonly value?: bigint | null;
  readonly because?: GuestBecause | null;
}

/** @param id number of the vCPU's slice */
export function completed(vcpu: VcpuState, id: number, access: Access, ending: Ending): GuestEvent {
  const { translation = null, value = null, because = null } = ending;
  const { walk } = vcpu;
  if (walk !== null && translation !== null && isStage1Walk(access.kind)) {
    const type = walk.leaf === null ? 'stage1-descriptor-read' : 'stage1-descriptor-updated';
    const { at, level } = walk;
    const entry = { access: access.id, ipa: at, level, descriptor: value, translation };
    return { type, vm: vcpu.vm, vcpu: id, ...entry };
  }
  return { type: 'access-completed', vm: vcpu.vm, vcpu: id, access: access.id, translation, value, because };
}

/** @param id number of the vCPU's slice */
export function issued(
  vcpu: VcpuState,
  id: number,
  transaction: Transaction,
  because: TransactionBecause,
): GuestEvent {
  return { type: 'transaction-issued', vm: vcpu.vm, vcpu: id, transaction, because };
}
