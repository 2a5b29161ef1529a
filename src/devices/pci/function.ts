// A PCI function as data: identity, capabilities and where they stand in config space, and whether it is a virtual
// function. Capabilities stand one behind the other from 0x40, as data sheets list them (PCI 3.0, 6.7; PCIe 7.5.1).

import type { ExtendedCapability, ExtendedName } from './extended.ts';
import { extendedCapabilities } from './extended.ts';

/** What `lspci -nn` shows of a function. */
export interface PciIdentity {
  readonly vendorId: number;
  readonly deviceId: number;
  /** Base class, subclass and programming interface: 0x020000 is Ethernet. */
  readonly classCode: number;
  readonly revision: number;
  readonly subsystemVendorId: number;
  readonly subsystemId: number;
}

/** A place in a BAR, as MSI-X names it: BIR and offset. */
export interface BarPlace {
  readonly bar: number;
  /** Bytes, a multiple of 8. */
  readonly offset: number;
}

export interface PmCapability {
  readonly id: 'pm';
  readonly at: number;
  /** PMCSR.No_Soft_Reset: registers live through D3hot. */
  readonly noSoftReset: boolean;
  /** PMC.D1_Support and D2_Support; absent for states that the function does not have. */
  readonly d1?: true;
  readonly d2?: true;
}

/** Advanced Features (PCI ECN of 2006): how a function without PCI Express is reset by itself. */
export interface AfCapability {
  readonly id: 'af';
  readonly at: number;
}

export interface ExpressCapability {
  readonly id: 'express';
  readonly at: number;
  /** Device Capabilities bit 28: function-level reset. */
  readonly flr: boolean;
  /** Max_Payload_Size Supported in bytes. */
  readonly maxPayload: number;
}

export interface MsixCapability {
  readonly id: 'msi-x';
  readonly at: number;
  /** Entries of the table, 1 to 2048. */
  readonly vectors: number;
  readonly table: BarPlace;
  /** Pending bits, 64 to a quadword. */
  readonly pba: BarPlace;
}

export type PciCapability = PmCapability | ExpressCapability | MsixCapability | AfCapability;

export interface PciFunction {
  readonly identity: PciIdentity;
  /** Ascending by their place. */
  readonly capabilities: readonly PciCapability[];
  /** In the order of their list from 0x100; absent for none. */
  readonly extended?: readonly ExtendedCapability[];
  /** An SR-IOV virtual function: no memory enable of its own (pci_dev.no_command_memory). */
  readonly virtualFunction: boolean;
}

export interface MsixInput {
  readonly vectors: number;
  readonly table: BarPlace;
  /** The 8-byte boundary behind the table unless given. */
  readonly pba?: BarPlace;
}

/** What a data sheet says of a function; all of it has a default. */
export interface PciFunctionInput {
  readonly identity?: Partial<PciIdentity>;
  /** PMCSR.No_Soft_Reset; true unless given. */
  readonly noSoftReset?: boolean;
  /** Function-level reset; true unless given. */
  readonly flr?: boolean;
  /** Bytes, 128 to 4096; 256 unless given. */
  readonly maxPayload?: number;
  /** Power states D1 and D2; absent unless given. */
  readonly d1?: boolean;
  readonly d2?: boolean;
  /** An Advanced Features capability with function-level reset; absent unless given. */
  readonly af?: boolean;
  /** Extended capabilities in the order of their list; none unless given. */
  readonly extended?: readonly ExtendedName[];
  readonly msix?: MsixInput;
  readonly virtualFunction?: boolean;
}

/** Vendor 1234 is nobody's; class 0xff0000 fits no other. */
const UNNAMED: PciIdentity = {
  vendorId: 0x1234,
  deviceId: 0x0001,
  classCode: 0xff_0000,
  revision: 0,
  subsystemVendorId: 0,
  subsystemId: 0,
};

const PM_AT = 0x40;
const PM_SIZE = 8;
const EXPRESS_AT = PM_AT + PM_SIZE;
const EXPRESS_SIZE = 0x3c;
const MSIX_AT = EXPRESS_AT + EXPRESS_SIZE;
const MSIX_SIZE = 12;
const AF_AT = MSIX_AT + MSIX_SIZE;
const MOST_VECTORS = 2048;

/** Bytes of one entry: address, upper address, data, vector control. */
export const MSIX_ENTRY_SIZE = 16;

/** Bytes of the table and of the pending bits. */
const msixTableSize = ({ vectors }: { readonly vectors: number }): number => vectors * MSIX_ENTRY_SIZE;
const msixPbaSize = ({ vectors }: { readonly vectors: number }): number => Math.ceil(vectors / 64) * 8;

/**
 * @param name of the device, for the messages
 * @param bars number to bytes of its memory BARs
 * @throws RangeError for a vector count, a payload size or a place that PCI does not have
 */
export function pciFunction(
  name: string,
  input: PciFunctionInput,
  bars: ReadonlyMap<number, number>,
): PciFunction {
  const { noSoftReset = true, flr = true, maxPayload = 256, msix, virtualFunction = false } = input;
  const { d1 = false, d2 = false, af = false, extended = [] } = input;
  if (!Number.isInteger(Math.log2(maxPayload)) || maxPayload < 128 || maxPayload > 4096) {
    throw new RangeError(`device '${name}': maximal payload ${maxPayload}; PCI Express has 128 to 4096`);
  }
  return {
    identity: { ...UNNAMED, ...input.identity },
    capabilities: [
      {
        id: 'pm',
        at: PM_AT,
        noSoftReset,
        ...(d1 ? { d1: true as const } : {}),
        ...(d2 ? { d2: true as const } : {}),
      },
      { id: 'express', at: EXPRESS_AT, flr, maxPayload },
      ...(msix === undefined ? [] : [msixCapability(name, msix, bars)]),
      ...(af ? [{ id: 'af', at: AF_AT } as const] : []),
    ],
    ...(extended.length === 0 ? {} : { extended: extendedCapabilities(name, extended) }),
    virtualFunction,
  };
}

function msixCapability(name: string, input: MsixInput, bars: ReadonlyMap<number, number>): MsixCapability {
  const { vectors, table } = input;
  if (!Number.isInteger(vectors) || vectors < 1 || vectors > MOST_VECTORS) {
    throw new RangeError(`device '${name}': ${vectors} MSI-X vectors; there are 1 to ${MOST_VECTORS}`);
  }
  const pba = input.pba ?? { bar: table.bar, offset: table.offset + msixTableSize(input) };
  checkPlace(name, 'MSI-X table', table, msixTableSize(input), bars);
  checkPlace(name, 'MSI-X pending bits', pba, msixPbaSize(input), bars);
  return { id: 'msi-x', at: MSIX_AT, vectors, table, pba };
}

function checkPlace(
  name: string,
  what: string,
  { bar, offset }: BarPlace,
  size: number,
  bars: ReadonlyMap<number, number>,
): void {
  const room = bars.get(bar);
  if (room === undefined)
    throw new RangeError(`device '${name}': ${what} in BAR${bar}, which is no memory BAR`);
  if (offset % 8 !== 0 || offset < 0 || offset + size > room) {
    throw new RangeError(
      `device '${name}': ${what} at ${offset} of BAR${bar} has to be a multiple of 8 inside it`,
    );
  }
}

/** The capability of that id; undefined for a function without. */
export function capabilityOf<I extends PciCapability['id']>(
  { capabilities }: PciFunction,
  id: I,
): Extract<PciCapability, { readonly id: I }> | undefined {
  return capabilities.find(
    (capability): capability is Extract<PciCapability, { readonly id: I }> => capability.id === id,
  );
}
