// What ends an access before stage 2 is asked: faults of stage 1 that need no walk (DDI0487 R_XCHFJ), and instructions
// that make no access.

import type { Access } from '../arch/access.ts';
import { isCacheMaintenance, isStage1Walk } from '../arch/access.ts';
import { alignmentFault, alignmentOf } from '../arch/permits.ts';
import { stage1Of } from './both-stages.ts';
import type { GuestBecause } from './events.ts';
import type { Stage2Regime } from './mmu.ts';
import { stage1Esr } from './stage1-fault.ts';
import type { VcpuState } from './state.ts';

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
