// What a scenario comes to once it is told: devices, VMs with their assignments and programs, and the programs of
// the VMM. Still in the scenario's own terms; scenario-setup.ts gives it addresses and turns it into events.

import type { Ipa } from '../arch/addresses.ts';
import type { DeviceDescription } from '../devices/description.ts';
import type { GuestProgram } from '../guest/operations.ts';
import type { Ioeventfd, Vgic } from '../host/calls.ts';
import type { VmmProgram } from './scenario-vmm.ts';

/** How a VMM maps a region into its process; a device is mapped by its own driver unless a scenario says otherwise. */
export type MapAs = 'vfio-pci' | 'vfio-platform' | 'devmem' | 'sysfs';

/** A region of a device, as a VMM can assign it. */
export interface RegionRef {
  readonly device: string;
  /** Number of the region in its device: the BAR of a PCI function. */
  readonly index: number;
  /** Device and region: `gpu.BAR0`. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

export interface Assignment {
  readonly region: RegionRef;
  readonly ipa: Ipa;
  /** KVM_MEM_READONLY. */
  readonly readonly: boolean;
  /** Null for the device's own driver. */
  readonly as: MapAs | null;
  /** How the VMM's mapping is aligned: `natural` to its size, `page` off every block. */
  readonly alignment: 'natural' | 'page';
  /** The VMM lives without the memslot if KVM refuses it. */
  readonly mayBeRefused: boolean;
  /** What the VMM does with the pages of an MSI-X table: emulates them, or maps them to the guest. */
  readonly msix: 'trapped' | 'mapped';
}

/** A page of ECAM in which a guest sees the config space of a PCI function. */
export interface ConfigWindow {
  readonly device: string;
  readonly ipa: Ipa;
  /** `follow`: the VMM maps BARs where the guest puts them; `fixed`: where they were assigned, whatever it writes. */
  readonly bars: 'follow' | 'fixed';
  /** What a VMM that follows does with BARs of a function that is not in D0. */
  readonly asleep: 'mapped' | 'unmapped';
}

/** An interrupt of a device, and the SPI of a VM that it becomes. */
export interface InterruptWiring {
  readonly device: string;
  /** The device's name for it. */
  readonly line: string;
  /** From 0: INTID 32 and up. */
  readonly spi: number;
}

export interface VmDefinition {
  readonly name: string;
  /** Number of the VM's slice. */
  readonly id: number;
  /** Bytes of RAM at RAM_IPA. */
  readonly ram: number;
  readonly ipaBits: number;
  readonly vgic: Vgic | null;
  /** What reports call the CPU interface of a vGICv2. */
  readonly gicvName: string;
  /** What the VMM does when KVM_RUN fails: gives up, or steps over the instruction and goes on. */
  readonly onRunError: 'stop' | 'skip';
  /** Capabilities that the VMM enables, with their argument. */
  readonly capabilities: Readonly<Record<string, number>>;
  readonly assignments: Assignment[];
  readonly interrupts: InterruptWiring[];
  readonly ioeventfds: Ioeventfd[];
  readonly configs: ConfigWindow[];
  /** Number of the vCPU to what it runs. */
  readonly programs: Map<number, GuestProgram>;
  /** Highest number of a vCPU so far, at least 0. */
  lastVcpu: number;
}

export interface Definition {
  readonly name: string;
  readonly devices: DeviceDescription[];
  readonly vms: VmDefinition[];
  readonly vmmPrograms: VmmProgram[];
}

/** Where RAM starts in every VM, as on QEMU's virt machine. */
export const RAM_IPA = 0x4000_0000 as Ipa;

/** Name of a vGICv2's CPU interface, but where it took the place of a device's region. */
export const GICV_NAME = 'GICV';

export const emptyDefinition = (name: string): Definition => ({
  name,
  devices: [],
  vms: [],
  vmmPrograms: [],
});
