// A BAR as a VMM shows it to its guest: its memslots, and where the guest's own config space wants it. Follows
// pci_bar_address() and pci_update_mappings() of QEMU (hw/pci/pci.c), which look at what the guest wrote.

import type { Hva, Ipa } from '../../arch/addresses.ts';
import type { VfioPciDescription } from '../description.ts';
import { PCI_COMMAND_MEMORY } from '../description.ts';
import type { MmioWindow } from '../mmio-window.ts';
import { PCI_COMMAND } from './config-fields.ts';
import type { PciState } from './config-space.ts';
import { configValue, registerOffset } from './config-space.ts';
import { capabilityOf } from './function.ts';
import type { PowerState } from './power.ts';
import { isTransition, POWER_STATES } from './power.ts';
import { isRom, ROM_ADDRESS, ROM_ENABLE } from './rom.ts';

/** A memslot that covers a part of the BAR. */
export interface BarSlot {
  /** Its number. */
  readonly slot: number;
  /** Bytes from the start of the BAR. */
  readonly offset: number;
  readonly size: number;
  readonly hva: Hva;
  readonly readonly: boolean;
}

export interface AssignedBar {
  readonly vm: number;
  /** BAR number. */
  readonly region: number;
  /** Bytes. */
  readonly size: number;
  /** IPA of the first byte; null while it is not mapped. */
  readonly ipa: Ipa | null;
  /** Where it is, or was last. */
  readonly last: Ipa;
  readonly slots: readonly BarSlot[];
  /** What no slot covers is the VMM's, such as the pages of an MSI-X table. */
  readonly trapped: boolean;
  /** PCI_COMMAND_MEMORY as the guest wrote it: the VMM keeps config space for itself, too. */
  readonly memory: boolean;
  /** The power state that the guest asked for. */
  readonly power: PowerState;
  /** Outside D0: QEMU before 10.0 keeps the BAR mapped, later ones take it away (pci_pm_state()). */
  readonly asleep: 'mapped' | 'unmapped';
}

/** Why a BAR is nowhere: what the guest's config space says. */
export type UnmappedBecause =
  | 'memory-space-disabled'
  | 'low-power'
  /** Expansion ROM Enable is off. */
  | 'rom-disabled'
  /** Zero, the end of the address space, or beyond the 32 bits of the BAR: as while it is sized. */
  | 'no-address'
  /** Where the host bridge forwards nothing: RAM, or more bits than IPAs have. */
  | 'outside-host-bridge'
  /** It is mapped somewhere else next. */
  | 'moved';

export type BarPlaceWanted =
  | { readonly ipa: Ipa }
  | { readonly ipa: null; readonly because: UnmappedBecause };

const BARS_START = 0x10;
const BARS_END = 0x28;
const PM_STATE_SIZE = 2;
const PM_STATE_MASK = 0b11;
const LAST_32 = 2 ** 32 - 1;
const FOUR_GIB = 2 ** 32;
/** More than any IPA, and still exact. */
const LAST_EXACT = 2 ** 52;
const FLAGS = 16;

/** pci_default_write_config(): whether a write of the guest can move BARs. Of COMMAND the low byte counts. */
export function concernsBars(
  device: VfioPciDescription,
  bars: readonly AssignedBar[],
  vm: number,
  { offset, size }: { readonly offset: number; readonly size: number },
): boolean {
  const own = bars.filter((bar) => bar.vm === vm);
  if (own.length === 0) return false;
  const touches = (start: number, end: number): boolean => offset < end && start < offset + size;
  if (touches(PCI_COMMAND, PCI_COMMAND + 1) || touches(BARS_START, BARS_END)) return true;
  if (touches(ROM_ADDRESS, ROM_ADDRESS + 4)) return true;
  const pm = registerOffset(device, 'PM_CTRL');
  return pm !== null && touches(pm, pm + PM_STATE_SIZE) && own.some(({ asleep }) => asleep === 'unmapped');
}

