// A frame buffer: bochs-display as QEMU has it (PCI ID 1234:1111, docs/specs/standard-vga), BAR0 prefetchable memory
// without side effects, BAR2 the VBE DISPI registers, 16 bits each.

import type { VfioPciDescription } from '../description.ts';
import { vfioPci } from '../plug.ts';
import type { Size } from '../sizes.ts';

/** Offset of the DISPI registers in BAR2. */
const DISPI = 0x500;
const DISPI_ID5 = 0xb0c5;
const DISPLAY_OTHER = 0x03_8000;
const NAMES = [
  'ID',
  'XRES',
  'YRES',
  'BPP',
  'ENABLE',
  'BANK',
  'VIRT_WIDTH',
  'VIRT_HEIGHT',
  'X_OFFSET',
  'Y_OFFSET',
];

export interface BochsDisplayInput {
  /** Video memory, a power of two; '16M' unless given. */
  readonly vram?: Size;
}

/** @throws RangeError for video memory that is no power of two */
export function bochsDisplay(name: string, { vram = '16M' }: BochsDisplayInput = {}): VfioPciDescription {
  return vfioPci(name, {
    identity: { vendorId: 0x1234, deviceId: 0x1111, classCode: DISPLAY_OTHER, revision: 2 },
    flr: false,
    bars: [
      { size: vram, prefetchable: true },
      {
        size: '4K',
        bar: 2,
        registers: NAMES.map((register, index) => ({
          name: `VBE_DISPI_${register}`,
          offset: DISPI + index * 2,
          size: 2,
          ...(register === 'ID' ? { access: 'RO' as const, reset: DISPI_ID5 } : {}),
        })),
      },
    ],
  });
}
