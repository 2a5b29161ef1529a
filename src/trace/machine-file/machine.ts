// What a trace is replayed against: the facts of host, slots and VMAs that no trace carries, after reading and
// checking. Null says that a fact is not known; nothing is put in its place.

import type { Hva, Ipa, Pa } from '../../arch/addresses.ts';
import type { CpuFeatures } from '../../arch/cpu.ts';
import type { Granule, Stage2Geometry } from '../../arch/geometry.ts';
import type { Vgic, VmmCall } from '../../host/calls.ts';
import type { KernelFeatures } from '../../host/kernel-features.ts';
import type { Prot, VmaBacking } from '../../host/vma.ts';

export interface TraceMachine {
  readonly name: string;
  readonly kernel: { readonly name: string; readonly features: KernelFeatures };
  readonly pageSize: Granule;
  readonly cpu: CpuFeatures;
  /** /sys/kernel/mm/transparent_hugepage/enabled. */
  readonly thp: 'always' | 'madvise' | 'never' | null;
  readonly gicv: { readonly pa: Pa; readonly size: number } | null;
  readonly vms: readonly TraceVm[];
}

export interface TraceVm {
  readonly name: string;
  /** Process of the VMM. */
  readonly pid: number | null;
  /** Thread ids of the vCPUs; empty if not known. */
  readonly vcpuThreads: readonly number[];
  /** vCPUs, which decide how large the redistributors of a GICv3 are; null if not known. */
  readonly vcpus: number | null;
  readonly geometry: Stage2Geometry;
  /** `slots` names every memslot, so that an IPA outside them has none. */
  readonly slotsComplete: boolean;
  readonly vgic: Vgic | null;
  readonly capabilities: readonly string[];
  readonly slots: readonly TraceSlot[];
  readonly vmas: readonly TraceVma[];
  /** What the VMM did later, in its order. */
  readonly calls: readonly TimedCall[];
  /** `calls` is all that the VMM did to its memory and its memslots: mappings, its own stores, discards. */
  readonly callsComplete: boolean;
}

/** Where in a trace a call stands: before the first event that lies behind it. */
export type Place =
  /** Lines of the trace that come before the call. */
  | { readonly line: number }
  /** Time of the trace's clock at which the call had returned, in the unit that the trace prints. */
  | { readonly time: number }
  /** Faults of the VM (kvm_guest_fault) that were over before the call. */
  | { readonly fault: number };

export interface TimedCall {
  readonly after: Place;
  readonly call: TraceCall;
}

export type TraceCall =
  /** KVM_SET_USER_MEMORY_REGION; what is null stays as the slot has it, `size` 0 deletes. */
  | {
      readonly kind: 'memslot';
      readonly slot: number;
      readonly ipa: Ipa | null;
      readonly size: number | null;
      readonly hva: Hva | null;
      readonly readonly: boolean | null;
      readonly logDirty: boolean | null;
      readonly backing: TraceBacking | null;
    }
  | { readonly kind: 'mmap'; readonly vma: TraceVma }
  /** `pages` null: to the end of the slot. */
  | {
      readonly kind: 'dirty-log-clear';
      readonly slot: number;
      readonly firstPage: number;
      readonly pages: number | null;
    }
  /** The command register of a PCI function; without bit 1, vfio-pci zaps every mapping of its BARs. */
  | { readonly kind: 'pci-command'; readonly device: string; readonly value: number }
  | Extract<
      VmmCall,
      {
        readonly kind:
          | 'munmap'
          | 'mprotect'
          | 'madvise'
          | 'host-write'
          | 'host-read'
          | 'dma-map'
          | 'dirty-log-get'
          | 'enable-cap';
      }
    >;

export interface TraceSlot {
  readonly slot: number;
  readonly ipa: Ipa;
  readonly size: number;
  readonly hva: Hva | null;
  readonly readonly: boolean;
  readonly logDirty: boolean;
  /** What backs a slot whose VMA is not listed. */
  readonly backing: TraceBacking | null;
}

export interface TraceVma {
  readonly start: Hva;
  readonly end: Hva;
  readonly prot: Prot;
  readonly backing: TraceBacking;
}

/** The backing of a VMA, with what the model of the host has no place for. */
export interface TraceBacking {
  readonly vma: VmaBacking;
  /** Every page is written before the guest runs, by the VMM or by pinning for DMA. */
  readonly populated: boolean | null;
  /** The physical address of a PFNMAP mapping is known: without it the size of a leaf is not. */
  readonly paKnown: boolean;
}
