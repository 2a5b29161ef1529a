// A GPU with coherent memory behind the variant driver nvgrace-gpu-vfio-pci (since 6.9): registers in BAR0 go through
// vfio-pci core; RESMEM (BAR2, write-combining) and USEMEM (BAR4, cacheable) are made up by the driver and mapped by
// its own mmap, which does not set VM_ALLOW_ANY_UNCACHED.

import type { VfioPciDescription } from '../description.ts';
import { vfioPci } from '../plug.ts';
import type { Size } from '../sizes.ts';

/** BARs as the driver presents them. */
const RESMEM = 2;
const USEMEM = 4;

const NVIDIA = 0x10de;
const GH200 = 0x2342;
const DISPLAY_3D = 0x03_0200;

export interface GraceHopperInput {
  /** Coherent memory given to the VM, a power of two; '1G' unless given. */
  readonly usemem?: Size;
  /** Memory kept for the GPU driver, mapped uncached; '64M' unless given. */
  readonly resmem?: Size;
}

/** @throws RangeError for sizes that are no power of two: the driver rounds its BARs up */
export function graceHopper(
  name: string,
  { usemem = '1G', resmem = '64M' }: GraceHopperInput = {},
): VfioPciDescription {
  return vfioPci(name, {
    identity: { vendorId: NVIDIA, deviceId: GH200, classCode: DISPLAY_3D, revision: 0xa1 },
    bars: [
      {
        size: '16M',
        bits: 64,
        registers: [{ name: 'PMC_BOOT_0', offset: 0, access: 'RO', reset: 0x1800_00a1 }],
      },
      { size: resmem, bar: RESMEM, prefetchable: true, mappedBy: 'variant' },
      { size: usemem, bar: USEMEM, prefetchable: true, cacheable: true },
    ],
  });
}
