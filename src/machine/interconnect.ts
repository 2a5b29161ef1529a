// The interconnect: which device is at which physical address, and which window of a VM an MMIO exit falls
// into. Data in the state; what is in no range is RAM.

import type { Ipa, Pa } from '../arch/addresses.ts';
import type { EndpointRange } from '../arch/transaction.ts';
import type { DeviceDescription } from '../devices/description.ts';
import type { DeviceState } from '../devices/state.ts';

/** A region of a plugged device, from its first byte to behind its last. */
export interface Route extends EndpointRange {
  /** Number of the device's slice. */
  readonly device: number;
  /** Number of the region in its description. */
  readonly region: number;
}

/** What is left of a page behind a smaller BAR: mapped to the guest with it, and nobody answers there. */
export const NO_REGION = -1;

/**
 * The map with the regions of one more device, sorted by address.
 * @param pageSize of the host in bytes
 */
export function withDevice(
  routes: readonly Route[],
  device: number,
  description: DeviceDescription,
  pageSize: number,
): readonly Route[] {
  const support = description.kind === 'vfio-pci' || description.kind === 'sysfs' ? 'pcie' : 'any';
  const added = description.regions.flatMap(({ pa, size, index, space, ram, atomics }): Route[] =>
    pa === null || space === 'io' || ram === true
      ? []
      : [
          {
            start: pa,
            end: (pa + size) as Pa,
            device,
            region: index,
            ...(atomics === true ? { atomics: support } : {}),
          },
        ],
  );
  const known = routes.filter(({ region }) => region !== NO_REGION);
  const regions = [...known, ...added].sort((a, b) => a.start - b.start);
  return regions.flatMap((route, at) => [route, ...restOfPage(route, regions[at + 1], pageSize)]);
}

/** From behind a region that starts its page, up to the page's end or the next region. */
function restOfPage({ start, end, device }: Route, next: Route | undefined, pageSize: number): Route[] {
  const pageEnd = start + pageSize;
  const until = Math.min(pageEnd, next?.start ?? pageEnd) as Pa;
  return start % pageSize === 0 && end < until ? [{ start: end, end: until, device, region: NO_REGION }] : [];
}

/** Where an emulated access goes. */
export interface WindowHit {
  readonly device: number;
  readonly region: number;
  /** Bytes from the start of the region. */
  readonly offset: number;
}

/**
 * The window of a VM that holds `gpa`; the one opened last where two overlap, as a VMM's last mapping wins.
 */
export function windowAt(devices: readonly DeviceState[], vm: number, gpa: Ipa): WindowHit | null {
  let hit: WindowHit | null = null;
  devices.forEach(({ windows }, device) => {
    for (const window of windows) {
      if (window.vm !== vm || gpa < window.gpa || gpa >= window.gpa + window.size) continue;
      hit = { device, region: window.region, offset: gpa - window.gpa };
    }
  });
  return hit;
}
