// What an mmap of a region gives a VMM: the VMA's driver, address and flags, or the errno of a driver that
// refuses. Follows vfio_pci_core_mmap() and vfio_pci_probe_mmaps(), vfio_platform_mmap(), pci_mmap_resource()
// and mmap_mem().

import type { Pa } from '../arch/addresses.ts';
import type { DeviceDescription, Region } from './description.ts';
import { GICV, regionOf } from './description.ts';

/** The VMA of a mapped region; `offset` bytes into it where the mapping begins there. */
export interface PfnmapBacking {
  readonly kind: 'pfnmap';
  readonly driver: 'vfio-pci' | 'vfio-platform' | 'devmem' | 'sysfs';
  readonly device: string | null;
  readonly pa: Pa;
  readonly allowAnyUncached: boolean;
  readonly cacheable: boolean;
  /** Only where it is so. */
  readonly ram?: true;
  readonly fileOffset: number;
}

export type MmapRefusal =
  /** VFIO_REGION_INFO_FLAG_MMAP is clear: the region shares a host page with something else. */
  | 'region-smaller-than-page'
  /** The region does not start and end at page boundaries, which vfio-platform asks for. */
  | 'region-not-page-aligned'
  /** Port I/O has no memory mapping on arm64. */
  | 'io-bar'
  /** The kernel itself maps GICV at the first KVM_RUN; user space never does. */
  | 'mapped-by-kvm'
  /** Emulated: there is nothing to map. */
  | 'no-host-memory';

export type MmapResult =
  | { readonly kind: 'mapped'; readonly backing: PfnmapBacking }
  | { readonly kind: 'refused'; readonly errno: number; readonly because: MmapRefusal };

/** What of the host decides an mmap. */
export interface MmapHost {
  /** Bytes. */
  readonly pageSize: number;
  /** The kernel feature of the same name. Linux 6.9, a39d3a966a09. */
  readonly vfioPciAllowsAnyUncached: boolean;
}

const EINVAL = 22;

/** VFIO_PCI_INDEX_TO_OFFSET and VFIO_PLATFORM_INDEX_TO_OFFSET: the region's number stands in bits 63:40. */
const VFIO_INDEX = 2 ** 40;

/**
 * @param index number of the region: the BAR of a PCI function
 * @param offset bytes into the region, a multiple of the page size
 * @throws RangeError for a region that the device does not have, or that was not placed yet
 */
export function mmapRegion(device: DeviceDescription, index: number, host: MmapHost, offset = 0): MmapResult {
  const region = regionOf(device, index);
  const because = refusal(device, region, host.pageSize);
  if (because !== null) return { kind: 'refused', errno: EINVAL, because };
  if (device.kind === 'gicv2' || device.kind === 'emulated')
    throw new RangeError(`${device.name} is not mapped`);
  if (region.pa === null)
    throw new RangeError(`device '${device.name}' is not plugged: ${region.name} has no address`);
  const base = region.pa + offset;
  const isVfioPci = device.kind === 'vfio-pci';
  const backing: PfnmapBacking = {
    kind: 'pfnmap',
    driver: device.kind,
    device: device.kind === 'devmem' ? null : device.name,
    pa: base as Pa,
    // A variant driver that maps cacheable memory does it in its own mmap, which sets no flag (nvgrace-gpu).
    allowAnyUncached: isVfioPci && host.vfioPciAllowsAnyUncached && !region.cacheable,
    cacheable: region.cacheable,
    ...(region.ram === true ? { ram: true } : {}),
    fileOffset: fileOffset(device, region, base, offset),
  };
  return { kind: 'mapped', backing };
}

function refusal(device: DeviceDescription, region: Region, pageSize: number): MmapRefusal | null {
  if (device.kind === 'gicv2') return region.index === GICV ? 'mapped-by-kvm' : 'no-host-memory';
  if (device.kind === 'emulated') return 'no-host-memory';
  if (region.space === 'io') return 'io-bar';
  if (device.kind === 'vfio-pci' && region.size < pageSize) return 'region-smaller-than-page';
  if (
    device.kind === 'vfio-platform' &&
    ((region.pa ?? 0) % pageSize !== 0 || region.size % pageSize !== 0)
  ) {
    return region.size < pageSize ? 'region-smaller-than-page' : 'region-not-page-aligned';
  }
  return null;
}

/**
 * /dev/mem is indexed by physical address, a resource file holds one BAR, VFIO puts the region into the high
 * bits.
 */
function fileOffset(device: DeviceDescription, region: Region, base: number, offset: number): number {
  if (device.kind === 'devmem') return base;
  return device.kind === 'sysfs' ? offset : region.index * VFIO_INDEX + offset;
}
