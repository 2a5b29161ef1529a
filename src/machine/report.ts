// What a run of a scenario came to, as data: who died of what, which leaves stage 2 got and why, what each device
// received, what each guest saw, and which expectations held. Everything that reports read is here.

import type { GuestAbort } from '../guest/operations.ts';
import type { PcieErrors } from '../host/events.ts';
import type { Recorded } from './events.ts';
import type { Simulation } from './simulation.ts';
import type { MachineState } from './state.ts';

/** What a pass-through device can be made of; the regions stay where they are. */
export type VaryDevice = 'vfio-pci' | 'vfio-platform' | 'devmem' | 'sysfs' | 'gicv';

export const VARY_DEVICES: readonly VaryDevice[] = ['vfio-pci', 'vfio-platform', 'devmem', 'sysfs', 'gicv'];

/** What differs from the scenario as written; absent is as written. */
export interface Variant {
  readonly device?: VaryDevice;
  /** What every ioremap() of the guests maps as: `Normal-NC`, `Device-nGnRE` and so on. */
  readonly stage1?: string;
  /** FEAT_S2FWB. */
  readonly fwb?: boolean;
  /** CTR_EL0.DIC: no instruction cache maintenance is needed. */
  readonly dic?: boolean;
  /** What if: the host maps GICV Normal-NC, which no kernel does. */
  readonly gicv?: 'normal-nc';
  /** Host page size and stage-2 granule in bytes. */
  readonly pageSize?: 4096 | 16384 | 65536;
  readonly thp?: 'always' | 'madvise' | 'never';
  readonly onRunError?: 'stop' | 'skip';
  /** What the host bridge makes of requests that no function takes; `contained` unless given. */
  readonly pcieErrors?: PcieErrors;
}

export interface ScenarioRun {
  /** Name of the scenario. */
  readonly scenario: string;
  readonly kernel: string;
  readonly seed: number;
  readonly variant: Variant;
  readonly simulation: Simulation;
  /** Every event in order; empty if the run was told not to keep them. */
  readonly events: readonly Recorded[];
  readonly vms: readonly VmReport[];
  readonly devices: readonly DeviceReport[];
  readonly regions: readonly RegionReport[];
  /** Eventfds that stores of guests can signal, and how often they did. */
  readonly eventfds: readonly EventfdReport[];
  readonly expectations: readonly ExpectationResult[];
  /** No expectation failed. */
  readonly ok: boolean;
  /** Who took each step: numbers of vCPU slices, then of the VMM's programs. Given back, it repeats the run. */
  readonly schedule: readonly number[];
  /** Programs that wait for a signal that nobody raised. */
  readonly stuck: readonly string[];
  /** State of the generator that chose the schedule, after the run. */
  readonly prng: number;
  /**
   * The machine after event `seq`.
   * @throws RangeError if there is no such event, or the run kept neither snapshots nor events
   */
  snapshot(seq: number): MachineState;
}

export interface EventfdReport {
  /** Name of the VM. */
  readonly vm: string;
  readonly eventfd: string;
  readonly signalled: number;
}

export interface VmReport {
  readonly name: string;
  readonly vm: number;
  readonly vcpus: readonly VcpuReport[];
  /** Why KVM_RUN failed and the VMM gave up; null for a VM that lives. */
  readonly dead: Death | null;
  /** KVM_RUN errors that the VMM stepped over. */
  readonly skipped: readonly Death[];
}

export interface Death {
  /** Of KVM_RUN; 0 where the host itself died. */
  readonly errno: number;
  /** As in errno.h: EFAULT, ENOSYS. */
  readonly errnoName: string;
  /** What the host kernel and the VMM print, a line each. */
  readonly log: readonly string[];
  /** Rule of the host by which it came to that. */
  readonly because: string;
  readonly vcpu: number;
  /** The event of the failure. */
  readonly seq: number;
}

export interface VcpuReport {
  /** Number of the vCPU's slice. */
  readonly vcpu: number;
  /** Number of the vCPU in its VM. */
  readonly index: number;
  /** The program ran to its end. */
  readonly finished: boolean;
  readonly accesses: readonly AccessReport[];
  /** Interrupts that reads of GICV_IAR or GICV_AIAR acknowledged, in order. */
  readonly interrupts: readonly InterruptReport[];
}

