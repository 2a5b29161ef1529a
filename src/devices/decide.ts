// What a device does about a transaction or an emulated access: pure, from its slice to the reads and writes
// of its registers and the answer. Registers change in evolve, by the rules they declare.

import type { Transaction } from '../arch/transaction.ts';
import { bytesOfValue, valueOfBytes } from '../arch/transaction.ts';
import type { Region } from './description.ts';
import { regionOf } from './description.ts';
import type { DeviceEvent, Requester } from './events.ts';
import { afterGicAccess, gicEffect, readGic } from './gicv2/device.ts';
import { haltsVcpus } from './gicv2/distributor.ts';
import { maintenanceOf } from './gicv2/gich.ts';
import { endedByDir, isInLr } from './gicv2/trapped-dir.ts';
import type { Vgic } from './gicv2/vgic.ts';
import { concernsBars } from './pci/assigned-bar.ts';
import { PCI_CONFIG_REGION } from './pci/config-space.ts';
import { decideConfig } from './pci/decide-config.ts';
import { isMsixMask } from './pci/msix.ts';
import type { RegionPiece } from './pieces.ts';
import { answers, bytesFor, piecesOf } from './pieces.ts';
import { readPiece } from './plain-region.ts';
import type { PushBuffer } from './push-buffer.ts';
import { pushBufferAt, pushed } from './push-buffer.ts';
import type { DeviceState } from './state.ts';

/** A transaction that the interconnect brought to a region. */
export interface TransactionInput {
  readonly by: Requester;
  readonly transaction: Transaction;
  readonly region: number;
  /** Bytes from the start of the region. */
  readonly offset: number;
}

/** A load or store that KVM decoded for whoever emulates it. */
export interface MmioInput {
  readonly by: Requester;
  readonly region: number;
  readonly offset: number;
  readonly size: number;
  readonly write: boolean;
  /** Value of a store; null where it is not known, and for loads. */
  readonly value: bigint | null;
}

/** A transaction that reached the region of a device. @param id number of the device's slice */
export function decideTransaction(device: DeviceState, id: number, input: TransactionInput): DeviceEvent[] {
  const { by, transaction } = input;
  if (!device.memoryEnabled) return unclaimedTransaction(by, transaction, 'memory-space-disabled');
  const { events, value } = performed(device, id, { ...input, ...transaction });
  return [...events, ...answered(by, transaction, value), ...maintenance(device, id, by, events)];
}

/**
 * The maintenance interrupt that hardware raises after an access to a virtual CPU interface; here it is taken before
 * the next instruction, which is sooner than it has to be.
 */
function maintenance(
  device: DeviceState,
  id: number,
  by: Requester,
  events: readonly DeviceEvent[],
): DeviceEvent[] {
  const vgic = device.vgics[by.vm];
  if (device.description.kind !== 'gicv2' || vgic === undefined) return [];
  const after = events.reduce((state, event) => afterGicAccess(device.description, state, event), vgic);
  const cpu = after.cpus[by.index];
  const causes = cpu === undefined || !cpu.inGuest ? [] : maintenanceOf(cpu);
  if (causes.length === 0) return [];
  return [{ type: 'maintenance-interrupt', device: id, vm: by.vm, cpu: by.index, causes }];
}

/** No device is there: an all-ones completion, as PCIe root complexes give. */
export function unclaimedTransaction(
  by: Requester,
  transaction: Transaction,
  because: 'memory-space-disabled' | 'no-device',
): DeviceEvent[] {
  const { kind, pa, size } = transaction;
  const value = kind === 'read' ? allOnes(size) : null;
  return [
    { type: 'transaction-unclaimed', pa, kind, size, by, because },
    ...answered(by, transaction, value),
  ];
}

function answered(by: Requester, transaction: Transaction, value: bigint | null): DeviceEvent[] {
  const { vm, vcpu } = by;
  const { access, keeps } = transaction;
  if (keeps === true && value !== null) {
    const { pa, size, memoryType } = transaction;
    return [{ type: 'speculation-answered', vm, vcpu, read: { pa, size, memoryType, value } }];
  }
  return access === null ? [] : [{ type: 'transaction-answered', vm, vcpu, access, value }];
}

/** An access in a window of an emulated device, or at the distributor that the kernel emulates. */
export function decideMmio(device: DeviceState, id: number, input: MmioInput): DeviceEvent[] {
  const { by, size, write } = input;
  if (input.region === PCI_CONFIG_REGION) return ecam(device, id, input);
  if (!device.memoryEnabled) return mmioAnswer(by, write ? null : allOnes(size));
  const bytes = input.value === null ? null : bytesOfValue(input.value, size);
  const { events, value } = performed(device, id, { ...input, kind: write ? 'write' : 'read', bytes });
  return [...events, ...mmioAnswer(by, value), ...maintenance(device, id, by, events)];
}

/** What an access that the kernel emulates for a VM's GIC means for the VM besides its answer. */
export interface InKernelAccess {
  /** The kernel stops all vCPUs of the VM for it. */
  readonly halts: boolean;
  /** The level that it ends; null for none. */
  readonly ends: number | null;
}

export function inKernelAccess(device: DeviceState, vgic: Vgic, input: MmioInput): InKernelAccess {
  const { region, offset, size, value } = input;
  const [piece] = piecesOf(regionOf(device.description, region), offset, size);
  const name = piece === undefined || !answers({ ...piece, size }) ? '' : (piece.register?.name ?? '');
  if (name !== 'GICC_DIR' || value === null) return { halts: haltsVcpus(name), ends: null };
  const { index } = input.by;
  return { halts: isInLr(vgic, index, Number(value)), ends: endedByDir(vgic, index, Number(value)) };
}

