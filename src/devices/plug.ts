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
import { wiresFrom } from './interrupt-wires.ts';
import type { PciFunction } from './pci/function.ts';
import { capabilityOf, pciFunction } from './pci/function.ts';
import { msixRegisters } from './pci/msix.ts';
import type { RomInput } from './pci/rom.ts';
import { ROM_REGION, ROM_SIGNATURE } from './pci/rom.ts';
import type {
  BarInput,
  EmulatedInput,
  Gicv2Input,
  RegionInput,
  RegionsInput,
  VfioPciInput,
} from './plug-input.ts';
import { pushBuffersOf } from './push-buffer.ts';
import type { RegisterInput } from './register.ts';
import { registersOf } from './register.ts';
import { bytesOf } from './sizes.ts';

const LAST_BAR = 5;
const FOUR_GIB = 2 ** 32;
/** From here on a BAR is taken to have 64 bits. */
const LARGE = 2 ** 28;
const VIRT_GICV = 0x0804_0000;
/** Address bits [10:0] of the ROM's BAR do not exist. */
const SMALLEST_ROM = 2048;

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
  const bars: Bar[] = [];
  for (const bar of input.bars) bars.push(barOf(name, bar, (bars.at(-1)?.region.index ?? -1) + 1));
  checkRegions(
    name,
    bars.map(({ region }) => region),
  );
  const memory = bars.filter(({ region }) => region.space === 'memory');
  const described = pciFunction(
    name,
    input,
    new Map(memory.map(({ region: { index, size } }) => [index, size])),
  );
  const regions = [
    ...bars.map((bar) => withMsix(name, withWidth(name, bar, bars), bar.registers, described)),
    ...(input.rom === undefined ? [] : [romOf(name, input.rom)]),
  ];
  const wires = wiresFrom(name, input.interrupts, regions);
  const bus = input.bus === undefined ? {} : { bus: input.bus };
  return { kind: 'vfio-pci', name, regions, command, function: described, ...bus, ...wires };
}

function romOf(name: string, { size, registers = ROM_SIGNATURE }: RomInput): Region {
  const region = regionFrom(name, { name: 'ROM', size, registers }, ROM_REGION);
  if (Number.isInteger(Math.log2(region.size)) && region.size >= SMALLEST_ROM) return region;
  throw new RangeError(`device '${name}': its ROM has ${region.size} bytes; a ROM is a power of two from 2K`);
}

/** The registers of the MSI-X table and its pending bits stand among those of their BAR. */
function withMsix(
  name: string,
  region: Region,
  own: readonly RegisterInput[],
  described: PciFunction,
): Region {
  const msix = capabilityOf(described, 'msi-x');
  const added = msix === undefined ? [] : msixRegisters(msix, region.index);
  if (added.length === 0) return region;
  return {
    ...region,
    registers: registersOf([...own, ...added], region.size, `device '${name}', ${region.name}`),
  };
}

interface Bar {
  readonly region: Region;
  readonly registers: readonly RegisterInput[];
  readonly bits: 32 | 64 | null;
}

function barOf(name: string, input: BarInput, next: number): Bar {
  const { bar = next, prefetchable = false, io = false, bits = null, cacheable = false } = input;
  const { mappedBy = cacheable ? 'variant' : 'core' } = input;
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
  const space = io ? 'io' : 'memory';
  return {
    region: { ...region, prefetchable, space, unlisted, mappedBy },
    registers: input.registers ?? [],
    bits,
  };
}

/** Whether a BAR has 64 bits, once all numbers are known. */
function withWidth(name: string, { region, bits }: Bar, bars: readonly Bar[]): Region {
  const { index, size, prefetchable, space, pa: at } = region;
  const nextIsFree = index < LAST_BAR && !bars.some((other) => other.region.index === index + 1);
  const wants = space === 'memory' && (prefetchable || size >= LARGE || (at ?? 0) >= FOUR_GIB);
  const is64 = bits === null ? wants && nextIsFree : bits === 64;
  if (is64 && !nextIsFree) {
    throw new RangeError(
      `device '${name}': BAR${index} has 64 bits, so BAR${index + 1} has to be left to it`,
    );
  }
  if (!is64 && (size > FOUR_GIB / 2 || (at ?? 0) >= FOUR_GIB)) {
    throw new RangeError(`device '${name}': BAR${index} needs 64 bits; leave the number behind it free`);
  }
  return { ...region, is64 };
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
  const { registers = [], memory = registers.length === 0, cacheable = false, pushBuffers = [] } = input;
  return {
    name: input.name,
    index,
    pa: input.pa === undefined ? null : checkedPa(input.pa, size, where),
    size,
    space: 'memory',
    prefetchable: false,
    is64: false,
    unlisted: memory ? 'bytes' : 'raz-wi',
    registers: registersOf(registers, size, where),
    pushBuffers: pushBuffersOf(pushBuffers, size, where),
    cacheable,
    mappedBy: 'core',
    ...(input.ram === true ? { ram: true } : {}),
    ...(input.atomics === true ? { atomics: true } : {}),
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
