// Why an access ends before it reaches memory: stage 1 refuses it, the instruction makes none, or a processor does not
// take exclusives to the memory that both stages make of the location.

import type { Access } from '../arch/access.ts';
import { isCacheMaintenance, isStage1Walk } from '../arch/access.ts';
import type { Ipa } from '../arch/addresses.ts';
import type { MemoryType } from '../arch/memory-type.ts';
import { alignmentFault, alignmentOf, permits } from '../arch/permits.ts';
import type { Shareability } from '../arch/shareability.ts';
import { stage1Of } from './both-stages.ts';
import type { Choose } from './choices.ts';
import { TYPICAL } from './choices.ts';
import type { GuestBecause, GuestEvent, Translation } from './events.ts';
import type { Stage2Regime } from './mmu.ts';
import { faultOf } from './mmu.ts';
import { stage1Esr } from './stage1-fault.ts';
import type { VcpuState } from './state.ts';

/**
 * Exclusives outside shareable Write-Back memory: whether they work is IMPLEMENTATION DEFINED (DDI0487 B2.2.6). A
 * typical processor lets them; one may refuse them, at the first stage that made the memory so.
 */
export function unsupportedExclusive(
  vcpu: VcpuState,
  id: number,
  { cpu, choose = TYPICAL }: Pick<Stage2Regime, 'cpu'> & { readonly choose?: Choose },
  access: Access,
  { combined }: Translation,
  address: Ipa,
): GuestEvent[] | null {
  if (access.kind !== 'exclusive-load' && access.kind !== 'exclusive-store') return null;
  const isPromised = (type: MemoryType, sh: Shareability): boolean =>
    permits(type, sh).exclusives.value === 'guaranteed';
  if (isPromised(combined.type, combined.shareability) || choose('exclusive', 2) === 0) return null;
  const { vm } = vcpu;
  const status = { kind: 'unsupported-exclusive-or-atomic' } as const;
  const first = stage1Of(access, vcpu.stage1);
  if (isPromised(first.type, first.shareability)) {
    const fault = faultOf(access, address, status, cpu);
    return [{ type: 'stage2-faulted', vm, vcpu: id, access, attempt: vcpu.attempts, fault }];
  }
  const esr = stage1Esr(access, status);
  const because = 'exclusive-unsupported';
  return [{ type: 'stage1-faulted', vm, vcpu: id, access: access.id, far: access.va, esr, because }];
}

/**
 * Faults that stage 1 takes to EL1 before stage 2 is asked (measured rule 1; DDI0487 R_XCHFJ for alignment).
 */
export function stage1Refusal(
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
  const at = alignmentOf(access);
  const fault = alignmentFault({ access: at, stage1: type, combined: type });
  if (fault === null) return null;
  return { esr: stage1Esr(access, { kind: 'alignment' }), because: 'stage1-alignment' };
}

/** Instructions that end without any memory access. */
export function makesNoAccess(vcpu: VcpuState, regime: Stage2Regime, access: Access): GuestBecause | null {
  if (access.kind === 'exclusive-store' && !vcpu.monitor) return 'monitor-clear';
  const maintenance = isCacheMaintenance(access.kind) && !regime.cpu.departures.cacheMaintenanceFaults;
  return maintenance ? 'maintenance-is-a-no-op' : null;
}
