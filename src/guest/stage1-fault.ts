// A fault of the guest's own stage 1: an exception to EL1 in which stage 2 has no part, with ESR_EL1 as the guest
// reads it (DDI0487 AArch64.FaultSyndrome()).

import type { Access } from '../arch/access.ts';
import { atomicWnR, isWrite } from '../arch/access.ts';
import { encodeAbort } from '../arch/esr.ts';
import type { FaultStatus } from '../arch/fault-status.ts';
import { completed } from './emit.ts';
import type { GuestBecause, GuestEvent } from './events.ts';
import type { VcpuState } from './state.ts';

/** ESR_EL1 of a fault taken from EL1: no syndrome but WnR and CM. */
export function stage1Esr(access: Access, status: FaultStatus): number {
  const fromLowerEl = false;
  if (access.kind === 'fetch') return encodeAbort({ kind: 'instruction-abort', status, fromLowerEl });
  const { wnr = isWrite(access.kind), cm = false } = access.syndrome ?? {};
  const writes = access.kind === 'atomic' ? atomicWnR(status.kind) : wnr;
  const syndrome = { isv: false, sas: 0, sse: false, srt: 0, sf: false, ar: false, wnr: writes, cm } as const;
  return encodeAbort({ kind: 'data-abort', status, fromLowerEl, syndrome });
}

/**
 * What follows from a stage 1 that refuses; PRFM just ends.
 * @param id number of the vCPU's slice
 * @param status null where the bytes that the walk read are not known
 */
export function stage1Faulted(
  vcpu: VcpuState,
  id: number,
  access: Access,
  status: FaultStatus | null,
  because: GuestBecause,
): GuestEvent[] {
  if (access.kind === 'prefetch') return [completed(vcpu, id, access, { because: 'prefetch-never-faults' })];
  const esr = status === null ? null : stage1Esr(access, status);
  return [{ type: 'stage1-faulted', vm: vcpu.vm, vcpu: id, access: access.id, far: access.va, esr, because }];
}
