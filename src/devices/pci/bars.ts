// Base address registers as vfio-pci virtualises them: whatever a user writes is kept, and a read shows it with the
// size mask and the flags, so that writing all ones and reading back gives the size (vfio_bar_fixup, PCI 3.0 6.2.5.1).

import type { Region, VfioPciDescription } from '../description.ts';
import type { ConfigField } from './config-field.ts';
import { field } from './config-field.ts';

const BAR0 = 0x10;
const BARS = 6;
const ALL = 0xffff_ffff;
const FOUR_GIB = 2 ** 32;

const SPACE_IO = 0b0001;
const MEM_TYPE_64 = 0b0100;
const MEM_PREFETCH = 0b1000;

/** What of a BAR register is fixed: its flags, and which bits of an address it has. */
interface BarShape {
  readonly flags: number;
  /** Address bits that can be written. */
  readonly mask: number;
  readonly value: number;
}

const ABSENT: BarShape = { flags: 0, mask: 0, value: 0 };

/** BAR registers 0 to 5, each with the bits that can be anything; the flags stand outside the writable ones. */
export function barFields(device: VfioPciDescription): ConfigField[] {
  return Array.from({ length: BARS }, (_, index) => {
    const { flags, mask, value } = shapeOf(device, index);
    const reset = ((value & mask) >>> 0) + flags;
    const offset = BAR0 + index * 4;
    return field(`BASE_ADDRESS_${index}`, offset, 4, reset, { virt: ALL, write: mask });
  });
}

function shapeOf({ regions }: VfioPciDescription, index: number): BarShape {
  const low = regions.find((region) => region.index === index);
  if (low !== undefined) {
    const sizeMask = ALL - ((low.size - 1) % FOUR_GIB);
    const mask = (sizeMask & (low.space === 'io' ? ~0b11 : ~0b1111)) >>> 0;
    return { flags: flagsOf(low), mask, value: (low.pa ?? 0) % FOUR_GIB };
  }
  const high = regions.find((region) => region.index === index - 1 && region.is64);
  if (high === undefined) return ABSENT;
  const mask = high.size <= FOUR_GIB ? ALL : ALL - (high.size / FOUR_GIB - 1);
  return { flags: 0, mask, value: Math.floor((high.pa ?? 0) / FOUR_GIB) };
}

function flagsOf({ space, is64, prefetchable }: Region): number {
  if (space === 'io') return SPACE_IO;
  return (is64 ? MEM_TYPE_64 : 0) | (prefetchable ? MEM_PREFETCH : 0);
}
