// One access to config space through vfio-pci: cut as vfio_config_do_rw() does, each piece a read or a write of
// registers, and what a write asks of the host besides (memory enable, power state, function-level reset).

import type { VfioPciDescription } from '../description.ts';
import type { DeviceEvent, Requester } from '../events.ts';
import { configFields, PCI_COMMAND } from './config-fields.ts';
import type { PciState } from './config-space.ts';
import { configValue, powerStateOf, readConfig, registerOffset } from './config-space.ts';
import { capabilityOf } from './function.ts';
import { isMsixMask } from './msix.ts';
import { isTransition, POWER_STATES } from './power.ts';

export interface ConfigAccess {
  /** The vCPU whose access to ECAM it is; null for the VMM's own. */
  readonly by: Requester | null;
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  /** What is written; null for a read. */
  readonly write: bigint | null;
}

interface Piece {
  readonly offset: number;
  readonly size: 1 | 2 | 4;
  readonly value: number;
}

const PM_CTRL_STATE_MASK = 0b11;
const EXP_DEVCTL_BCR_FLR = 0x8000;
const BYTE = 256;

/** @param id number of the device's slice @returns the events, and the value of a read */
export function decideConfig(
  device: VfioPciDescription,
  pci: PciState,
  id: number,
  access: ConfigAccess,
): { readonly events: DeviceEvent[]; readonly value: bigint | null } {
  const { by, offset, size, write } = access;
  const events: DeviceEvent[] = [];
  let value = 0n;
  for (const piece of piecesOf(offset, size, write ?? 0n)) {
    const at = { device: id, offset: piece.offset, size: piece.size, by, register: nameOf(device, piece) };
    if (write === null) {
      const read = readConfig(device, pci, piece.offset, piece.size);
      value += BigInt(read) << BigInt((piece.offset - offset) * 8);
      events.push({ type: 'pci-config-read', ...at, value: read });
    } else {
      events.push({ type: 'pci-config-written', ...at, value: piece.value });
      if (isMsixMask(at.register)) events.push({ type: 'msix-mask-written', device: id });
      events.push(...askedOfHost(device, pci, piece));
    }
  }
  return { events, value: write === null ? value : null };
}

/** Four bytes where aligned, else two, else one. */
function piecesOf(start: number, size: number, value: bigint): Piece[] {
  const pieces: Piece[] = [];
  for (let offset = start; offset < start + size; ) {
    const left = start + size - offset;
    const bytes = left >= 4 && offset % 4 === 0 ? 4 : left >= 2 && offset % 2 === 0 ? 2 : 1;
    const word = BigInt.asUintN(bytes * 8, value >> BigInt((offset - start) * 8));
    pieces.push({ offset, size: bytes, value: Number(word) });
    offset += bytes;
  }
  return pieces;
}

/** What the access is about: the first register in it that can be written, else the first. */
function nameOf(device: VfioPciDescription, { offset, size }: Piece): string | null {
  const covered = configFields(device).filter(
    (it) => it.offset < offset + size && offset < it.offset + it.size,
  );
  return (covered.find(({ write }) => write !== 0) ?? covered[0])?.name ?? null;
}

/** vfio_basic_config_write(), vfio_pm_config_write(), vfio_exp_config_write() and vfio_af_config_write(). */
function askedOfHost(device: VfioPciDescription, pci: PciState, piece: Piece): DeviceEvent[] {
  const { name, function: pciFunction } = device;
  if (piece.offset === PCI_COMMAND && !pciFunction.virtualFunction) {
    const high = configValue(device, pci, 'COMMAND') - (configValue(device, pci, 'COMMAND') % BYTE);
    const value = piece.size === 1 ? high + piece.value : piece.value % BYTE ** 2;
    return [{ type: 'pci-command-written', device: name, value }];
  }
  const pm = capabilityOf(pciFunction, 'pm');
  if (pm !== undefined && piece.offset === registerOffset(device, 'PM_CTRL')) {
    const state = POWER_STATES[piece.value & PM_CTRL_STATE_MASK] ?? 'D0';
    const goes = isTransition(pm, powerStateOf(device, pci), state);
    return goes ? [{ type: 'pci-power-written', device: name, state }] : [];
  }
  const resets =
    (capabilityOf(pciFunction, 'express')?.flr === true && asksForReset(device, piece)) ||
    asksForAfReset(device, piece);
  return resets ? [{ type: 'pci-reset-asked', device: name, by: 'function-level-reset' }] : [];
}

/** Initiate FLR of Advanced Features. */
function asksForAfReset(device: VfioPciDescription, { offset, size, value }: Piece): boolean {
  const at = registerOffset(device, 'AF_CTRL');
  if (at === null || at < offset || at >= offset + size) return false;
  return Math.floor(value / BYTE ** (at - offset)) % 2 === 1;
}

/** Bit 15 of Device Control, which a write of its high byte can reach alone. */
function asksForReset(device: VfioPciDescription, { offset, size, value }: Piece): boolean {
  const at = (registerOffset(device, 'EXP_DEVCTL') ?? 0) - offset;
  if (at + 1 < 0 || at + 1 >= size) return false;
  const high = Math.floor(value / BYTE ** (at + 1)) % BYTE;
  return high * BYTE >= EXP_DEVCTL_BCR_FLR;
}
