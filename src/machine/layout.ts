// Addresses that a scenario leaves open, the same in every run: where devices stand in host physical memory, and where
// a VMM process maps RAM and regions. Mappings are congruent modulo their size, as QEMU's are since 9.2.

import type { Hva, Pa } from '../arch/addresses.ts';
import { alignUp, pa } from '../arch/addresses.ts';
import type { DeviceDescription, Region } from '../devices/description.ts';

/** First physical address of devices that name none; RAM of the host stands from 2^40 on. */
const DEVICE_BASE = 0x60_0000_0000;
const DEVICE_END = 2 ** 40 - 2 ** 30;
/** First mapping of a VMM process. */
const HVA_BASE = 0xff00_0000_0000;
/** Regions and mappings stand at least that far apart: the largest page size. */
const GAP = 0x1_0000;
/** A mapping is aligned to its size, up to a block of level 1. */
const LARGEST_ALIGNMENT = 2 ** 30;
const SMALLEST_ALIGNMENT = 2 ** 21;

/** The smallest power of two that is at least `size`. */
const powerOfTwo = (size: number): number => 2 ** Math.ceil(Math.log2(size));

/**
 * The devices with a physical address for each region: BARs at multiples of their size.
 * @throws RangeError if two regions overlap or there is no room left
 */
export function placeDevices(devices: readonly DeviceDescription[]): readonly DeviceDescription[] {
  const taken: { readonly name: string; readonly start: number; readonly end: number }[] = [];
  let next = DEVICE_BASE;
  const place = (device: DeviceDescription, region: Region): Region => {
    const at = region.pa ?? pa(alignUp(next, Math.max(GAP, powerOfTwo(region.size))));
    const name = `${device.name}.${region.name}`;
    const end = at + region.size;
    const other = taken.find((it) => at < it.end && it.start < end);
    if (other !== undefined) throw new RangeError(`${name} and ${other.name} overlap in host physical memory`);
    if (region.pa === null && end > DEVICE_END) throw new RangeError(`${name}: no room of ${region.size} bytes`);
    if (region.pa === null) next = end + GAP;
    taken.push({ name, start: at, end });
    return { ...region, pa: at };
  };
  return devices.map((device) =>
    device.kind === 'emulated'
      ? device
      : { ...device, regions: device.regions.map((region) => place(device, region)) },
  );
}

/** The address space of one VMM process: each mapping behind the last. */
export interface HvaSpace {
  /** @param like physical address whose offset in a block the mapping shares; 0 unless given */
  map(size: number, like?: Pa): Hva;
}

export function createHvaSpace(): HvaSpace {
  let next = HVA_BASE;
  return {
    map(size, like) {
      const alignment = Math.min(LARGEST_ALIGNMENT, Math.max(SMALLEST_ALIGNMENT, powerOfTwo(size)));
      const start = alignUp(next, alignment) + ((like ?? 0) % alignment);
      next = start + size + GAP;
      return start as Hva;
    },
  };
}
