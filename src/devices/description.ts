// What a device is, as plain data: its kind, its regions with size and registers, and what of them a VMM can
// mmap. The host learns of it only what an mmap gives (driver, physical address, flags); see mmap.ts.

import type { Pa } from '../arch/addresses.ts';
import type { PciFunction } from './pci/function.ts';
import type { PushBuffer } from './push-buffer.ts';
import type { Register } from './register.ts';

export interface Region {
  /** `BAR2`, `reg0`, `GICV`, or what the scenario calls it. */
  readonly name: string;
  /** BAR number of a PCI function, else the number of the region in the device. */
  readonly index: number;
  /** Host physical address; null until plugged, and for windows that only exist in a VM. */
  readonly pa: Pa | null;
  /** Bytes. */
  readonly size: number;
  /** An I/O BAR cannot be mapped into a process on arm64. */
  readonly space: 'memory' | 'io';
  /** PCI prefetchable: reads have no side effects, writes may be merged (PCI 3.0, 6.2.5.1). */
  readonly prefetchable: boolean;
  /** A 64-bit BAR: the next number holds the upper half of its address. */
  readonly is64: boolean;
  /** Offsets without a register: keep bytes like a frame buffer, or read as zero and ignore writes. */
  readonly unlisted: 'bytes' | 'raz-wi';
  /** Sorted by offset. */
  readonly registers: readonly Register[];
  /** Places that take entries pushed by combined writes; sorted by offset. */
  readonly pushBuffers: readonly PushBuffer[];
  /** vm_page_prot of an mmap is cacheable, as some variant drivers of coherent devices map memory. */
  readonly cacheable: boolean;
  /** vfio-pci core maps it, which sets VM_ALLOW_ANY_UNCACHED; a variant driver's own mmap does not. */
  readonly mappedBy: 'core' | 'variant';
  /** RAM that the kernel maps (pfn_is_map_memory): a carve-out, or a buffer of another driver. */
  readonly ram?: true;
  /** It answers atomics: an AtomicOp completer on PCI Express, atomic transactions of AMBA elsewhere. */
  readonly atomics?: true;
}

/** An interrupt wire of a device, driven by its registers: high while an enabled status bit is set. */
export interface InterruptWire {
  /** `INTA`, `irq0`. */
  readonly name: string;
  /** How the host's driver treats it: VFIO masks a level until it is told of its end, an edge never. */
  readonly trigger: 'level' | 'edge';
  /** Number of the region with both registers. */
  readonly region: number;
  /** Name of the status register. */
  readonly status: string;
  /** Name of the register whose set bits let status bits through; null for all. */
  readonly enable: string | null;
}

interface Named {
  /** Unique in the machine; for PCI functions as a bus address or a name of the scenario's choice. */
  readonly name: string;
  readonly regions: readonly Region[];
  /** Absent for none. */
  readonly interrupts?: readonly InterruptWire[];
}

/** A PCI function behind vfio-pci: BARs that answer while memory decoding is on. */
export interface VfioPciDescription extends Named {
  readonly kind: 'vfio-pci';
  /** The command register (config space offset 4) when plugged; bit 1 is memory space enable. */
  readonly command: number;
  readonly function: PciFunction;
  /** Functions of one name here are behind one bridge, and a hot reset resets all of them; absent for alone. */
  readonly bus?: string;
}

/** Memory that reaches a VM as PFNMAP without VM_ALLOW_ANY_UNCACHED: not PCI, or not through vfio-pci. */
export interface PlainPfnmapDescription extends Named {
  readonly kind: 'vfio-platform' | 'devmem' | 'sysfs';
}

/**
 * GICv2 with virtualization extensions: GICV is a region, the distributor of each VM is emulated in the
 * kernel.
 */
export interface Gicv2Description extends Named {
  readonly kind: 'gicv2';
  /** GICH_VTR.ListRegs + 1: 1 to 64, four on a GIC-400. */
  readonly listRegisters: number;
}

/** A device of the VMM: registers behind MMIO exits, in windows of VMs. */
export interface EmulatedDescription extends Named {
  readonly kind: 'emulated';
}

export type DeviceDescription =
  | VfioPciDescription
  | PlainPfnmapDescription
  | Gicv2Description
  | EmulatedDescription;

export type DeviceKind = DeviceDescription['kind'];

/** PCI_COMMAND_MEMORY: the function answers memory accesses. */
export const PCI_COMMAND_MEMORY = 0b10;

/**
 * Regions of a GICv2: the CPU interface, which is hardware, and what the kernel emulates for each VM: the distributor,
 * and GICC_DIR where it is trapped.
 */
export const GICV = 0;
export const GICD = 1;
export const GICC = 2;

/** @throws RangeError that names the device and the regions it has */
export function regionOf(device: DeviceDescription, index: number): Region {
  const region = device.regions.find((candidate) => candidate.index === index);
  if (region !== undefined) return region;
  const known = device.regions.map(({ name }) => name).join(', ');
  throw new RangeError(`device '${device.name}' has no region ${index}; it has ${known}`);
}
