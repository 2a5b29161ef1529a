// Constructors of device descriptions in a user's words: BARs and regions with sizes such as '16M'. What they
// build is plain data; nothing is placed in physical memory before the machine plugs it, unless an address is
// given.

import type { Pa } from '../arch/addresses.ts';
import { pa } from '../arch/addresses.ts';
import type {
  EmulatedDescription,
  Gicv2Description,
  PlainPfnmapDescription,
  Region,
  VfioPciDescription,
} from './description.ts';
import { GICC, GICD, GICV, PCI_COMMAND_MEMORY } from './description.ts';
import { GICC_REGISTERS, GICD_REGISTERS, GICD_SIZE, GICV_REGISTERS, GICV_SIZE } from './gicv2/registers.ts';
import type { InterruptInput } from './interrupt-wires.ts';
import { wiresFrom } from './interrupt-wires.ts';
import type { RegisterInput } from './register.ts';
import { registersOf } from './register.ts';
import type { Size } from './sizes.ts';
import { bytesOf } from './sizes.ts';

/** Where a device without PCI gets one region. */
export interface RegionInput {
  readonly size: Size;
  readonly name?: string;
  /** Host physical address; the machine chooses one unless given. */
  readonly pa?: number;
  readonly registers?: readonly RegisterInput[];
  /** Offsets without a register keep bytes; by default if there are no registers. */
  readonly memory?: boolean;
  /** vm_page_prot of an mmap is cacheable. */
  readonly cacheable?: boolean;
}

export interface BarInput extends RegionInput {
  /** BAR number 0 to 5; by default the next free one (64-bit BARs take one number here). */
  readonly bar?: number;
  readonly prefetchable?: boolean;
  /** An I/O BAR, which no process can map on arm64. */
  readonly io?: boolean;
}

export interface VfioPciInput {
  readonly bars: readonly BarInput[];
  /** INTx of the function; messages (MSI) have no wire. */
  readonly interrupts?: readonly InterruptInput[];
  /** Command register when plugged, 16 bits; memory decoding is on unless given. */
  readonly command?: number;
}

export interface RegionsInput {
  readonly regions: readonly RegionInput[];
  readonly interrupts?: readonly InterruptInput[];
}

export interface EmulatedInput extends Omit<RegionInput, 'pa' | 'cacheable'> {
  readonly interrupts?: readonly InterruptInput[];
}

export interface Gicv2Input {
  /** Host physical address of GICV; the default is that of QEMU's virt machine. */
  readonly pa?: number;
  /** List registers of GICH, 1 to 64; 4 unless given, as a GIC-400 has. */
  readonly listRegisters?: number;
}

const LAST_BAR = 5;
const VIRT_GICV = 0x0804_0000;

/**
 * A PCI function assigned through vfio-pci.
 * @throws RangeError for no BAR, more than six, a size that is no power of two, or an address off its
 * alignment
 */
export function vfioPci(name: string, input: VfioPciInput): VfioPciDescription {
  checkName(name);
  const { command = PCI_COMMAND_MEMORY } = input;
  if (!Number.isInteger(command) || command < 0 || command > 0xffff) {
    throw new RangeError(`device '${name}': command register ${command} is not a number of 16 bits`);
  }
  const regions: Region[] = [];
  for (const bar of input.bars) regions.push(barOf(name, bar, (regions.at(-1)?.index ?? -1) + 1));
  checkRegions(name, regions);
  return { kind: 'vfio-pci', name, regions, command, ...wiresFrom(name, input.interrupts, regions) };
}

function barOf(name: string, input: BarInput, next: number): Region {
  const { bar = next, prefetchable = false, io = false } = input;
  if (!Number.isInteger(bar) || bar < 0 || bar > LAST_BAR) {
    throw new RangeError(`device '${name}': BAR ${bar} does not exist; a PCI function has BAR 0 to 5`);
  }
  const region = regionFrom(name, { name: `BAR${bar}`, ...input }, bar);
  if (!Number.isInteger(Math.log2(region.size)) || region.size < 16) {
    throw new RangeError(
      `device '${name}': BAR${bar} has ${region.size} bytes; a BAR is a power of two from 16`,
    );
  }
  if (region.pa !== null && region.pa % region.size !== 0) {
    throw new RangeError(
      `device '${name}': BAR${bar} has to start at a multiple of its ${region.size} bytes`,
    );
  }
  const unlisted = prefetchable && input.memory !== false ? 'bytes' : region.unlisted;
  return { ...region, prefetchable, space: io ? 'io' : 'memory', unlisted };
}

