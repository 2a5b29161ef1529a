// Stage 2 of one access as hardware does it (DDI0487 D8.2, AArch64.S2Translate): walk, access flag, memory
// type, permission, in that order. Ends in a translation or in the fault that EL2 will see.

import type { Access } from '../arch/access.ts';
import { atomicWnR, isInstructionAbort, isStage1Walk, isWrite } from '../arch/access.ts';
import type { Ipa, Pa } from '../arch/addresses.ts';
import type { CombinedType } from '../arch/combine.ts';
import type { CpuFeatures } from '../arch/cpu.ts';
import type { Stage2Leaf } from '../arch/descriptor.ts';
import { encodeAbort, NO_SYNDROME } from '../arch/esr.ts';
import type { FaultStatus } from '../arch/fault-status.ts';
import type { Level, Stage2Geometry } from '../arch/geometry.ts';
import { levelSize } from '../arch/geometry.ts';
import { NORMAL_NC } from '../arch/memory-type.ts';
import { alignmentFault, alignmentOf } from '../arch/permits.ts';
import type { Stage1Attributes } from '../arch/stage1.ts';
import type { Stage2Fault } from '../arch/stage2-fault.ts';
import type { TranslationTable } from '../arch/translation-table.ts';
import { bothStages } from './both-stages.ts';
import type { Stage1Regime } from './stage1-regime.ts';

/** What stage 2 is made of for one VM. */
export interface Stage2Regime {
  readonly geometry: Stage2Geometry;
  readonly table: TranslationTable<Stage2Leaf>;
  readonly cpu: CpuFeatures;
  /** HCR_EL2.PTW: a walk of stage 1 through Device memory of stage 2 is a Permission fault; off unless given. */
  readonly ptw?: boolean;
}

export type Stage2Result =
  | {
      readonly kind: 'translated';
      readonly pa: Pa;
      readonly level: Level;
      readonly combined: CombinedType;
      /** The access flag is clear and hardware sets it. */
      readonly setsAccessFlag: boolean;
    }
  | { readonly kind: 'faulted'; readonly fault: Stage2Fault };

/** HPFAR_EL2.FIPA counts units of 4 KiB. */
const FIPA_UNIT = 4096;

/** XN[1:0] that let EL1 execute: 0b00, and with FEAT_XNX 0b11, EL1 alone. */
const EL1_EXECUTES: ReadonlySet<number> = new Set([0, 3]);

/** @param address output of stage 1 */
export function translateStage2(
  regime: Stage2Regime,
  stage1: Stage1Regime,
  access: Access,
  address: Ipa,
): Stage2Result {
  const { geometry, table, cpu } = regime;
  if (address >= 2 ** geometry.ipaBits)
    return faulted(access, address, cpu, { kind: 'translation', level: 0 });
  const { level, leaf } = table.walk(address);
  if (leaf === undefined) return faulted(access, address, cpu, { kind: 'translation', level });
  const { attributes } = leaf;
  if (!attributes.af && !cpu.hardwareAccessFlag) {
    return faulted(access, address, cpu, { kind: 'access-flag', level });
  }
  const both = bothStages(access, stage1, attributes, cpu.fwb);
  const deviceWalk = isStage1Walk(access.kind) && both.combined.type.type === 'Device';
  if (deviceWalk && regime.ptw === true) return faulted(access, address, cpu, { kind: 'permission', level });
  // With PTW = 0 such a walk acts as Normal Non-cacheable (DDI0487 D8.6.3).
  const combined = deviceWalk ? { ...both.combined, type: NORMAL_NC } : both.combined;
  if (cpu.departures.deviceAlignmentFaults && stage2Misaligned(access, both.stage1, combined)) {
    return faulted(access, address, cpu, { kind: 'alignment' });
  }
  if (!permitted(access, attributes)) return faulted(access, address, cpu, { kind: 'permission', level });
  const pa = (leaf.outputAddress + (address % levelSize(geometry.granule, level))) as Pa;
  return { kind: 'translated', pa, level, combined, setsAccessFlag: !attributes.af };
}

/** Only accesses that can be misaligned at all pay for the check. */
function stage2Misaligned(access: Access, first: Stage1Attributes, combined: CombinedType): boolean {
  if (access.kind !== 'dc-zva' && access.va % access.size === 0) return false;
  const at = alignmentOf(access);
  return alignmentFault({ access: at, stage1: first.type, combined: combined.type })?.stage === 2;
}

/** S2AP and XN (DDI0487 D8.4.2): DC IVAC needs write permission, other maintenance read permission. */
function permitted(access: Access, { read, write, xn }: Stage2Leaf['attributes']): boolean {
  if (access.kind === 'fetch') return EL1_EXECUTES.has(xn) && read;
  return isWrite(access.kind) || access.kind === 'dc-ivac' ? write : read;
}

function faulted(access: Access, address: Ipa, cpu: CpuFeatures, status: FaultStatus): Stage2Result {
  return { kind: 'faulted', fault: faultOf(access, address, status, cpu) };
}

/** What EL2 sees of it. @param address the IPA of the access */
export function faultOf(access: Access, address: Ipa, status: FaultStatus, cpu: CpuFeatures): Stage2Fault {
  const reported = reportedStatus(access, status, cpu);
  const s1ptw = isStage1Walk(access.kind);
  const esr = isInstructionAbort(access)
    ? encodeAbort({ kind: 'instruction-abort', status: reported, s1ptw })
    : encodeAbort({ kind: 'data-abort', status: reported, s1ptw, syndrome: syndromeOf(access, cpu, status) });
  return { ipa: (address - (address % FIPA_UNIT)) as Ipa, far: access.va, esr, status };
}

/** A processor may report the level of the stage-1 walk where the architecture reports that of stage 2. */
function reportedStatus(access: Access, status: FaultStatus, cpu: CpuFeatures): FaultStatus {
  const level = access.walk?.level;
  if (level === undefined || cpu.departures.s1ptwFaultLevel === 'stage-2' || !('level' in status))
    return status;
  return { kind: status.kind, level: level as Level };
}

/** Walks carry no syndrome; WnR of a walk for a write follows the write, of an access-flag update it is 1. */
function syndromeOf(access: Access, cpu: CpuFeatures, status: FaultStatus): typeof NO_SYNDROME {
  if (access.kind === 'atomic') return { ...NO_SYNDROME, wnr: atomicWnR(status.kind) };
  if (access.kind === 's1-walk-update') return { ...NO_SYNDROME, wnr: cpu.departures.s1ptwAfUpdateWnR };
  if (access.kind === 's1-walk') return { ...NO_SYNDROME, wnr: access.walk?.purpose === 'write' };
  return access.syndrome ?? NO_SYNDROME;
}
