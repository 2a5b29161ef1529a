// The GICv2 as a device: leads an access to the CPU interface (GICV, hardware) or to the distributor (GICD,
// emulated in the kernel). Accesses of another size than a register answers are RAZ/WI.

import { bytesOfValue } from '../../arch/transaction.ts';
import type { RegionPiece } from '../pieces.ts';
import { answers } from '../pieces.ts';
import { acknowledged, readCpuInterface, SPURIOUS_GROUP_1, writeCpuInterface } from './cpu-interface.ts';
import { readDistributor, writeDistributor } from './distributor.ts';
import type { Vgic } from './vgic.ts';
import { SGIS } from './vgic.ts';

const WIDTH = 4;
const INTID_MASK = 0x3ff;
const SOURCE_SHIFT = 10;

const isAcknowledge = (name: string): boolean => name === 'GICV_IAR' || name === 'GICV_AIAR';

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
  const constant = register.access === 'RO' && value === 0 ? register.reset : BigInt(value);
  const from = offset - register.offset;
  return bytesOfValue(constant, WIDTH).slice(from, from + size);
}

/** What a read does, with the interrupt it concerns. */
export function gicEffect(
  vgic: Vgic | undefined,
  cpu: number,
  { register }: RegionPiece,
  declared: string | null,
): string | null {
  if (vgic === undefined || register === null || !isAcknowledge(register.name)) return declared;
  const value = readCpuInterface(vgic, cpu, register.name);
  const intid = value & INTID_MASK;
  if (intid >= SPURIOUS_GROUP_1) return null;
  const from = intid < SGIS ? ` from vCPU ${value >> SOURCE_SHIFT}` : '';
  return `acknowledges INTID ${intid}${from}: pending becomes active`;
}

export function afterGicRead(vgic: Vgic, cpu: number, piece: RegionPiece): Vgic {
  const { register } = piece;
  if (register === null || !isAcknowledge(register.name) || !answers(piece)) return vgic;
  return acknowledged(vgic, cpu, register.name);
}

/** Unknown bytes change nothing. */
export function afterGicWrite(
  vgic: Vgic,
  cpu: number,
  piece: RegionPiece,
  bytes: readonly number[] | null,
): Vgic {
  const { register } = piece;
  if (register === null || bytes === null || !answers(piece)) return vgic;
  const from = piece.offset - register.offset;
  if (register.name.startsWith('GICD')) return writeDistributor(vgic, cpu, register.name, from, bytes);
  const value = bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
  return writeCpuInterface(vgic, cpu, register.name, value);
}