/** A platform device assigned through vfio-platform. @throws RangeError for bad regions */
export function vfioPlatform(name: string, input: RegionsInput): PlainPfnmapDescription {
  return plain('vfio-platform', name, input);
}

/** Device memory that a VMM maps through /dev/mem. @throws RangeError for bad regions */
export function devMem(name: string, input: RegionsInput): PlainPfnmapDescription {
  return plain('devmem', name, input);
}

/**
 * A PCI function whose BARs a VMM maps through the resource files of sysfs.
 * @throws RangeError for bad regions
 */
export function sysfsPci(name: string, input: RegionsInput): PlainPfnmapDescription {
  return plain('sysfs', name, input);
}

function plain(
  kind: PlainPfnmapDescription['kind'],
  name: string,
  { regions: inputs, interrupts }: RegionsInput,
): PlainPfnmapDescription {
  checkName(name);
  const regions = inputs.map((input, index) => regionFrom(name, { name: `reg${index}`, ...input }, index));
  checkRegions(name, regions);
  return { kind, name, regions, ...wiresFrom(name, interrupts, regions) };
}

/**
 * The host's GICv2 with its GICV frame. A frame that starts off a page of the host is trapped by KVM.
 * @throws RangeError for an address that is no multiple of 4, and for a number of list registers that no GICH has
 */
export function gicv2(name = 'gic', input: Gicv2Input = {}): Gicv2Description {
  checkName(name);
  const { listRegisters = 4 } = input;
  if (!Number.isInteger(listRegisters) || listRegisters < 1 || listRegisters > 64) {
    throw new RangeError(`device '${name}': ${listRegisters} list registers; a GICH has 1 to 64`);
  }
  const at = input.pa ?? VIRT_GICV;
  if (at % 4 !== 0) throw new RangeError(`device '${name}': GICV at ${at} has to start at a multiple of 4`);
  const gicv = { name: 'GICV', size: GICV_SIZE, pa: at, registers: GICV_REGISTERS };
  const gicd = { name: 'GICD', size: GICD_SIZE, registers: GICD_REGISTERS };
  const gicc = { name: 'GICC', size: GICV_SIZE, registers: GICC_REGISTERS };
  const regions = [regionFrom(name, gicv, GICV), regionFrom(name, gicd, GICD), regionFrom(name, gicc, GICC)];
  return { kind: 'gicv2', name, regions, listRegisters };
}

/**
 * A device that the VMM emulates; a scenario opens windows of VMs to it.
 * @throws RangeError for bad registers
 */
export function emulated(name: string, input: EmulatedInput): EmulatedDescription {
  checkName(name);
  const regions = [regionFrom(name, { name: 'window', ...input }, 0)];
  return { kind: 'emulated', name, regions, ...wiresFrom(name, input.interrupts, regions) };
}

function regionFrom(device: string, input: RegionInput & { readonly name: string }, index: number): Region {
  const where = `device '${device}', ${input.name}`;
  const size = bytesOf(input.size, where);
  const { registers = [], memory = registers.length === 0, cacheable = false } = input;
  return {
    name: input.name,
    index,
    pa: input.pa === undefined ? null : checkedPa(input.pa, size, where),
    size,
    space: 'memory',
    prefetchable: false,
    unlisted: memory ? 'bytes' : 'raz-wi',
    registers: registersOf(registers, size, where),
    cacheable,
  };
}

function checkedPa(address: number, size: number, where: string): Pa {
  if (!Number.isSafeInteger(address) || address < 0 || address + size > 2 ** 52) {
    throw new RangeError(`${where}: ${address} is no physical address of at most 52 bits`);
  }
  return pa(address);
}

function checkName(name: string): void {
  if (name.trim() === '') throw new RangeError('a device needs a name; give a short one such as gpu');
}

function checkRegions(name: string, regions: readonly Region[]): void {
  if (regions.length === 0) throw new RangeError(`device '${name}' has no region; give at least one`);
  const indices = new Set(regions.map(({ index }) => index));
  if (indices.size < regions.length) throw new RangeError(`device '${name}' has two regions of one number`);
}