export interface InterruptReport {
  /** Event of the read. */
  readonly seq: number;
  readonly intid: number;
  /** The vCPU that sent an SGI; null for all else. */
  readonly from: number | null;
  /** No load asked for the read: the guest never learns of the interrupt. */
  readonly lost: boolean;
}

export interface AccessReport {
  readonly id: number;
  /** Event that issued it. */
  readonly seq: number;
  readonly kind: string;
  readonly size: number;
  readonly va: number;
  readonly ipa: number | null;
  /** Assigned region that the IPA lies in, and the offset there. */
  readonly region: string | null;
  readonly offset: number | null;
  readonly faults: readonly FaultReport[];
  readonly outcome: AccessOutcome | null;
  /** Combined memory type in words; null where the access reached nothing. */
  readonly combined: string | null;
  readonly value: bigint | null;
  readonly aborted: GuestAbort | null;
  /** Rule that decided the outcome last. */
  readonly because: string | null;
}

export type AccessOutcome =
  | 'completed'
  | 'mmio-exited'
  | 'mmio-handled'
  | 'gicv-trapped'
  | 'serror-injected'
  | 'nisv-exited'
  | 'run-failed'
  | 'abort-injected'
  | 'stage1-faulted'
  | 'instruction-skipped'
  | 'serror-injected'
  | 'sea-exited'
  /** The same fault again and again, whatever the host did: the vCPU spins. */
  | 'livelocked';

export interface FaultReport {
  readonly seq: number;
  readonly ipa: number;
  readonly esr: number;
  readonly far: number;
}

export interface DeviceReport {
  readonly name: string;
  readonly device: number;
  readonly kind: string;
  readonly writes: number;
  readonly reads: number;
  readonly bytesWritten: number;
  readonly bytesRead: number;
  /** All that arrived, in order. */
  readonly transactions: readonly TransactionReport[];
  /** Sizes in order of arrival, runs counted: '1 x 64 B write, 2 x 8 B write'. */
  readonly shape: string;
}

export interface TransactionReport {
  readonly seq: number;
  readonly kind: 'read' | 'write';
  /** On the bus, or emulated after an exit to user space, to the kernel, or to the hypervisor's own code alone. */
  readonly by: 'bus' | 'mmio-exit' | 'in-kernel' | 'hypervisor';
  readonly vm: number;
  readonly vcpu: number;
  readonly region: number;
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  /** Stores of the program that it gathered. */
  readonly stores: number;
  /** What it did besides moving a value, in the device's words; null for nothing. */
  readonly effect: string | null;
  /** Combined type by which it was made; null for emulated accesses. */
  readonly memoryType: string | null;
}

/** One region of a device in one VM. */
export interface RegionReport {
  readonly vm: string;
  /** Device and region: 'gpu.bar0'. */
  readonly region: string;
  readonly ipa: number;
  readonly size: number;
  /** What backs it in this run: vfio-pci, devmem, gicv, emulated, ... */
  readonly kind: string;
  /** Kinds of leaves that stage 2 got here during the run, in order of their first. */
  readonly leaves: readonly LeafReport[];
}

/** Leaves that are alike but for their address. */
export interface LeafReport {
  /** Event of the first. */
  readonly seq: number;
  readonly ipa: number;
  readonly pa: number;
  readonly level: number;
  /** Bytes of one leaf. */
  readonly size: number;
  /** How many were put in. */
  readonly count: number;
  readonly memAttr: number;
  /** In words: 'Device-nGnRE', 'Normal Non-cacheable'. */
  readonly type: string;
  readonly read: boolean;
  readonly write: boolean;
  readonly exec: boolean;
  /** The descriptor of the first, 64 bits. */
  readonly descriptor: bigint;
  /** Rule of the memory type, and its words. */
  readonly because: string;
  readonly becauseText: string;
  /** Rule of the size; null for a plain page. */
  readonly sizeBecause: string | null;
  /** Types that accesses through such leaves got, in words: stage 1 and stage 2 combined. */
  readonly combined: readonly string[];
}

export interface ExpectationResult {
  /** What is expected of whom: 'guest died'. */
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
  readonly ok: boolean;
}
