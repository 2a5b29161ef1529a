// Addresses that a scenario leaves open, the same in every run: physical addresses of its devices in plugging order,
// and where a VMM process maps RAM and regions. Mappings are congruent modulo their size, as QEMU's are since 9.2.

import type { Hva, Pa } from '../arch/addresses.ts';
import { alignUp } from '../arch/addresses.ts';
import type { PaRange } from '../arch/transaction.ts';
import type { DeviceDescription } from '../devices/description.ts';
import { placeRegions } from '../devices/layout.ts';

/**
 * The devices with a physical address for every region that has one.
 * @throws RangeError if two regions overlap or there is no room left
 */
export function placeDevices(devices: readonly DeviceDescription[]): readonly DeviceDescription[] {
  const taken: PaRange[] = [];
  return devices.map((device) => {
    const placed = placeRegions(device, taken);
    for (const { pa, size } of placed.regions) {
      if (pa !== null) taken.push({ start: pa, end: (pa + size) as Pa });
    }
    return placed;
  });
}

/** First mapping of a VMM process. */
const HVA_BASE = 0xff00_0000_0000;
/** Mappings stand at least the largest page size apart, so that no two VMAs touch. */
const GAP = 0x1_0000;
/** A mapping is aligned to its size, between a block of level 2 and one of level 1. */
const SMALLEST_ALIGNMENT = 2 ** 21;
const LARGEST_ALIGNMENT = 2 ** 30;

/** The address space of one VMM process: each mapping behind the last. */
export interface HvaSpace {
  /** @param like address whose offset within a block the mapping shares; 0 unless given */
  map(size: number, like?: number): Hva;
}

export function createHvaSpace(): HvaSpace {
  let next = HVA_BASE;
  return {
    map(size, like = 0) {
      const natural = 2 ** Math.ceil(Math.log2(size));
      const alignment = Math.min(LARGEST_ALIGNMENT, Math.max(SMALLEST_ALIGNMENT, natural));
      const start = alignUp(next, alignment) + (like % alignment);
      next = start + size + GAP;
      return start as Hva;
    },
  };
}
