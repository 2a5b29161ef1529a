// Handles of a scenario: what `host.plug`, `host.vm` and `vm.assign` return. They build the definition while the
// story is told, and make the checks that its expectations ask.

import type { Ipa } from '../arch/addresses.ts';
import { ipa } from '../arch/addresses.ts';
import type { DeviceDescription } from '../devices/description.ts';
import { regionOf } from '../devices/description.ts';
import { ROM_REGION } from '../devices/pci/rom.ts';
import type { Size } from '../devices/sizes.ts';
import { bytesOf } from '../devices/sizes.ts';
import type { Mappable } from '../guest/mapping.ts';
import type { GuestProgram } from '../guest/operations.ts';
import type { Vgic } from '../host/calls.ts';
import type { ConfigOptions } from './config-options.ts';
import type { Check, DiedWanted, LeafWanted, ReceivedWanted, SawWanted } from './expect.ts';
import {
  acknowledged,
  died,
  endedAs,
  finished,
  leaf,
  loaded,
  neverMapped,
  outcomes,
  received,
  saw,
  sawNoAbort,
  survived,
} from './expect.ts';
import type { AccessOutcome } from './report.ts';
import type { Definition, MapAs, RegionRef, VmDefinition } from './scenario-definition.ts';
import { GICV_NAME, RAM_IPA } from './scenario-definition.ts';
import type { AssignedRegion } from './scenario-vmm.ts';
import type { EventfdHandle, IoeventfdMatch } from './scenario-wiring.ts';
import { connect, ioeventfdOf } from './scenario-wiring.ts';

/** A plugged device. */
export interface DeviceHandle {
  readonly name: string;
  /** @throws RangeError if there is no such BAR */
  bar(index: number): RegionRef;
  /** @throws RangeError if there is no such region */
  region(index: number): RegionRef;
  /** The expansion ROM. @throws RangeError if there is none */
  rom(): RegionRef;
  /** What arrived at the device: transactions of the bus, and accesses that the VMM or the kernel handed on. */
  received(wanted: ReceivedWanted): Check;
}

/** A region that a VM's guest can map. */
export interface RegionHandle extends Mappable, AssignedRegion {
  /** Every leaf that stage 2 ever had here is like that, and there was one. */
  leaf(wanted: LeafWanted): Check;
  /** Stage 2 never had a leaf here. */
  neverMapped(): Check;
}

export interface VmOptions {
  /** '64M' unless given. It starts at 0x4000_0000. */
  readonly ram?: Size;
  /** IPA size of the VM in bits, 32 to the host's limit; 40 unless given. */
  readonly ipaBits?: number;
  /** The interrupt controller: a version, or where the guest sees it. None unless given. */
  readonly vgic?: 2 | 3 | VgicPlaces;
  /** When KVM_RUN fails, QEMU stops the VM; `skip` steps over the instruction instead. */
  readonly onRunError?: 'stop' | 'skip';
  /** Capabilities that the VMM enables, such as KVM_CAP_ARM_NISV_TO_USER, with their argument. */
  readonly capabilities?: Readonly<Record<string, number>>;
}

export type VgicPlaces =
  | { readonly version: 2; readonly gicd?: number; readonly gicc?: number }
  | { readonly version: 3; readonly gicd?: number; readonly gicr?: number };

export interface AssignOptions {
  /** IPA of the region's first byte, a multiple of the page size. */
  readonly at: number;
  /** The memslot is KVM_MEM_READONLY: stores exit to the VMM. */
  readonly readonly?: boolean;
  /** How the VMM maps it, if not through the device's own driver. */
  readonly as?: MapAs;
  /**
   * Where mmap() puts the VMM's mapping: `natural` is congruent with the physical address, as QEMU asks for since 9.2;
   * `page` is a page off, as any older VMM may get it. `natural` unless given.
   */
  readonly alignment?: 'natural' | 'page';
  /** If KVM refuses the memslot the VMM goes on and emulates; otherwise the run ends with an error. */
  readonly mayBeRefused?: boolean;
  /**
   * The pages of an MSI-X table and its pending bits: `trapped`, the VMM emulates them and maps the rest, as QEMU does;
   * or `mapped` to the guest like the rest. `trapped` unless given.
   */
  readonly msix?: 'trapped' | 'mapped';
}

export interface VcpuHandle {
  /** @throws RangeError if the vCPU has a program already */
  run(program: GuestProgram): void;
  /** The program ran to its end. */
  finished(): Check;
  /** Values that its loads gave, in program order; null where a load gave none. */
  loaded(values: readonly (bigint | null)[]): Check;
  /** How its last access ended. */
  ended(wanted: AccessOutcome): Check;
  /** INTIDs that its reads of IAR acknowledged, in order; those that no load asked for do not count. */
  acknowledged(intids: readonly number[]): Check;
  /** How its accesses ended, in program order; null for one that did not. */
  outcomes(wanted: readonly (AccessOutcome | null)[]): Check;
}

