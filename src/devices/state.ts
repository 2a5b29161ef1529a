// What a device remembers: one flat slice each. Registers that still have their reset value are not stored.

import type { DeviceDescription } from './description.ts';
import type { Vgic } from './gicv2/vgic.ts';
import type { DeviceMemory } from './memory.ts';
import { EMPTY_MEMORY } from './memory.ts';
import type { MmioWindow } from './mmio-window.ts';
import type { AssignedBar } from './pci/assigned-bar.ts';
import type { PciState } from './pci/config-space.ts';
import { claimsMemory, INITIAL_PCI } from './pci/config-space.ts';

export interface RegionState {
  /** By name; an absent register has its reset value. */
  registers: Record<string, bigint>;
  /** Bytes of offsets without a register. */
  memory: DeviceMemory;
}

export interface DeviceState {
  description: DeviceDescription;
  /** Claims memory requests: PCI memory space enable, in D0; true for whatever is not PCI. */
  memoryEnabled: boolean;
  /** Config space of a function behind vfio-pci; null for others. */
  pci: PciState | null;
  /** By the region's number. */
  regions: Record<number, RegionState>;
  windows: readonly MmioWindow[];
  /** BARs that a VMM maps where its guest's config space wants them. */
  bars: readonly AssignedBar[];
  /** Interrupt wires by name: whether each is high; one that never changed is low. */
  lines: Readonly<Record<string, boolean>>;
  /** GICv2: the distributor and CPU interfaces of each VM, by the VM's number. */
  vgics: Record<number, Vgic>;
}

export function initialDevice(description: DeviceDescription): DeviceState {
  const isVfioPci = description.kind === 'vfio-pci';
  return {
    description,
    memoryEnabled: !isVfioPci || claimsMemory(description, INITIAL_PCI),
    pci: isVfioPci ? INITIAL_PCI : null,
    regions: initialRegions(description),
    windows: [],
    bars: [],
    lines: {},
    vgics: {},
  };
}

/** Registers and memory as they are after a reset. */
export const initialRegions = ({ regions }: DeviceDescription): Record<number, RegionState> =>
  Object.fromEntries(regions.map(({ index }) => [index, initialRegion()] as const));

const initialRegion = (): RegionState => ({ registers: {}, memory: EMPTY_MEMORY });
