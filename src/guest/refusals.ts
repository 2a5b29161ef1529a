// Why an access ends before it reaches memory: stage 1 refuses it, the instruction makes none, or a processor does not
// take exclusives or atomics to the memory that both stages make of the location.

import type { Access } from '../arch/access.ts';
import { isCacheMaintenance, isStage1Walk } from '../arch/access.ts';
import type { Ipa } from '../arch/addresses.ts';
import { reachesEndpoint } from '../arch/atomic.ts';
import type { MemoryType } from '../arch/memory-type.ts';
import { alignmentFault, alignmentOf, permits } from '../arch/permits.ts';
import type { Shareability } from '../arch/shareability.ts';
import type { EndpointRange } from '../arch/transaction.ts';
import { stage1Of } from './both-stages.ts';
import type { Choose } from './choices.ts';
import { TYPICAL } from './choices.ts';
import { completed } from './emit.ts';
import type { GuestBecause, GuestEvent, Translation } from './events.ts';
import { externalAbort } from './external-abort.ts';
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
  if (isPromised(combined.type, combined.shareability) || choose('exclusive', 2) === 0) return null;
  return refused(vcpu, id, cpu, access, address, 'exclusive-unsupported');
}

const isPromised = (type: MemoryType, sh: Shareability): boolean =>
  permits(type, sh).exclusives.value === 'guaranteed';

/** FSC 0b110101 at the first stage that made the memory so. */
function refused(
  vcpu: VcpuState,
  id: number,
  cpu: Stage2Regime['cpu'],
  access: Access,
  address: Ipa,
  because: GuestBecause,
): GuestEvent[] {
  const { vm } = vcpu;
  const status = { kind: 'unsupported-exclusive-or-atomic' } as const;
  const first = stage1Of(access, vcpu.stage1);
  if (isPromised(first.type, first.shareability)) {
    const fault = faultOf(access, address, status, cpu);
    return [{ type: 'stage2-faulted', vm, vcpu: id, access, attempt: vcpu.attempts, fault }];
  }
  const esr = stage1Esr(access, status);
  return [{ type: 'stage1-faulted', vm, vcpu: id, access: access.id, far: access.va, esr, because }];
}

/** What may become of an atomic that nothing promises to work (DDI0487 B2.2.6). */
type AtomicEnd = 'carried-out' | 'external-abort' | 'unsupported-fault' | 'no-operation';

/**
 * Atomics outside shareable Write-Back memory are IMPLEMENTATION DEFINED: they work, take an external abort or the
 * fault FSC 0b110101, or do nothing. A typical processor sends them out; where nobody answers atomics, the
 * interconnect answers with an error. One that works without a request of its own reads and writes.
 * @returns null where it goes on as an access
 */
export function unsupportedAtomic(
  vcpu: VcpuState,
  id: number,
  { cpu, choose = TYPICAL }: Pick<Stage2Regime, 'cpu'> & { readonly choose?: Choose },
  access: Access,
  translation: Translation,
  address: Ipa,
  { atomics }: EndpointRange,
): GuestEvent[] | null {
  if (access.kind !== 'atomic' || access.atomic === undefined) return null;
  const { combined } = translation;
  if (isPromised(combined.type, combined.shareability)) return null;
  const answers = reachesEndpoint(access.atomic.op, access.size, atomics);
  const typical: AtomicEnd = answers ? 'carried-out' : 'external-abort';
  const others = ATOMIC_ENDS.filter((end) => end !== typical);
  const end = [typical, ...others][choose('atomic', ATOMIC_ENDS.length)] ?? typical;
  switch (end) {
    case 'carried-out':
      return null;
    case 'external-abort':
      return externalAbort(vcpu, id, access);
    case 'unsupported-fault':
      return refused(vcpu, id, cpu, access, address, 'atomic-unsupported');
    case 'no-operation':
      return [completed(vcpu, id, access, { because: 'atomic-unsupported' })];
  }
}

const ATOMIC_ENDS: readonly AtomicEnd[] = [
  'carried-out',
  'external-abort',
  'unsupported-fault',
  'no-operation',
];

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
