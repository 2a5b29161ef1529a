// The expansion ROM of a function: a BAR that vfio-pci sizes and lets a user read through its region, and never maps
// (vfio_bar_fixup(), vfio_pci_ioctl_get_region_info(); PCI 3.0, 6.2.5.2).

import type { Region, VfioPciDescription } from '../description.ts';
import type { RegisterInput } from '../register.ts';
import type { Size } from '../sizes.ts';
import type { ConfigField } from './config-field.ts';
import { field } from './config-field.ts';

/** VFIO_PCI_ROM_REGION_INDEX: behind the BARs. */
export const ROM_REGION = 6;
/** PCI_ROM_ADDRESS, in config space. */
export const ROM_ADDRESS = 0x30;
/** PCI_ROM_ADDRESS_ENABLE. */
export const ROM_ENABLE = 1;

const ALL = 0xffff_ffff;

export interface RomInput {
  /** A power of two from 2K. */
  readonly size: Size;
  /** Words of the image; the signature 0xaa55 unless given. What is not listed reads as zero. */
  readonly registers?: readonly RegisterInput[];
}

/** The first two bytes of an image (PCI 3.0, 6.3.1.1). */
export const ROM_SIGNATURE: readonly RegisterInput[] = [
  { name: 'ROM_SIGNATURE', offset: 0, size: 2, access: 'RO', reset: 0xaa55 },
];

export const isRom = (region: number): boolean => region === ROM_REGION;

/** Address and Enable are kept by vfio-pci alone: the kernel switches the decoder on for itself as it reads. */
export function romField({ regions }: VfioPciDescription): readonly ConfigField[] {
  const rom = regions.find(({ index }) => isRom(index));
  return rom === undefined ? [] : [register(rom)];
}

function register({ size, pa }: Region): ConfigField {
  const write = ALL - (size - 1) + ROM_ENABLE;
  return field('ROM_ADDRESS', ROM_ADDRESS, 4, pa ?? 0, { virt: ALL, write });
}
