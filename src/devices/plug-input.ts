// What a user says of a device: BARs and regions with sizes such as '16M', interrupts, and what else stands in a data
// sheet. All but sizes has a default.

import type { InterruptInput } from './interrupt-wires.ts';
import type { PciFunctionInput } from './pci/function.ts';
import type { RomInput } from './pci/rom.ts';
import type { PushBufferInput } from './push-buffer.ts';
import type { RegisterInput } from './register.ts';
import type { Size } from './sizes.ts';

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
  /** Places that take entries by combined writes. */
  readonly pushBuffers?: readonly PushBufferInput[];
  /** Host RAM that the kernel maps, reached through a PFNMAP mapping: KVM takes it as Normal. */
  readonly ram?: boolean;
  /** It answers atomics: an AtomicOp completer on PCI Express (FetchAdd, Swap, CAS), any of them elsewhere. */
  readonly atomics?: boolean;
}

export interface BarInput extends RegionInput {
  /** BAR number 0 to 5; by default the next one. */
  readonly bar?: number;
  /**
   * A 64-bit BAR takes its number and the next. Prefetchable and large BARs have 64 bits where the next number is free,
   * others 32.
   */
  readonly bits?: 32 | 64;
  /**
   * Whose mmap it is: vfio-pci core, which sets VM_ALLOW_ANY_UNCACHED, or a variant driver's own, which does not.
   * `variant` for cacheable BARs, `core` for others unless given.
   */
  readonly mappedBy?: 'core' | 'variant';
  readonly prefetchable?: boolean;
  /** An I/O BAR, which no process can map on arm64. */
  readonly io?: boolean;
}

export interface VfioPciInput extends PciFunctionInput {
  readonly bars: readonly BarInput[];
  /** INTx of the function; messages (MSI) have no wire. */
  readonly interrupts?: readonly InterruptInput[];
  /** Command register when plugged, 16 bits; memory decoding is on unless given. */
  readonly command?: number;
  /** Expansion ROM: a region that can be read and is never mapped. None unless given. */
  readonly rom?: RomInput;
  /** Name of the bus that a hot reset resets, with all functions on it; a bus of its own unless given. */
  readonly bus?: string;
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
