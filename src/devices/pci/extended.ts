// Extended capabilities from 0x100, and what vfio-pci leaves of their list: those whose length it does not know leave
// the chain, or their ID is hidden where they anchor it (vfio_ecap_init(), pci_ext_cap_length[]; PCIe 7.6).

import type { ConfigField } from './config-field.ts';
import { field } from './config-field.ts';

/** Extended capabilities by the names of `lspci`, with ID, bytes, and whether vfio-pci shows them. */
const KINDS = {
  aer: { id: 0x01, size: 0x48, visible: true },
  'serial-number': { id: 0x03, size: 0x0c, visible: true },
  ari: { id: 0x0e, size: 0x08, visible: true },
  ats: { id: 0x0f, size: 0x08, visible: true },
  'secondary-pcie': { id: 0x19, size: 0x30, visible: false },
  pasid: { id: 0x1b, size: 0x08, visible: false },
} as const;

export type ExtendedName = keyof typeof KINDS;

export interface ExtendedCapability {
  readonly id: ExtendedName;
  /** Offset, from 0x100. */
  readonly at: number;
}

const START = 0x100;
const VERSION_1 = 1;
const VERSION_SHIFT = 16;
const NEXT_SHIFT = 20;
const ALL = 0xffff_ffff;

/** Bits of Uncorrectable Error Status, Mask and Severity, and of the correctable ones, that a user writes. */
const UNCORRECTABLE = 0x03ff_f031;
const CORRECTABLE = 0xf1c1;
/** ECRC Generation Enable and Check Enable. */
const ECRC = 0x140;

/** One behind the other. @throws RangeError if one is given twice */
export function extendedCapabilities(
  device: string,
  names: readonly ExtendedName[],
): readonly ExtendedCapability[] {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new RangeError(`device '${device}' has two extended capabilities ${twice}; list each once`);
  let at = START;
  return names.map((id) => {
    const placed = { id, at };
    at += KINDS[id].size;
    return placed;
  });
}

/**
 * Their registers as a user of vfio-pci finds them. One that is out of the chain can still be read by whoever knows its
 * place: config space that vfio-pci does not know is passed through (unassigned_perms).
 */
export function extendedFields(capabilities: readonly ExtendedCapability[]): readonly ConfigField[] {
  const visible = capabilities.filter(({ id }) => KINDS[id].visible);
  return capabilities.flatMap((capability, index) => {
    const { id, at } = capability;
    const next = visible.find((other) => other.at > at)?.at ?? 0;
    if (KINDS[id].visible) return [header(at, idOf(id), next), ...bodyOf(capability)];
    // The first stays where it is as an anchor, without its ID; without any that is visible it is zero.
    return [index === 0 ? header(at, 0, next) : header(at, idOf(id), capabilities[index + 1]?.at ?? 0)];
  });
}

const idOf = (id: ExtendedName): number => KINDS[id].id + (VERSION_1 << VERSION_SHIFT);

const header = (at: number, id: number, next: number): ConfigField =>
  field('EXT_CAP_HEADER', at, 4, ((next << NEXT_SHIFT) >>> 0) + id, { virt: ALL });

/** init_pci_ext_cap_err_perm(): masks and severities reach the device; nothing of the others is writable. */
function bodyOf({ id, at }: ExtendedCapability): ConfigField[] {
  if (id !== 'aer') return [];
  const writable = (name: string, offset: number, mask: number, reset = 0): ConfigField =>
    field(name, at + offset, 4, reset, { write: mask, hardware: mask });
  return [
    // Write 1 to clear, and nothing was reported.
    field('ERR_UNCOR_STATUS', at + 0x04, 4, 0, { write: UNCORRECTABLE }),
    writable('ERR_UNCOR_MASK', 0x08, UNCORRECTABLE),
    writable('ERR_UNCOR_SEVER', 0x0c, UNCORRECTABLE, UNCORRECTABLE_SEVERITY),
    field('ERR_COR_STATUS', at + 0x10, 4, 0, { write: CORRECTABLE }),
    writable('ERR_COR_MASK', 0x14, CORRECTABLE, ADVISORY_NON_FATAL),
    writable('ERR_CAP', 0x18, ECRC),
  ];
}

/** Data Link Protocol, Surprise Down, Flow Control, Receiver Overflow, Malformed TLP, Internal (PCIe 7.8.4.4). */
const UNCORRECTABLE_SEVERITY = 0x0046_2030;
/** Advisory Non-Fatal errors are masked after reset (PCIe 7.8.4.6). */
const ADVISORY_NON_FATAL = 0x2000;
