// The registers of a PCI function's config space and what vfio-pci makes of each bit: virtual or the device's own,
// writable or not. Follows init_pci_cap_basic_perm(), _pm_perm() and _exp_perm() of vfio_pci_config.c.

import type { VfioPciDescription } from '../description.ts';
import { PCI_COMMAND_MEMORY } from '../description.ts';
import { barFields } from './bars.ts';
import type { ConfigField } from './config-field.ts';
import { field } from './config-field.ts';
import { extendedFields } from './extended.ts';
import type {
  AfCapability,
  ExpressCapability,
  MsixCapability,
  PciCapability,
  PmCapability,
} from './function.ts';
import { romField } from './rom.ts';

export const PCI_COMMAND = 0x04;
const PCI_COMMAND_MASTER = 0x004;
const PCI_COMMAND_IO = 0x001;
const PCI_COMMAND_PARITY = 0x040;
const PCI_COMMAND_SERR = 0x100;
const PCI_COMMAND_INTX_DISABLE = 0x400;
const COMMAND_WRITABLE =
  PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR;
const PCI_STATUS_CAP_LIST = 0x10;

/** Offset of PMCSR in its capability, and its state bits: 0 is D0, 3 is D3hot. */
const PCI_PM_CTRL = 4;
const PCI_PM_CTRL_STATE_MASK = 0b11;
const PM_CTRL_NO_SOFT_RESET = 0x8;
const PM_CTRL_PME = 0x8100;
const PM_VERSION_3 = 3;

const PCI_EXP_DEVCTL = 8;
/** Initiate Function Level Reset; reads as zero. */
const PCI_EXP_DEVCTL_BCR_FLR = 0x8000;
const EXP_DEVCTL_PAYLOAD = 0x00e0;
const EXP_DEVCTL_READRQ = 0x7000;
const EXP_DEVCTL_PHANTOM = 0x0200;
/** Error reporting, relaxed ordering, extended tags, no snoop. */
const EXP_DEVCTL_HARDWARE = 0x091f;
/** Max_Read_Request_Size 512, relaxed ordering, no snoop. */
const EXP_DEVCTL_RESET = 0x2810;
const EXP_DEVCAP_FLR = 0x1000_0000;
const EXP_DEVCAP_ROLE_BASED_ERRORS = 0x8000;
/** 32-bit and 64-bit AtomicOp Completer Supported. */
const EXP_DEVCAP2_ATOMIC_COMP = 0x180;
const EXP_VERSION_2 = 2;
/** 8 GT/s, four lanes. */
const EXP_LINK = 0x43;

const PM_CAP_D1 = 0x0200;
const PM_CAP_D2 = 0x0400;

const AF_LENGTH = 6;
/** Transactions Pending, Function Level Reset. */
const AF_CAP = 0b11;
/** Initiate FLR; reads as zero. */
const AF_CTRL_FLR = 1;

const MSIX_FLAGS = 2;
/** Enable and Function Mask. */
const MSIX_FLAGS_WRITABLE = 0xc000;

const CAPABILITY_IDS: Readonly<Record<PciCapability['id'], number>> = {
  pm: 0x01,
  express: 0x10,
  af: 0x13,
  'msi-x': 0x11,
};
const ALL = 0xffff_ffff;

/** Ascending, without overlap; what lies between reads as zero and ignores writes. */
export function configFields(device: VfioPciDescription): readonly ConfigField[] {
  const { capabilities } = device.function;
  const next = (index: number): number => capabilities[index]?.at ?? 0;
  return [
    ...headerFields(device),
    ...capabilities.flatMap((capability, index) => [
      constant('CAP_ID', capability.at, 1, CAPABILITY_IDS[capability.id]),
      field('CAP_NEXT', capability.at + 1, 1, next(index + 1), { virt: 0xff }),
      ...capabilityFields(capability, device),
    ]),
    ...extendedFields(device.function.extended ?? []),
  ];
}

function headerFields(device: VfioPciDescription): ConfigField[] {
  const { identity, capabilities, virtualFunction } = device.function;
  // A virtual function implements bus mastering only; its memory enable is vfio-pci's invention.
  const virt = PCI_COMMAND_INTX_DISABLE | (virtualFunction ? PCI_COMMAND_MEMORY : 0);
  const command = { virt, write: 0xffff, hardware: virtualFunction ? PCI_COMMAND_MASTER : COMMAND_WRITABLE };
  return [
    field('VENDOR_ID', 0x00, 2, identity.vendorId, { virt: 0xffff }),
    field('DEVICE_ID', 0x02, 2, identity.deviceId, { virt: 0xffff }),
    field('COMMAND', PCI_COMMAND, 2, device.command, command),
    field('STATUS', 0x06, 2, PCI_STATUS_CAP_LIST, { virt: PCI_STATUS_CAP_LIST }),
    constant('REVISION_ID', 0x08, 1, identity.revision),
    constant('CLASS_CODE', 0x09, 3, identity.classCode),
    field('CACHE_LINE_SIZE', 0x0c, 1, 0, { write: 0xff, hardware: 0xff }),
    field('LATENCY_TIMER', 0x0d, 1, 0, { write: 0xff }),
    constant('HEADER_TYPE', 0x0e, 1, 0),
    field('BIST', 0x0f, 1, 0, { write: 0xff }),
    ...barFields(device),
    constant('SUBSYSTEM_VENDOR_ID', 0x2c, 2, identity.subsystemVendorId),
    constant('SUBSYSTEM_ID', 0x2e, 2, identity.subsystemId),
    ...romField(device),
    field('CAPABILITY_LIST', 0x34, 1, capabilities[0]?.at ?? 0, { virt: 0xff }),
    field('INTERRUPT_LINE', 0x3c, 1, 0, { virt: 0xff, write: 0xff }),
    field('INTERRUPT_PIN', 0x3d, 1, virtualFunction ? 0 : 1, { virt: 0xff }),
  ];
}

