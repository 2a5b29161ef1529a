// A VM's GICv2 as its VMM saves and restores it: KVM_DEV_ARM_VGIC_GRP_DIST_REGS and _CPU_REGS of one vCPU, words only
// (vgic_v2_attr_regs_access(), vgic_uaccess()). What no register is reads as zero and ignores writes.

import { queueIrq } from './ap-list.ts';
import { readDistributor, writeDistributor } from './distributor.ts';
import { GICD_REGISTERS, IIDR_REVISION } from './registers.ts';
import type { Vgic } from './vgic.ts';
import { irqAt, SGIS, withCpu, withIrq } from './vgic.ts';

export type VgicGroup = 'dist' | 'cpu';

/** A register as the attribute names it. */
export interface VgicPlace {
  readonly group: VgicGroup;
  /** Number of the vCPU in its VM. */
  readonly cpu: number;
  readonly offset: number;
}

const EINVAL = 22;
const WORD = 4;
const FULL = 0xffff_ffff;

const CPU_CTRL = 0x00;
const CPU_PRIMASK = 0x04;
const CPU_BINPOINT = 0x08;
const CPU_ALIAS_BINPOINT = 0x1c;
const CPU_ACTIVEPRIO = 0xd0;
const CPU_IDENT = 0xfc;
/** Product ID 'K', architecture 2, implementer 0x43b: KVM's own, not that of the hardware. */
const KVM_GICC_IIDR = 0x04b2_043b;
/** The interface has priorities of 8 bits, this ABI the 5 of GICH_VMCR. */
const PMR_SHIFT = 3;
const PMR_MASK = 0xf8;
const CTLR_MASK = 0x21f;
const BPR_MASK = 0b111;
const MIN_BPR = 2;
const MIN_ABPR = 3;

const nameOf = (offset: number): string => GICD_REGISTERS.find((it) => it.offset === offset)?.name ?? '';

/** @returns the value, or null for a vCPU that is not there (EINVAL) */
export function readUser(vgic: Vgic, { group, cpu, offset }: VgicPlace): number | null {
  const of = vgic.cpus[cpu];
  if (of === undefined) return null;
  if (group === 'dist') return readDistributor(vgic, cpu, nameOf(offset));
  switch (offset) {
    case CPU_CTRL:
      return of.ctlr;
    case CPU_PRIMASK:
      return of.pmr >> PMR_SHIFT;
    case CPU_BINPOINT:
      return of.bpr;
    case CPU_ALIAS_BINPOINT:
      return of.abpr;
    case CPU_ACTIVEPRIO:
      return of.apr;
    case CPU_IDENT:
      return KVM_GICC_IIDR;
    default:
      return 0;
  }
}

/** 0, or EINVAL for a vCPU that is not there, and for an IIDR of another implementation than this kernel's. */
export function userWriteErrno(vgic: Vgic, { group, cpu, offset }: VgicPlace, value: number): number {
  if (vgic.cpus[cpu] === undefined) return EINVAL;
  if (group === 'cpu' || nameOf(offset) !== 'GICD_IIDR') return 0;
  const own = readDistributor(vgic, cpu, 'GICD_IIDR') - vgic.revision * IIDR_REVISION;
  const revision = (value - own) / IIDR_REVISION;
  return revision === 2 || revision === vgic.revision ? 0 : EINVAL;
}

/** What a write that is no error leaves behind. */
export function writeUser(vgic: Vgic, place: VgicPlace, value: number): Vgic {
  const { group, cpu, offset } = place;
  return group === 'dist' ? writeDist(vgic, cpu, nameOf(offset), value) : writeCpu(vgic, cpu, offset, value);
}

function writeCpu(vgic: Vgic, cpu: number, offset: number, value: number): Vgic {
  switch (offset) {
    case CPU_CTRL:
      return withCpu(vgic, cpu, { ctlr: value & CTLR_MASK });
    case CPU_PRIMASK:
      return withCpu(vgic, cpu, { pmr: (value << PMR_SHIFT) & PMR_MASK });
    case CPU_BINPOINT:
      return withCpu(vgic, cpu, { bpr: Math.max(MIN_BPR, value & BPR_MASK) });
    case CPU_ALIAS_BINPOINT:
      return withCpu(vgic, cpu, { abpr: Math.max(MIN_ABPR, value & BPR_MASK) });
    case CPU_ACTIVEPRIO:
      return withCpu(vgic, cpu, { apr: value });
    default:
      return vgic;
  }
}

/**
 * Groups change only behind a write of IIDR, which tells of a VMM that knows of them. Pending SGIs, which a guest
 * cannot write, get the vCPU itself as sender, and lose all of theirs.
 */
function writeDist(vgic: Vgic, cpu: number, name: string, value: number): Vgic {
  if (name === 'GICD_IIDR')
    return { ...vgic, revision: Math.floor(value / IIDR_REVISION) % 16, groupsWritable: true };
  if (name.startsWith('GICD_IGROUPR') && vgic.groupsWritable !== true) return vgic;
  const bytes = Array.from({ length: WORD }, (_, index) => Math.floor(value / 2 ** (index * 8)) % 256);
  const written = writeDistributor(vgic, cpu, name, 0, bytes);
  if (name === 'GICD_ISPENDR0') return changeSgis(written, cpu, value & FULL, true);
  return name === 'GICD_ICPENDR0' ? changeSgis(written, cpu, value & FULL, false) : written;
}

function changeSgis(vgic: Vgic, cpu: number, bits: number, pending: boolean): Vgic {
  let next = vgic;
  for (let intid = 0; intid < SGIS; intid++) {
    if ((bits & (1 << intid)) === 0) continue;
    const sources = pending ? irqAt(next, cpu, intid).sources | (1 << cpu) : 0;
    next = withIrq(next, cpu, intid, { latch: pending, sources });
    if (pending) next = queueIrq(next, cpu, intid);
  }
  return next;
}