/** Where config space wants a BAR now. */
export function wantedPlace(device: VfioPciDescription, pci: PciState, bar: AssignedBar): BarPlaceWanted {
  const { region, size, asleep } = bar;
  if (!bar.memory) return { ipa: null, because: 'memory-space-disabled' };
  if (asleep === 'unmapped' && bar.power !== 'D0') return { ipa: null, because: 'low-power' };
  const is64 = device.regions.find(({ index }) => index === region)?.is64 === true;
  const rom = isRom(region) ? configValue(device, pci, 'ROM_ADDRESS') : null;
  if (rom !== null && (rom & ROM_ENABLE) === 0) return { ipa: null, because: 'rom-disabled' };
  const low = rom ?? configValue(device, pci, `BASE_ADDRESS_${region}`);
  const high = is64 ? configValue(device, pci, `BASE_ADDRESS_${region + 1}`) : 0;
  const start = high * FOUR_GIB + (low - (low % FLAGS));
  const last = start + size - 1;
  if (start === 0 || last >= (is64 ? LAST_EXACT : LAST_32)) return { ipa: null, because: 'no-address' };
  return { ipa: start as Ipa };
}

/** BAR registers and values with which a BAR lies at an address, as firmware writes them. */
export function barWrites(
  device: VfioPciDescription,
  region: number,
  at: Ipa,
): readonly { readonly offset: number; readonly value: number }[] {
  if (isRom(region)) return [{ offset: ROM_ADDRESS, value: at + ROM_ENABLE }];
  const offset = BARS_START + region * 4;
  const is64 = device.regions.find(({ index }) => index === region)?.is64 === true;
  const low = { offset, value: at % FOUR_GIB };
  return is64 ? [low, { offset: offset + 4, value: Math.floor(at / FOUR_GIB) }] : [low];
}

/** What of a device's slice the events of BARs change. */
interface WithBars {
  bars: readonly AssignedBar[];
  windows: readonly MmioWindow[];
}

const isOf = (vm: number, region: number) => (it: { readonly vm: number; readonly region: number }) =>
  it.vm === vm && it.region === region;

/** The VMM's own copy of what a guest's write changes; of power states as the device has them (pci_pm_update()). */
export function guestWrote(
  device: WithBars,
  description: VfioPciDescription,
  event: { readonly by: { readonly vm: number } | null; readonly offset: number; readonly value: number },
): void {
  const { by, offset, value } = event;
  if (by === null || device.bars.length === 0) return;
  const own = (change: Partial<AssignedBar>): void => {
    device.bars = device.bars.map((bar) => (bar.vm === by.vm ? { ...bar, ...change } : bar));
  };
  if (offset === PCI_COMMAND) own({ memory: (value & PCI_COMMAND_MEMORY) !== 0 });
  const pm = capabilityOf(description.function, 'pm');
  if (pm === undefined || offset !== registerOffset(description, 'PM_CTRL')) return;
  const power = POWER_STATES[value & PM_STATE_MASK] ?? 'D0';
  const before = device.bars.find(({ vm }) => vm === by.vm)?.power ?? 'D0';
  if (isTransition(pm, before, power)) own({ power });
}

export function unmapBar(device: WithBars, vm: number, region: number): void {
  const isIt = isOf(vm, region);
  device.bars = device.bars.map((bar) => (isIt(bar) ? { ...bar, ipa: null } : bar));
  device.windows = device.windows.filter((window) => !isIt(window));
}

/** @param trapped whether what no slot covers is a window of the VMM */
export function mapBar(device: WithBars, vm: number, region: number, ipa: Ipa, trapped: boolean): void {
  const isIt = isOf(vm, region);
  const size = device.bars.find(isIt)?.size ?? 0;
  device.bars = device.bars.map((bar) => (isIt(bar) ? { ...bar, ipa, last: ipa } : bar));
  if (trapped) device.windows = [...device.windows, { vm, region, gpa: ipa, size }];
}
