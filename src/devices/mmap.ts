// What an mmap of a region gives a VMM: the VMA's driver, address and flags, or the errno of a driver that
// refuses. Follows vfio_pci_core_mmap() and vfio_pci_probe_mmaps(), vfio_platform_mmap(), pci_mmap_resource()
// and mmap_mem().

import type { Pa } from '../arch/addresses.ts';
import type { PaRange } from '../arch/transaction.ts';
import type { DeviceDescription, Region } from './description.ts';
import { GICV, regionOf } from './description.ts';
import { isRom } from './pci/rom.ts';

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
  /** The region is smaller than a page, and what is left of its page belongs to something else. */
  | 'page-is-shared'
  /** A region smaller than a page that does not start with it, or one that vfio-platform wants page-aligned. */
  | 'region-not-page-aligned'
  /** vfio-platform: smaller than a page. */
  | 'region-smaller-than-page'
  /** vfio-pci lets a user read the expansion ROM, and maps BARs only. */
  | 'expansion-rom'
  /** Port I/O has no memory mapping on arm64. */
  | 'io-bar'
  /** Offset and length reach beyond the region, rounded up to pages. */
  | 'beyond-region'
  /** MAP_PRIVATE: VFIO maps shared only. */
  | 'not-shared'
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
  /** Physical addresses of other regions: a BAR smaller than a page has its page to itself, or is not mapped. */
  readonly taken?: readonly PaRange[];
}

export interface MmapRequest {
  /** Bytes into the region, a multiple of the page size; 0 unless given. */
  readonly offset?: number;
  /** Bytes; to the end of the region unless given. */
  readonly size?: number;
  /** MAP_SHARED; true unless given. */
  readonly shared?: boolean;
}

const EINVAL = 22;

/** VFIO_PCI_INDEX_TO_OFFSET and VFIO_PLATFORM_INDEX_TO_OFFSET: the region's number stands in bits 63:40. */
const VFIO_INDEX = 2 ** 40;

/**
 * @param index number of the region: the BAR of a PCI function
 * @throws RangeError for a region that the device does not have, or that was not placed yet
 */
export function mmapRegion(
  device: DeviceDescription,
  index: number,
  host: MmapHost,
  request: MmapRequest = {},
): MmapResult {
  const region = regionOf(device, index);
  const { offset = 0 } = request;
  const because = refusal(device, region, host) ?? requestRefusal(device, region, host, request);
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
    // A variant driver's own mmap sets no flag (nvgrace_gpu_mmap).
    allowAnyUncached: isVfioPci && host.vfioPciAllowsAnyUncached && region.mappedBy === 'core',
    cacheable: region.cacheable,
    ...(region.ram === true ? { ram: true } : {}),
    fileOffset: fileOffset(device, region, base, offset),
  };
  return { kind: 'mapped', backing };
}

function refusal(device: DeviceDescription, region: Region, host: MmapHost): MmapRefusal | null {
  const { pageSize } = host;
  if (device.kind === 'gicv2') return region.index === GICV ? 'mapped-by-kvm' : 'no-host-memory';
  if (device.kind === 'emulated') return 'no-host-memory';
  if (region.space === 'io') return 'io-bar';
  if (device.kind === 'vfio-pci' && isRom(region.index)) return 'expansion-rom';
  if (device.kind === 'vfio-pci' && region.size < pageSize) return subPageRefusal(region, host);
  if (
    device.kind === 'vfio-platform' &&
    ((region.pa ?? 0) % pageSize !== 0 || region.size % pageSize !== 0)
  ) {
    return region.size < pageSize ? 'region-smaller-than-page' : 'region-not-page-aligned';
  }
  return null;
}

/** vfio_pci_probe_mmaps(): the BAR starts its page, and the rest of the page can be reserved. */
function subPageRefusal({ pa, size }: Region, { pageSize, taken = [] }: MmapHost): MmapRefusal | null {
  const start = pa ?? 0;
  if (start % pageSize !== 0) return 'region-not-page-aligned';
  const shares = taken.some((other) => other.start < start + pageSize && other.end > start + size);
  return shares ? 'page-is-shared' : null;
}

/** vfio_pci_core_mmap(): VM_SHARED, and not beyond PAGE_ALIGN() of the BAR. */
function requestRefusal(
  device: DeviceDescription,
  { size }: Region,
  { pageSize }: MmapHost,
  { offset = 0, size: length = size - offset, shared = true }: MmapRequest,
): MmapRefusal | null {
  if (device.kind !== 'vfio-pci') return null;
  if (!shared) return 'not-shared';
  return offset + length > Math.ceil(size / pageSize) * pageSize ? 'beyond-region' : null;
}

/**
 * /dev/mem is indexed by physical address, a resource file holds one BAR, VFIO puts the region into the high
 * bits.
 */
function fileOffset(device: DeviceDescription, region: Region, base: number, offset: number): number {
  if (device.kind === 'devmem') return base;
  return device.kind === 'sysfs' ? offset : region.index * VFIO_INDEX + offset;
}