function capabilityFields(capability: PciCapability, { regions }: VfioPciDescription): ConfigField[] {
  switch (capability.id) {
    case 'pm':
      return pmFields(capability);
    case 'express':
      return expressFields(
        capability,
        regions.some(({ atomics }) => atomics === true),
      );
    case 'msi-x':
      return msixFields(capability);
    case 'af':
      return afFields(capability);
  }
}

/** The state bits are not writable: vfio-pci sets the power state itself (vfio_pm_config_write). */
function pmFields({ at, noSoftReset, d1, d2 }: PmCapability): ConfigField[] {
  const states = (d1 === true ? PM_CAP_D1 : 0) + (d2 === true ? PM_CAP_D2 : 0);
  const reset = noSoftReset ? PM_CTRL_NO_SOFT_RESET : 0;
  const write = ALL - (PM_CTRL_PME | PCI_PM_CTRL_STATE_MASK);
  return [
    constant('PM_PMC', at + 2, 2, PM_VERSION_3 + states),
    field('PM_CTRL', at + PCI_PM_CTRL, 4, reset, { virt: PM_CTRL_PME, write }),
  ];
}

/** FLR, MPS and MRRS are virtual; phantom functions cannot be asked for, nor ARI. */
function expressFields({ at, flr, maxPayload }: ExpressCapability, completesAtomics: boolean): ConfigField[] {
  const payload = Math.log2(maxPayload / 128);
  const devcap = payload + EXP_DEVCAP_ROLE_BASED_ERRORS + (flr ? EXP_DEVCAP_FLR : 0);
  return [
    constant('EXP_FLAGS', at + 2, 2, EXP_VERSION_2),
    constant('EXP_DEVCAP', at + 4, 4, devcap),
    field('EXP_DEVCTL', at + PCI_EXP_DEVCTL, 2, EXP_DEVCTL_RESET, {
      virt: PCI_EXP_DEVCTL_BCR_FLR | EXP_DEVCTL_PAYLOAD | EXP_DEVCTL_READRQ,
      write: 0xffff - EXP_DEVCTL_PHANTOM,
      hardware: EXP_DEVCTL_HARDWARE,
    }),
    constant('EXP_DEVSTA', at + 0x0a, 2, 0),
    constant('EXP_LNKCAP', at + 0x0c, 4, EXP_LINK),
    constant('EXP_LNKSTA', at + 0x12, 2, EXP_LINK),
    constant('EXP_DEVCAP2', at + 0x24, 4, completesAtomics ? EXP_DEVCAP2_ATOMIC_COMP : 0),
    field('EXP_DEVCTL2', at + 0x28, 2, 0, { write: 0xffdf, hardware: 0x001f }),
  ];
}

/** Nothing is writable but Initiate FLR, on which vfio-pci acts itself (vfio_af_config_write()). */
const afFields = ({ at }: AfCapability): ConfigField[] => [
  constant('AF_LENGTH', at + 2, 1, AF_LENGTH),
  constant('AF_CAP', at + 3, 1, AF_CAP),
  field('AF_CTRL', at + 4, 1, 0, { virt: AF_CTRL_FLR, write: AF_CTRL_FLR }),
  constant('AF_STATUS', at + 5, 1, 0),
];

/** vfio-pci drops writes of MSI-X control; the VMM emulates it and asks for vectors by VFIO_DEVICE_SET_IRQS. */
function msixFields({ at, vectors, table, pba }: MsixCapability): ConfigField[] {
  const emulated = { virt: MSIX_FLAGS_WRITABLE, write: MSIX_FLAGS_WRITABLE };
  return [
    field('MSIX_FLAGS', at + MSIX_FLAGS, 2, vectors - 1, emulated),
    constant('MSIX_TABLE', at + 4, 4, table.offset + table.bar),
    constant('MSIX_PBA', at + 8, 4, pba.offset + pba.bar),
  ];
}

const constant = (name: string, offset: number, size: ConfigField['size'], reset: number): ConfigField =>
  field(name, offset, size, reset, {});
