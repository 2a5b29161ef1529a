// The GICv2 as a device: leads an access to the CPU interface (GICV, hardware), to the distributor (GICD, emulated in
// the kernel) or to what the kernel traps of the CPU interface (GICC). Accesses of another size than a register answers
// are RAZ/WI.

import { bytesOfValue } from '../../arch/transaction.ts';
import type { DeviceDescription } from '../description.ts';
import type { DeviceEvent } from '../events.ts';
import type { RegionPiece } from '../pieces.ts';
import { answers } from '../pieces.ts';
import { acknowledged, readCpuInterface, SPURIOUS_GROUP_1, writeCpuInterface } from './cpu-interface.ts';
import { readDistributor, writeDistributor } from './distributor.ts';
import { writeTrappedDir } from './trapped-dir.ts';
import type { Vgic } from './vgic.ts';
import { SGIS } from './vgic.ts';

const WIDTH = 4;
const INTID_MASK = 0x3ff;
const SOURCE_SHIFT = 10;

const isAcknowledge = (name: string): boolean => name === 'GICV_IAR' || name === 'GICV_AIAR';

/** What a read of IAR or AIAR acknowledges. */
export interface Acknowledged {
  readonly intid: number;
  /** The vCPU that sent an SGI; null for all else. */
  readonly from: number | null;
}

/** What a value of IAR or AIAR names; null for the special numbers. */
export function acknowledgedBy(register: string | null, value: number): Acknowledged | null {
  if (register === null || !isAcknowledge(register)) return null;
  const intid = value & INTID_MASK;
  if (intid >= SPURIOUS_GROUP_1) return null;
  return { intid, from: intid < SGIS ? value >> SOURCE_SHIFT : null };
}

/**
 * Bytes that a read gives, ascending; zeros for a VM without a GICv2.
 * @param cpu number of the vCPU in its VM
 */
export function readGic(vgic: Vgic | undefined, cpu: number, piece: RegionPiece): number[] {
  const { register, offset, size } = piece;
  if (vgic === undefined || register === null || !answers(piece)) return bytesOfValue(0n, size);
  const value = register.name.startsWith('GICD')
    ? readDistributor(vgic, cpu, register.name)
    : readCpuInterface(vgic, cpu, register.name);
  const from = offset - register.offset;
  return bytesOfValue(BigInt(value), WIDTH).slice(from, from + size);
}

/** What a read does, with the interrupt it concerns. */
export function gicEffect(
  vgic: Vgic | undefined,
  cpu: number,
  { register }: RegionPiece,
  declared: string | null,
): string | null {
  if (vgic === undefined || register === null || !isAcknowledge(register.name)) return declared;
  const taken = acknowledgedBy(register.name, readCpuInterface(vgic, cpu, register.name));
  if (taken === null) return null;
  const from = taken.from === null ? '' : ` from vCPU ${taken.from}`;
  return `acknowledges INTID ${taken.intid}${from}: pending becomes active`;
}

function afterGicRead(vgic: Vgic, cpu: number, piece: RegionPiece): Vgic {
  const { register } = piece;
  if (register === null || !isAcknowledge(register.name) || !answers(piece)) return vgic;
  return acknowledged(vgic, cpu, register.name);
}

/** Unknown bytes change nothing. */
function afterGicWrite(vgic: Vgic, cpu: number, piece: RegionPiece, bytes: readonly number[] | null): Vgic {
  const { register } = piece;
  if (register === null || bytes === null || !answers(piece)) return vgic;
  const from = piece.offset - register.offset;
  if (register.name.startsWith('GICD')) return writeDistributor(vgic, cpu, register.name, from, bytes);
  const value = bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
  if (register.name === 'GICC_DIR') return writeTrappedDir(vgic, cpu, value);
  return writeCpuInterface(vgic, cpu, register.name, value);
}

/** A VM's GIC after one of its registers was read or written; as it is after all other events. */
export function afterGicAccess({ regions }: DeviceDescription, vgic: Vgic, event: DeviceEvent): Vgic {
  if (event.type !== 'device-read' && event.type !== 'device-written') return vgic;
  const region = regions.find(({ index }) => index === event.region);
  const register = region?.registers.find(({ name }) => name === event.register) ?? null;
  const { offset, size, by } = event;
  const piece = { offset, size, register };
  return event.type === 'device-read'
    ? afterGicRead(vgic, by.index, piece)
    : afterGicWrite(vgic, by.index, piece, event.bytes);
}
