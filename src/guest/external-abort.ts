// An access that the bus answers with an error: a synchronous external abort, which HCR_EL2.TEA takes to EL2 (DDI0487,
// HCR_EL2). Only stage-2 faults carry a syndrome of the instruction.

import type { Access } from '../arch/access.ts';
import { isWrite } from '../arch/access.ts';
import type { Ipa } from '../arch/addresses.ts';
import { encodeAbort, NO_SYNDROME } from '../arch/esr.ts';
import type { GuestEvent } from './events.ts';
import type { VcpuState } from './state.ts';

/** HPFAR_EL2.FIPA counts units of 4 KiB. */
const FIPA_UNIT = 4096;

/** @param id number of the vCPU's slice */
export function externalAbort(vcpu: VcpuState, id: number, access: Access): GuestEvent[] {
  const status = { kind: 'sync-external' } as const;
  const syndrome = { ...NO_SYNDROME, wnr: isWrite(access.kind) };
  const esr = encodeAbort({ kind: 'data-abort', status, syndrome });
  const ipa: number = access.ipa ?? 0;
  const fault = { ipa: (ipa - (ipa % FIPA_UNIT)) as Ipa, far: access.va, esr, status };
  return [{ type: 'stage2-faulted', vm: vcpu.vm, vcpu: id, access, attempt: vcpu.attempts, fault }];
}
