// What the host remembers: one flat slice for the host and one for each VM with its VMM process. Fields hold plain
// data or persistent values and are replaced, never changed inside, so that a slice can be copied shallowly.

import type { Pa } from '../arch/addresses.ts';
import type { CpuFeatures } from '../arch/cpu.ts';
import type { Stage2Leaf } from '../arch/descriptor.ts';
import type { Granule, Stage2Geometry } from '../arch/geometry.ts';
import type { TranslationTable } from '../arch/translation-table.ts';
import type { Ioeventfd, Irqfd, Vgic } from './calls.ts';
import type { PcieErrors } from './events.ts';
import type { HostMemory } from './host-memory.ts';
import type { KernelFeatures } from './kernel-features.ts';
import type { Memslot } from './memslot.ts';
import type { Vma } from './vma.ts';

export interface HostState {
  /** Name of the kernel preset. */
  kernel: string;
  features: KernelFeatures;
  cpu: CpuFeatures;
  /** Host page size, also the granule of stage 2. */
  pageSize: Granule;
  /** /sys/kernel/mm/transparent_hugepage/enabled. */
  thp: 'always' | 'madvise' | 'never';
  /** Host GICV frame; null on a GICv3 host. */
  gicv: { readonly pa: Pa; readonly size: number } | null;
  /** What the host bridge makes of a request that no function takes. */
  pcieErrors: PcieErrors;
  /** PCI functions whose memory decoding is off, by name. */
  memoryDisabled: readonly string[];
  /** PCI functions that vfio-pci put to D3hot, by name; empty on kernels that do not guard it. */
  inD3hot: readonly string[];
}

/** A map call between its begin and its end, as another vCPU can meet it. */
export interface MapInFlight {
  readonly vcpu: number;
  readonly ipa: number;
  readonly size: number;
  /** The entry was absent and is locked until the end. */
  readonly locks: boolean;
}

export interface VmState {
  name: string;
  geometry: Stage2Geometry;
  table: TranslationTable<Stage2Leaf>;
  slots: readonly Memslot[];
  vmas: readonly Vma[];
  memory: HostMemory;
  /** kvm->mmu_invalidate_seq: notifiers that hit a memslot, and changes of live memslots. */
  mmuSeq: number;
  inFlight: readonly MapInFlight[];
  vgic: Vgic | null;
  /** kvm_vgic_map_resources() ran: the first KVM_RUN maps GICV and registers the in-kernel MMIO windows. */
  vgicMapped: boolean;
  ioeventfds: readonly Ioeventfd[];
  irqfds: readonly Irqfd[];
  /** GSIs of levels that VFIO holds back until the guest has ended them. */
  maskedIrqs: readonly number[];
  /** Counters of eventfds that were ever signalled. */
  eventfds: Readonly<Record<string, number>>;
  /** Enabled capabilities: name to argument. */
  capabilities: Readonly<Record<string, number>>;
  vcpus: number;
  /** Next free physical address of this process's pages; any allocator would do. */
  nextPage: Pa;
  /** Number of the next VMA. */
  nextVma: number;
  /** vfio-pci's VMA list (kernels with `vfioVmaList`): numbers of faulted VMAs, latest first. */
  vfioVmas: readonly number[];
}