export interface VmHandle {
  readonly name: string;
  /** @throws RangeError for an address off page alignment, or one taken already */
  assign(region: RegionRef, options: AssignOptions): RegionHandle;
  /**
   * The function's page of ECAM: loads and stores there are MMIO exits, which the VMM hands on to vfio-pci.
   * @throws RangeError for an address off page alignment, or one taken already
   */
  config(device: { readonly name: string }, options: ConfigOptions): Mappable;
  /** The GICC frame of a VM with a vGICv2: the host's GICV. @throws RangeError for other VMs */
  gicc(): RegionHandle;
  /** The emulated distributor. @throws RangeError for a VM without an interrupt controller */
  gicd(): RegionHandle;
  /** Some IPA where nothing is, or whatever else the scenario wants to aim at. @param size bytes; 4K unless given */
  at(address: number, size?: Size): Mappable;
  vcpu(index: number): VcpuHandle;
  /**
   * Wires an interrupt of a device to an SPI of the VM's GIC: VFIO's by KVM_IRQFD, with a resampler for a level; an
   * emulated device's by KVM_IRQ_LINE.
   * @param line the device's name for it: `INTA` @param spi from 0, which is INTID 32
   * @throws RangeError for a VM without an interrupt controller, and for an SPI that it does not have
   */
  connect(device: { readonly name: string }, line: string, spi: number): void;
  /** KVM_IOEVENTFD: a store that matches signals, and does not exit to the VMM. */
  ioeventfd(name: string, match: IoeventfdMatch): EventfdHandle;
  died(wanted?: DiedWanted): Check;
  survived(): Check;
  /** Some vCPU took such an exception at EL1. */
  saw(wanted: SawWanted): Check;
  sawNoAbort(): Check;
}

const PAGE = 4096;
const LAST_VCPU = 511;

/** Where QEMU's virt machine puts its interrupt controllers. */
const VIRT_GICD = 0x0800_0000;
const VIRT_GICC = 0x0801_0000;
const VIRT_GICR = 0x080a_0000;
/** Bytes of a vGICv2's frames; GICv3's distributor has 64K. */
const GICC_SIZE = 0x2000;
const GICD_SIZE = { 2: 0x1000, 3: 0x10000 } as const;

/** @throws RangeError if a device of that name is there already */
export function deviceHandle(definition: Definition, device: DeviceDescription): DeviceHandle {
  const { name } = device;
  if (definition.devices.some((other) => other.name === name)) {
    throw new RangeError(`a device called '${name}' is plugged already; give each its own name`);
  }
  definition.devices.push(device);
  const region = (index: number): RegionRef => {
    const { size, name: regionName } = regionOf(device, index);
    return { device: name, index, name: `${name}.${regionName}`, size };
  };
  return {
    name,
    bar: region,
    region,
    rom: () => region(ROM_REGION),
    received: (wanted) => received(name, wanted),
  };
}

/** @throws RangeError if a VM of that name is there already, or a size is none */
export function vmHandle(definition: Definition, name: string, options: VmOptions): VmHandle {
  if (definition.vms.some((other) => other.name === name)) {
    throw new RangeError(`a VM called '${name}' is there already; give each its own name`);
  }
  const vm: VmDefinition = {
    name,
    id: definition.vms.length,
    ram: bytesOf(options.ram ?? '64M', `VM '${name}'`),
    ipaBits: options.ipaBits ?? 40,
    vgic: vgicOf(options.vgic),
    gicvName: GICV_NAME,
    onRunError: options.onRunError ?? 'stop',
    capabilities: options.capabilities ?? {},
    assignments: [],
    interrupts: [],
    ioeventfds: [],
    configs: [],
    programs: new Map(),
    lastVcpu: 0,
  };
  definition.vms.push(vm);
  return {
    name,
    assign: (region, assignment) => assign(vm, region, assignment),
    config: (device, config) => configOf(vm, device.name, config),
    gicc: () => giccOf(vm),
    gicd: () => gicdOf(vm),
    at: (address, size = PAGE) => ({
      name: `${name} ${hex(address)}`,
      ipa: ipa(address),
      size: bytesOf(size, name),
    }),
    vcpu: (index) => vcpuHandle(vm, index),
    connect: ({ name: device }, line, spi) => connect(vm, device, line, spi),
    ioeventfd: (eventfd, match) => ioeventfdOf(vm, eventfd, match),
    died: (wanted = {}) => died(name, wanted),
    survived: () => survived(name),
    saw: (wanted) => saw(name, wanted),
    sawNoAbort: () => sawNoAbort(name),
  };
}

