// Where the regions of a device lie in the host's physical memory: as given, else the first free place of a
// window in the manner of QEMU's virt machine, naturally aligned. The same devices in the same order lie at
// the same addresses.

import type { Pa } from '../arch/addresses.ts';
import { alignUp } from '../arch/addresses.ts';
import type { PaRange } from '../arch/transaction.ts';
import type { DeviceDescription, Region } from './description.ts';

/**
 * Windows of the virt machine: PCI 32-bit MMIO, PCI 64-bit MMIO, platform bus. RAM of the VMs lies behind
 * them.
 */
const PCI_MMIO_32 = { start: 0x1000_0000, end: 0x3eff_0000 };
const PCI_MMIO_64 = { start: 2 ** 39, end: 2 ** 40 };
const PLATFORM = { start: 0x4000_0000, end: 2 ** 39 };

/** A BAR of a sysfs device from here on is taken to have 64 bits. */
const LARGE = 2 ** 28;
const PAGE = 4096;

/**
 * The description with an address for every region that has host memory.
 * @param taken ranges of what is plugged already
 * @throws RangeError for an address that is taken or belongs to RAM, or if a window is full
 */
export function placeRegions(device: DeviceDescription, taken: readonly PaRange[]): DeviceDescription {
  const used = [...taken];
  const regions = device.regions.map((region) => {
    if (!hasHostMemory(device, region)) return region;
    const where = `device '${device.name}', ${region.name}`;
    const start = region.pa ?? firstFree(windowOf(device, region), region.size, used, where);
    checkFree(start, region.size, used, where);
    used.push({ start, end: (start + region.size) as Pa });
    return { ...region, pa: start };
  });
  return { ...device, regions };
}

/** Emulated windows and the distributor exist only in VMs; I/O BARs have no memory address. */
const hasHostMemory = (device: DeviceDescription, region: Region): boolean =>
  device.kind !== 'emulated' && region.space === 'memory' && (device.kind !== 'gicv2' || region.pa !== null);

function windowOf(device: DeviceDescription, region: Region): { start: number; end: number } {
  if (device.kind !== 'vfio-pci' && device.kind !== 'sysfs') return PLATFORM;
  const wide = region.is64 || (device.kind === 'sysfs' && region.size >= LARGE);
  return wide ? PCI_MMIO_64 : PCI_MMIO_32;
}

function firstFree(
  window: { start: number; end: number },
  size: number,
  used: readonly PaRange[],
  where: string,
): Pa {
  const alignment = Math.max(PAGE, 2 ** Math.ceil(Math.log2(size)));
  let at = alignUp(window.start, alignment);
  for (const range of used.toSorted((a, b) => a.start - b.start)) {
    if (range.start < at + size && range.end > at) at = alignUp(range.end as number, alignment);
  }
  if (at + size <= window.end) return at as Pa;
  throw new RangeError(`${where}: no room for ${size} bytes in physical memory; plug less or give addresses`);
}

function checkFree(start: Pa, size: number, used: readonly PaRange[], where: string): void {
  const hex = `0x${start.toString(16)}`;
  if (start + size > PCI_MMIO_64.end) {
    throw new RangeError(`${where}: ${hex} is RAM of the VMs; physical addresses of devices end at 1T`);
  }
  if (used.some((range) => range.start < start + size && range.end > start)) {
    throw new RangeError(`${where}: ${hex} is taken by another region; give another address or none`);
  }
}
