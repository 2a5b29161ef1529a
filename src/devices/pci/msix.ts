// MSI-X: the table and the pending bits as registers of their BAR, and what becomes of a raised vector: a message, or a
// pending bit while the vector or the function is masked (PCI 3.0, 6.8.2). Where the message goes is not the device's.

import type { VfioPciDescription } from '../description.ts';
import type { DeviceEvent } from '../events.ts';
import type { RegisterInput } from '../register.ts';
import type { DeviceState, RegionState } from '../state.ts';
import { configValue } from './config-space.ts';
import type { MsixCapability } from './function.ts';
import { capabilityOf, MSIX_ENTRY_SIZE } from './function.ts';

const FLAGS_ENABLE = 0x8000;
const FLAGS_MASKALL = 0x4000;
const CTRL_MASKBIT = 1n;
const BITS = 64;
const QUADWORD = 8;

const entry = (vector: number, field: 'ADDR' | 'UADDR' | 'DATA' | 'CTRL'): string =>
  `MSIX[${vector}].${field}`;
const pendingWord = (vector: number): string => `MSIX_PBA[${Math.floor(vector / BITS)}]`;
const pendingBit = (vector: number): bigint => 1n << BigInt(vector % BITS);

/** The registers that MSI-X has in a BAR: doublewords of the table, masked after reset, and quadwords of the PBA. */
export function msixRegisters({ vectors, table, pba }: MsixCapability, bar: number): RegisterInput[] {
  const registers: RegisterInput[] = [];
  for (let vector = 0; table.bar === bar && vector < vectors; vector++) {
    const at = table.offset + vector * MSIX_ENTRY_SIZE;
    registers.push(
      { name: entry(vector, 'ADDR'), offset: at },
      { name: entry(vector, 'UADDR'), offset: at + 4 },
      { name: entry(vector, 'DATA'), offset: at + 8 },
      { name: entry(vector, 'CTRL'), offset: at + 12, reset: CTRL_MASKBIT },
    );
  }
  for (let vector = 0; pba.bar === bar && vector < vectors; vector += BITS) {
    const offset = pba.offset + (vector / BITS) * QUADWORD;
    registers.push({ name: pendingWord(vector), offset, size: 8, sizes: [4, 8], access: 'RO' });
  }
  return registers;
}

/** Registers whose mask bits hold vectors back, by name: vector control of an entry, and the capability's flags. */
export const isMsixMask = (register: string | null): boolean =>
  register === 'MSIX_FLAGS' || (register?.startsWith('MSIX[') === true && register.endsWith('.CTRL'));

/** The device raised a vector: the message, if nothing masks it. */
export function decideMsix(device: DeviceState, id: number, vector: number): DeviceEvent[] {
  const { description } = device;
  if (description.kind !== 'vfio-pci') return [];
  const msix = capabilityOf(description.function, 'msi-x');
  if (msix === undefined || vector >= msix.vectors || blocks(device, description, msix, vector)) return [];
  const table = device.regions[msix.table.bar];
  const word = (field: 'ADDR' | 'UADDR' | 'DATA'): bigint => table?.registers[entry(vector, field)] ?? 0n;
  const address = (word('UADDR') << 32n) + word('ADDR');
  return [{ type: 'msix-sent', device: id, vector, address, data: Number(word('DATA')) }];
}

/** Messages that waited for a mask to go, in the order of their vectors. */
export function decideUnmasked(device: DeviceState, id: number): DeviceEvent[] {
  const { description } = device;
  if (description.kind !== 'vfio-pci') return [];
  const { vectors = 0 } = capabilityOf(description.function, 'msi-x') ?? {};
  return Array.from({ length: vectors }, (_, vector) => vector)
    .filter((vector) => isPending(device, vector))
    .flatMap((vector) => decideMsix(device, id, vector));
}

function blocks(
  device: DeviceState,
  description: VfioPciDescription,
  { table }: MsixCapability,
  vector: number,
): boolean {
  const flags = device.pci === null ? 0 : configValue(description, device.pci, 'MSIX_FLAGS');
  const control = device.regions[table.bar]?.registers[entry(vector, 'CTRL')] ?? CTRL_MASKBIT;
  return (flags & FLAGS_ENABLE) === 0 || (flags & FLAGS_MASKALL) !== 0 || (control & CTRL_MASKBIT) !== 0n;
}

/** Without MSI-X Enable there is no pending bit either. */
const remembers = (device: DeviceState, description: VfioPciDescription): boolean =>
  device.pci !== null && (configValue(description, device.pci, 'MSIX_FLAGS') & FLAGS_ENABLE) !== 0;

function pendingState(device: DeviceState): RegionState | undefined {
  if (device.description.kind !== 'vfio-pci') return undefined;
  const msix = capabilityOf(device.description.function, 'msi-x');
  return msix === undefined ? undefined : device.regions[msix.pba.bar];
}

const isPending = (device: DeviceState, vector: number): boolean =>
  ((pendingState(device)?.registers[pendingWord(vector)] ?? 0n) & pendingBit(vector)) !== 0n;

/** A vector that is masked when it is raised becomes pending; one that was sent is not any more. */
export function evolveMsix(
  device: DeviceState,
  event: DeviceEvent & { type: 'msix-raised' | 'msix-sent' },
): void {
  const { description } = device;
  const state = pendingState(device);
  if (description.kind !== 'vfio-pci' || state === undefined) return;
  const msix = capabilityOf(description.function, 'msi-x');
  if (msix === undefined || event.vector >= msix.vectors) return;
  const { vector } = event;
  const name = pendingWord(vector);
  const before = state.registers[name] ?? 0n;
  if (event.type === 'msix-sent') {
    if (isPending(device, vector)) state.registers[name] = before & ~pendingBit(vector);
  } else if (remembers(device, description) && blocks(device, description, msix, vector)) {
    state.registers[name] = before | pendingBit(vector);
  }
}

/** The bytes of a BAR that MSI-X has, as a VMM takes them out of what the guest gets mapped; none for other BARs. */
export function msixRanges(
  device: VfioPciDescription,
  bar: number,
): readonly { start: number; end: number }[] {
  const msix = capabilityOf(device.function, 'msi-x');
  if (msix === undefined) return [];
  const { vectors, table, pba } = msix;
  const pendingSize = Math.ceil(vectors / BITS) * QUADWORD;
  return [
    { place: table, size: vectors * MSIX_ENTRY_SIZE },
    { place: pba, size: pendingSize },
  ]
    .filter(({ place }) => place.bar === bar)
    .map(({ place: { offset }, size }) => ({ start: offset, end: offset + size }));
}