function vgicOf(wanted: VmOptions['vgic']): Vgic | null {
  if (wanted === undefined) return null;
  const places: VgicPlaces = typeof wanted === 'number' ? { version: wanted } : wanted;
  const gicd = ipa(places.gicd ?? VIRT_GICD);
  return places.version === 2
    ? { version: 2, gicd, gicc: ipa(places.gicc ?? VIRT_GICC) }
    : { version: 3, gicd, gicr: ipa(places.gicr ?? VIRT_GICR) };
}

function assign(vm: VmDefinition, region: RegionRef, options: AssignOptions): RegionHandle {
  const { at, readonly = false, as = null, alignment = 'natural', mayBeRefused = false } = options;
  const { msix = 'trapped' } = options;
  const place = `${region.name} at ${hex(at)} of VM '${vm.name}'`;
  checkRoom(vm, place, at, region.size);
  vm.assignments.push({ region, ipa: ipa(at), readonly, as, alignment, mayBeRefused, msix });
  return regionHandle(vm.name, region.name, ipa(at), region.size);
}

function configOf(vm: VmDefinition, device: string, options: ConfigOptions): Mappable {
  const { at, bars = 'follow', asleep = 'mapped' } = options;
  checkRoom(vm, `config space of '${device}' at ${hex(at)} of VM '${vm.name}'`, at, PAGE);
  vm.configs.push({ device, ipa: ipa(at), bars, asleep });
  return { name: `${device}.config`, ipa: ipa(at), size: PAGE };
}

/** @throws RangeError where something is, or nothing can be */
function checkRoom(vm: VmDefinition, place: string, at: number, size: number): void {
  if (at % PAGE !== 0) throw new RangeError(`${place}: a memslot starts at a multiple of the page size`);
  const taken = [
    { name: 'RAM', ipa: RAM_IPA, size: vm.ram },
    ...vm.assignments.map(({ region, ipa: start }) => ({ name: region.name, ipa: start, size: region.size })),
    ...vm.configs.map(({ device, ipa: start }) => ({ name: `${device}.config`, ipa: start, size: PAGE })),
  ].find((other) => at < other.ipa + other.size && other.ipa < at + size);
  if (taken !== undefined) throw new RangeError(`${place}: ${taken.name} is there at ${hex(taken.ipa)}`);
  if (at + size > 2 ** vm.ipaBits) {
    throw new RangeError(`${place}: ends beyond the ${vm.ipaBits} bits of IPA; give the VM more ipaBits`);
  }
}

function giccOf(vm: VmDefinition): RegionHandle {
  if (vm.vgic?.version !== 2) throw new RangeError(`VM '${vm.name}' has no GICC; give it vgic: 2`);
  return regionHandle(vm.name, GICV_NAME, vm.vgic.gicc, GICC_SIZE);
}

function gicdOf(vm: VmDefinition): RegionHandle {
  if (vm.vgic === null) throw new RangeError(`VM '${vm.name}' has no GICD; give it vgic: 2 or 3`);
  return regionHandle(vm.name, 'GICD', vm.vgic.gicd, GICD_SIZE[vm.vgic.version]);
}

const regionHandle = (vm: string, name: string, start: Ipa, size: number): RegionHandle => ({
  vm,
  name,
  ipa: start,
  size,
  leaf: (wanted) => leaf(vm, name, wanted),
  neverMapped: () => neverMapped(vm, name),
});

function vcpuHandle(vm: VmDefinition, index: number): VcpuHandle {
  if (!Number.isInteger(index) || index < 0 || index > LAST_VCPU) {
    throw new RangeError(`VM '${vm.name}': vCPU ${index} is not one of 0 to ${LAST_VCPU}`);
  }
  vm.lastVcpu = Math.max(vm.lastVcpu, index);
  return {
    run(program) {
      if (vm.programs.has(index))
        throw new RangeError(`VM '${vm.name}': vCPU ${index} has a program already`);
      vm.programs.set(index, program);
    },
    finished: () => finished(vm.name, index),
    loaded: (values) => loaded(vm.name, index, values),
    ended: (wanted) => endedAs(vm.name, index, wanted),
    acknowledged: (intids) => acknowledged(vm.name, index, intids),
    outcomes: (wanted) => outcomes(vm.name, index, wanted),
  };
}

const hex = (address: number): string => `0x${address.toString(16)}`;