/**
 * ECAM is the VMM's: it hands the access on to vfio-pci, then maps BARs as the guest asked (vfio_pci_write_config()). A
 * store of unknown value is answered and forgotten; a device that is not behind vfio-pci has no config space to show.
 */
function ecam(device: DeviceState, id: number, { by, offset, size, write, value }: MmioInput): DeviceEvent[] {
  const { description, pci } = device;
  if (description.kind !== 'vfio-pci' || pci === null) return unassignedMmio(by, write);
  if (write && value === null) return mmioAnswer(by, null);
  const access = { by, offset, size, write: write ? value : null };
  const done = decideConfig(description, pci, id, access);
  const { vm, vcpu } = by;
  if (write && concernsBars(description, device.bars, vm, access))
    return [...done.events, { type: 'bar-mappings-due', device: id, vm, vcpu }];
  return [...done.events, ...mmioAnswer(by, done.value)];
}

/** The VMM's own access to config space, by pread() and pwrite() on the VFIO device. */
export function decideVmmConfig(
  device: DeviceState,
  id: number,
  { offset, size, write }: { readonly offset: number; readonly size: number; readonly write: bigint | null },
): DeviceEvent[] {
  const { description, pci } = device;
  if (description.kind !== 'vfio-pci' || pci === null) return [];
  return decideConfig(description, pci, id, { by: null, offset, size, write }).events;
}

/**
 * What a VMM answers where it emulates nothing: reads give 0, writes are ignored (QEMU, unassigned_mem_ops).
 */
export const unassignedMmio = (by: Requester, write: boolean): DeviceEvent[] =>
  mmioAnswer(by, write ? null : 0n);

/** What a VMM answers where its PCI host bridge has no BAR: all ones (QEMU's gpex, unassigned_io_ops). */
export const emptyBridge = (
  by: Requester,
  { write, size }: { readonly write: boolean; readonly size: number },
): DeviceEvent[] => mmioAnswer(by, write ? null : allOnes(size));

/** The kernel emulates the access by rules that are not modelled (GICv3): what it gave is not known. */
export const unmodelledMmio = (by: Requester): DeviceEvent[] => mmioAnswer(by, null);

const mmioAnswer = ({ vm, vcpu }: Requester, value: bigint | null): DeviceEvent[] => [
  { type: 'mmio-answered', vm, vcpu, value },
];

const allOnes = (size: number): bigint => 2n ** BigInt(size * 8) - 1n;

interface Request {
  readonly by: Requester;
  readonly kind: 'read' | 'write';
  readonly region: number;
  readonly offset: number;
  readonly size: number;
  readonly bytes: readonly number[] | null;
}

function performed(
  device: DeviceState,
  id: number,
  request: Request,
): { readonly events: DeviceEvent[]; readonly value: bigint | null } {
  const region = regionOf(device.description, request.region);
  const events: DeviceEvent[] = [];
  const read: number[] = [];
  for (const piece of requestPieces(device, region, request)) {
    const at = {
      device: id,
      region: region.index,
      offset: piece.offset,
      size: piece.size,
      by: request.by,
      register: piece.register?.name ?? pushBufferOf(region, request, piece)?.name ?? null,
      effect: effectOf(device, region, request, piece),
    };
    if (request.kind === 'read') {
      const bytes = valueRead(device, region, request, piece);
      read.push(...bytes);
      events.push({ type: 'device-read', ...at, value: valueOfBytes(bytes) });
    } else {
      events.push({ type: 'device-written', ...at, bytes: bytesFor(piece, request.offset, request.bytes) });
      if (isMsixMask(at.register)) events.push({ type: 'msix-mask-written', device: id });
    }
  }
  return { events, value: request.kind === 'read' ? valueOfBytes(read) : null };
}

/**
 * A GIC decodes the access as it came, so that a wrong size answers nothing; others cut at register
 * boundaries.
 */
function requestPieces(device: DeviceState, region: Region, { offset, size }: Request): RegionPiece[] {
  const pieces = piecesOf(region, offset, size);
  if (device.description.kind !== 'gicv2' || pieces.length === 1) return pieces;
  return [{ offset, size, register: pieces[0]?.register ?? null }];
}

function valueRead(
  device: DeviceState,
  region: Region,
  request: Request,
  piece: RegionPiece,
): readonly number[] {
  if (device.description.kind === 'gicv2')
    return readGic(device.vgics[request.by.vm], request.by.index, piece);
  const state = device.regions[region.index];
  return state === undefined ? [] : readPiece(region, state, piece);
}

/** Only writes push. */
const pushBufferOf = (region: Region, { kind }: Request, { offset }: RegionPiece): PushBuffer | undefined =>
  kind === 'write' ? pushBufferAt(region.pushBuffers, offset) : undefined;

function effectOf(device: DeviceState, region: Region, request: Request, piece: RegionPiece): string | null {
  const { register } = piece;
  if (register === null) {
    const buffer = pushBufferOf(region, request, piece);
    return buffer === undefined ? null : pushed(buffer, piece.offset, piece.size);
  }
  if (!answers(piece)) return `RAZ/WI: ${register.name} does not answer ${piece.size} bytes here`;
  const declared = request.kind === 'read' ? register.readEffect : register.writeEffect;
  if (device.description.kind !== 'gicv2' || request.kind === 'write') return declared;
  return gicEffect(device.vgics[request.by.vm], request.by.index, piece, declared);
}
