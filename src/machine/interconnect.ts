// The interconnect: which device is at which physical address, and which window of a VM an MMIO exit falls
// into. Data in the state; what is in no range is RAM.

import type { Ipa, Pa } from '../arch/addresses.ts';
import type { PaRange } from '../arch/transaction.ts';
import type { DeviceDescription } from '../devices/description.ts';
import type { DeviceState } from '../devices/state.ts';

/** A region of a plugged device, from its first byte to behind its last. */
export interface Route extends PaRange {
  /** Number of the device's slice. */
  readonly device: number;
  /** Number of the region in its description. */
  readonly region: number;
}

/** The map with the regions of one more device, sorted by address. */
export function withDevice(
  routes: readonly Route[],
  device: number,
  description: DeviceDescription,
): readonly Route[] {
  const added = description.regions.flatMap(({ pa, size, index, space, ram }): Route[] =>
    pa === null || space === 'io' || ram === true
      ? []
      : [{ start: pa, end: (pa + size) as Pa, device, region: index }],
  );
  return [...routes, ...added].sort((a, b) => a.start - b.start);
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
