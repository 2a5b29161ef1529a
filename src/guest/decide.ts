// What a vCPU does: issues its access through stage 1 and stage 2, retries after the host mapped, and ends it when
// it completed, was emulated or aborted. Pure: from the vCPU's slice and its stage 2 to the events that follow.

import type { Access } from '../arch/access.ts';
import { isCacheMaintenance, isStage1Walk } from '../arch/access.ts';
import type { Ipa } from '../arch/addresses.ts';
import { encodeAbort } from '../arch/esr.ts';
import { alignmentFault } from '../arch/permits.ts';
import type { GuestBecause, GuestEvent } from './events.ts';
import type { Stage2Regime } from './mmu.ts';
import { stage1Of, translateStage2 } from './mmu.ts';
import type { VcpuState } from './state.ts';

/** What a vCPU reacts to besides its own events: words of the host, and answers of the VMM. */
export type GuestInput =
  | Extract<GuestEvent, { type: 'access-issued' }>
  | { readonly type: 'guest-reentered'; readonly vm: number; readonly vcpu: number }
  | { readonly type: 'instruction-skipped' | 'mmio-handled'; readonly vm: number; readonly vcpu: number }
  | { readonly type: 'mmio-answered'; readonly vm: number; readonly vcpu: number; readonly value: bigint | null };

export const GUEST_HEARS = [
  'access-issued',
  'guest-reentered',
  'instruction-skipped',
  'mmio-handled',
  'mmio-answered',
] as const;

/** @param id number of the vCPU's slice */
export function decideGuest(vcpu: VcpuState, id: number, regime: Stage2Regime, input: GuestInput): GuestEvent[] {
  const access = vcpu.pending;
  if (access === null) return [];
  switch (input.type) {
    case 'access-issued':
      return issue(vcpu, id, regime, access);
    case 'guest-reentered':
      return retry(vcpu, id, regime, access);
    case 'instruction-skipped':
    case 'mmio-handled':
      return [completed(vcpu, id, access, null)];
    case 'mmio-answered':
      return [{ ...completed(vcpu, id, access, null), value: input.value }];
  }
}

function issue(vcpu: VcpuState, id: number, regime: Stage2Regime, access: Access): GuestEvent[] {
  const refusal = stage1Refusal(vcpu, regime, access);
  if (refusal !== null) {
    return [{ type: 'stage1-faulted', vm: vcpu.vm, vcpu: id, access: access.id, far: access.va, ...refusal }];
  }
  const nothing = makesNoAccess(vcpu, regime, access);
  if (nothing !== null || access.ipa === null) return [completed(vcpu, id, access, nothing)];
  return throughStage2(vcpu, id, regime, access, access.ipa);
}

/** A retried STXR finds its monitor cleared by the abort: it makes no access (measured rule 7). */
function retry(vcpu: VcpuState, id: number, regime: Stage2Regime, access: Access): GuestEvent[] {
  if (access.kind === 'exclusive-store') return [completed(vcpu, id, access, 'monitor-clear')];
  return access.ipa === null ? [] : throughStage2(vcpu, id, regime, access, access.ipa);
}

function throughStage2(vcpu: VcpuState, id: number, regime: Stage2Regime, access: Access, address: Ipa): GuestEvent[] {
  const result = translateStage2(regime, vcpu.stage1, access, address);
  const { vm } = vcpu;
  if (result.kind === 'faulted') {
    return [{ type: 'stage2-faulted', vm, vcpu: id, access, attempt: vcpu.attempts, fault: result.fault }];
  }
  const { pa, level, combined } = result;
  const done: GuestEvent = {
    type: 'access-completed',
    vm,
    vcpu: id,
    access: access.id,
    translation: { pa, level, combined },
    value: null,
    because: null,
  };
  return result.setsAccessFlag ? [{ type: 'access-flag-set', vm, vcpu: id, ipa: address }, done] : [done];
}

/** Faults that stage 1 takes to EL1 before stage 2 is asked (measured rule 1; DDI0487 R_XCHFJ for alignment). */
function stage1Refusal(
  vcpu: VcpuState,
  regime: Stage2Regime,
  access: Access,
): { esr: number | null; because: GuestBecause } | null {
  const { controls, paBits } = vcpu.stage1;
  if (access.ipa === null) return { esr: null, because: 'stage1-refuses' };
  if (isStage1Walk(access.kind)) return null;
  if (!controls.m && access.va >= 2 ** paBits) {
    return { esr: stage1Esr(access, { kind: 'address-size', level: 0 }), because: 'stage1-address-size' };
  }
  if (!regime.cpu.departures.deviceAlignmentFaults) return null;
  if (access.kind !== 'dc-zva' && access.va % access.size === 0) return null;
  const { type } = stage1Of(access, vcpu.stage1);
  const at = { kind: access.kind, address: access.va, size: access.size };
  const fault = alignmentFault({ access: at, stage1: type, combined: type });
  if (fault === null) return null;
  return { esr: stage1Esr(access, { kind: 'alignment' }), because: 'stage1-alignment' };
}

/** ESR_EL1 of a fault taken from EL1: no syndrome but WnR and CM. */
function stage1Esr(access: Access, status: Parameters<typeof encodeAbort>[0]['status']): number {
  const fromLowerEl = false;
  if (access.kind === 'fetch') return encodeAbort({ kind: 'instruction-abort', status, fromLowerEl });
  const { wnr = false, cm = false } = access.syndrome ?? {};
  const syndrome = { isv: false, sas: 0, sse: false, srt: 0, sf: false, ar: false, wnr, cm } as const;
  return encodeAbort({ kind: 'data-abort', status, fromLowerEl, syndrome });
}

/** Instructions that end without any memory access. */
function makesNoAccess(vcpu: VcpuState, regime: Stage2Regime, access: Access): GuestBecause | null {
  if (access.kind === 'prefetch') return 'prefetch-never-faults';
  if (access.kind === 'exclusive-store' && !vcpu.monitor) return 'monitor-clear';
  const maintenance = isCacheMaintenance(access.kind) && !regime.cpu.departures.cacheMaintenanceFaults;
  return maintenance ? 'maintenance-is-a-no-op' : null;
}

function completed(
  vcpu: VcpuState,
  id: number,
  access: Access,
  because: GuestBecause | null,
): GuestEvent & { type: 'access-completed' } {
  const { vm } = vcpu;
  return { type: 'access-completed', vm, vcpu: id, access: access.id, translation: null, value: null, because };
}
