// Config space as it reads and what a write leaves behind: two layers, the bits that vfio-pci keeps (vconfig) and the
// device's own, by the masks of each register (vfio_default_config_read and _write of vfio_pci_config.c).

import type { VfioPciDescription } from '../description.ts';
import { PCI_COMMAND_MEMORY } from '../description.ts';
import type { ConfigField } from './config-field.ts';
import { configFields, PCI_COMMAND } from './config-fields.ts';
import type { PowerState } from './power.ts';
import { POWER_STATES } from './power.ts';

/** VFIO_PCI_CONFIG_REGION_INDEX: config space is a region of its own behind the BARs and the ROM. */
export const PCI_CONFIG_REGION = 7;

/** Bytes of a function's config space in ECAM; extended capabilities stand behind the first 256. */
export const PCI_CONFIG_SIZE = 4096;

/** What was written; a register that is absent has its reset value. By the register's offset. */
export interface PciState {
  /** vconfig: what vfio-pci keeps. */
  readonly virtual: Readonly<Record<number, number>>;
  /** The device's own registers. */
  readonly hardware: Readonly<Record<number, number>>;
}

export const INITIAL_PCI: PciState = { virtual: {}, hardware: {} };

/** A change of the function that the host carries out itself, behind a zap where accesses would go astray. */
export type PciChange =
  /** The command register, 16 bits. */
  | { readonly kind: 'command'; readonly value: number }
  | { readonly kind: 'power'; readonly state: PowerState }
  | { readonly kind: 'reset' };

const PM_STATE_MASK = 0b11;
const UNSIGNED = 0;

/** Mask arithmetic on 32 bits: JavaScript's own is signed. */
const and = (a: number, b: number): number => (a & b) >>> UNSIGNED;
const or = (a: number, b: number): number => (a | b) >>> UNSIGNED;
const without = (a: number, b: number): number => (a & ~b) >>> UNSIGNED;

/** A register's value as a user of vfio-pci reads it. */
function visible(pci: PciState, { offset, reset, virt }: ConfigField): number {
  const kept = pci.virtual[offset] ?? reset;
  const own = pci.hardware[offset] ?? reset;
  return or(and(kept, virt), without(own, virt));
}

/** `size` bytes from `offset`, little-endian; 1, 2 or 4 bytes. */
export function readConfig(device: VfioPciDescription, pci: PciState, offset: number, size: number): number {
  let value = 0;
  for (const register of configFields(device)) {
    const word = visible(pci, register);
    for (let byte = 0; byte < register.size; byte++) {
      const at = register.offset + byte - offset;
      if (at >= 0 && at < size) value += ((word >>> (byte * 8)) % 256) * 2 ** (at * 8);
    }
  }
  return value;
}

/**
 * The state after a write of `size` bytes, but for what the host does on its own: memory and I/O enable, power state
 * and reset.
 */
export function writtenConfig(
  device: VfioPciDescription,
  pci: PciState,
  offset: number,
  size: number,
  value: number,
): PciState {
  const virtual = { ...pci.virtual };
  const hardware = { ...pci.hardware };
  for (const register of configFields(device)) {
    const { touched, word } = overlap(register, offset, size, value);
    const kept = and(register.write, and(register.virt, touched));
    // FLR reads as zero: vfio-pci acts on it and clears it.
    const lasting = without(kept, RESETS.get(register.name) ?? 0);
    const own = and(without(register.write, register.virt), and(register.hardware, touched));
    const mine = register.offset === PCI_COMMAND ? without(own, COMMAND_OF_THE_HOST) : own;
    if (lasting !== 0) virtual[register.offset] = replaced(pci.virtual, register, lasting, word);
    if (mine !== 0) hardware[register.offset] = replaced(pci.hardware, register, mine, word);
  }
  return { virtual, hardware };
}

/** Initiate Function Level Reset, in Device Control and in the control of Advanced Features. */
const RESETS: ReadonlyMap<string, number> = new Map([
  ['EXP_DEVCTL', 0x8000],
  ['AF_CTRL', 1],
]);
/** The low byte of COMMAND goes to the device once the mappings are gone. */
const COMMAND_OF_THE_HOST = 0xff;

const replaced = (
  layer: Readonly<Record<number, number>>,
  { offset, reset }: ConfigField,
  mask: number,
  word: number,
): number => or(without(layer[offset] ?? reset, mask), and(word, mask));

/** The bits of a register that an access covers, and their new value in place. */
function overlap(
  register: ConfigField,
  offset: number,
  size: number,
  value: number,
): { readonly touched: number; readonly word: number } {
  let touched = 0;
  let word = 0;
  for (let byte = 0; byte < register.size; byte++) {
    const at = register.offset + byte - offset;
    if (at < 0 || at >= size) continue;
    touched += 0xff * 2 ** (byte * 8);
    word += (Math.floor(value / 2 ** (at * 8)) % 256) * 2 ** (byte * 8);
  }
  return { touched, word };
}

/** The state once the device itself has changed. A reset by the host restores config space (pci_restore_state). */
export function changedFunction(device: VfioPciDescription, pci: PciState, change: PciChange): PciState {
  const own = (name: string, mask: number, word: number): PciState => {
    const register = configFields(device).find((it) => it.name === name);
    if (register === undefined) return pci;
    const value = replaced(pci.hardware, register, mask, word);
    return { ...pci, hardware: { ...pci.hardware, [register.offset]: value } };
  };
  switch (change.kind) {
    case 'command': {
      const implemented = configFields(device).find(({ offset }) => offset === PCI_COMMAND)?.hardware ?? 0;
      return own('COMMAND', implemented, change.value);
    }
    case 'power':
      return own('PM_CTRL', PM_STATE_MASK, POWER_STATES.indexOf(change.state));
    case 'reset':
      return own('PM_CTRL', PM_STATE_MASK, 0);
  }
}

export const powerStateOf = (device: VfioPciDescription, pci: PciState): PowerState =>
  POWER_STATES[and(configValue(device, pci, 'PM_CTRL'), PM_STATE_MASK)] ?? 'D0';

/**
 * The function claims memory requests: enabled, and in D0 (PCIe 5.3.1). That of a virtual function is enabled by the
 * physical function's SR-IOV capability.
 */
export const claimsMemory = (device: VfioPciDescription, pci: PciState): boolean =>
  powerStateOf(device, pci) === 'D0' &&
  (device.function.virtualFunction || and(configValue(device, pci, 'COMMAND'), PCI_COMMAND_MEMORY) !== 0);

/** Where a register stands; null where the function has none of that name. */
export const registerOffset = (device: VfioPciDescription, name: string): number | null =>
  configFields(device).find((it) => it.name === name)?.offset ?? null;

/** A register by its name, as a user of vfio-pci reads it; 0 where the function has none. */
export function configValue(device: VfioPciDescription, pci: PciState, name: string): number {
  const register = configFields(device).find((it) => it.name === name);
  return register === undefined ? 0 : visible(pci, register);
}
