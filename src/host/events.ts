// What happens in the host, in the past tense: everything `evolve` needs, nothing it would have to decide.
// `vm` and `vcpu` are numbers of slices in the machine's state.

import type { Access } from '../arch/access.ts';
import type { Hva, Ipa, Pa } from '../arch/addresses.ts';
import type { CpuFeatures } from '../arch/cpu.ts';
import type { LeafAttributes } from '../arch/descriptor.ts';
import type { Granule, Level, Stage2Geometry } from '../arch/geometry.ts';
import type { Stage2Fault } from '../arch/stage2-fault.ts';
import type { Because } from './because.ts';
import type { Ioeventfd, Irqfd, Vgic, VmmCall } from './calls.ts';
import type { HostPte } from './host-memory.ts';
import type { KernelFeatures } from './kernel-features.ts';
import type { Memslot, SlotRange } from './memslot.ts';
import type { Vma } from './vma.ts';

interface OfVm {
  readonly vm: number;
}

interface OfVcpu extends OfVm {
  readonly vcpu: number;
}

/** Invalidation of stage-2 translations by IPA, by a range of IPAs, or of the whole VMID (DDI0487 D8.16). */
export type Tlbi = 'IPAS2E1IS' | 'IPAS2E1' | 'RIPAS2E1IS' | 'VMALLS12E1IS';

/**
 * A host bridge on a request that no function takes. `contained`: reads complete with all ones, posted writes vanish.
 * `to-guest`: the bus reports an error to the processor, a synchronous external abort on a read and an SError for a
 * posted write. `fatal`: firmware takes the error for fatal.
 */
export type PcieErrors = 'contained' | 'to-guest' | 'fatal';

/** What a fault will put into the table; decided when the map call begins. */
export interface MapPlan {
  readonly kind: 'map' | 'relax';
  readonly ipa: Ipa;
  readonly level: Level;
  readonly pa: Pa;
  readonly attributes: LeafAttributes;
  /** mmu_invalidate_seq when the host page was looked up. */
  readonly mmuSeq: number;
  /** Slot and page to mark dirty when the leaf is writable. */
  readonly dirty: { readonly slot: number; readonly page: number } | null;
  readonly because: Because;
  /** Why the leaf is as large as it is; null for a plain page of RAM. */
  readonly sizeBecause: Because | null;
}

export type HostEvent =
  | {
      readonly type: 'host-booted';
      readonly kernel: string;
      readonly features: KernelFeatures;
      readonly cpu: CpuFeatures;
      readonly pageSize: Granule;
      readonly thp: 'always' | 'madvise' | 'never';
      readonly gicv: { readonly pa: Pa; readonly size: number } | null;
      /** What the host bridge makes of an Unsupported Request; `contained` unless given. */
      readonly pcieErrors?: PcieErrors;
      /** Stores with a value can be read back from RAM, by loads and by walks of tables. */
      readonly ramContents?: true;
    }
  | (OfVm & {
      readonly type: 'vm-created';
      readonly name: string;
      readonly geometry: Stage2Geometry;
      readonly vcpus: number;
      readonly capabilities: Readonly<Record<string, number>>;
    })
  | (OfVm & { readonly type: 'vmm-called'; readonly call: VmmCall })
  | (OfVm & {
      readonly type: 'vmm-call-returned';
      readonly errno: number;
      readonly dirtyPages?: readonly number[];
    })
  | (OfVm & {
      readonly type: 'vmas-changed';
      readonly start: Hva;
      readonly end: Hva;
      /** VMAs that now fill the range; parts outside stay. */
      readonly vmas: readonly Vma[];
      readonly nextVma: number;
    })
  | (OfVm & { readonly type: 'vfio-vma-listed'; readonly vma: number })
  | (OfVm & { readonly type: 'vfio-vma-unlisted'; readonly vma: number })
  /** `count` neighbouring entries of a level take the same value, pages with ascending addresses. */
  | (OfVm & {
      readonly type: 'host-pages-set';
      readonly hva: Hva;
      readonly level: Level;
      readonly count: number;
      readonly pte: HostPte;
      readonly allocated: number;
    })
  | (OfVm & { readonly type: 'host-pages-freed'; readonly start: Hva; readonly end: Hva })
  /** mmu_notifier_invalidate_range_start to _end; `slots` says what lost its leaves. */
  | (OfVm & {
      readonly type: 'notifier-invalidated';
      readonly start: Hva;
      readonly end: Hva;
      readonly slots: readonly SlotRange[];
      readonly because: Because;
    })
  | (OfVm & {
      readonly type: 'notifier-aged';
      readonly start: Hva;
      readonly end: Hva;
      readonly slots: readonly SlotRange[];
    })
  | (OfVm & { readonly type: 'memslot-set'; readonly slot: Memslot; readonly unmapped: SlotRange | null })
  | (OfVm & { readonly type: 'memslot-deleted'; readonly slot: number; readonly unmapped: SlotRange })
  | (OfVm & { readonly type: 'vgic-created'; readonly vgic: Vgic })
  | (OfVm & { readonly type: 'vgic-resources-mapped' })
  | (OfVm & { readonly type: 'ioeventfd-assigned'; readonly ioeventfd: Ioeventfd })
  | (OfVm & { readonly type: 'irqfd-assigned'; readonly irqfd: Irqfd })
  /** Its counter rises by one; a read takes it to zero. */
  | (OfVm & { readonly type: 'eventfd-signalled' | 'eventfd-read'; readonly eventfd: string })
  /** kvm_notify_acked_irq(): the guest ended a level that somebody wants to know of. */
  | (OfVm & { readonly type: 'irq-acked'; readonly gsi: number })
  /** VFIO holds a level back between its eventfds of trigger and unmask. */
  | (OfVm & { readonly type: 'vfio-irq-masked' | 'vfio-irq-unmasked'; readonly gsi: number })
  | (OfVm & { readonly type: 'capability-enabled'; readonly cap: string; readonly argument: number })
  | (OfVm & {
      readonly type: 'stage2-write-protected';
      readonly ranges: readonly SlotRange[];
      readonly because: Because;
    })
  /**
   * Break-before-make: a valid entry was made invalid and invalidated in the TLBs, because another is to take its
   * place. Covers everything below the entry.
   */
  | (OfVm & {
      readonly type: 'stage2-broken';
      readonly ipa: Ipa;
      readonly level: Level;
      readonly size: number;
      readonly tlbi: Tlbi;
      readonly because: Because;
    })
  /** Eager splitting: a block that was broken is a table of `count` leaves of `level` now, the first at `pa`. */
  | (OfVm & {
      readonly type: 'stage2-split';
      readonly ipa: Ipa;
      readonly level: Level;
      readonly count: number;
      readonly pa: Pa;
      readonly attributes: LeafAttributes;
    })
  | (OfVm & {
      readonly type: 'dirty-log-changed';
      readonly slot: number;
      readonly change: 'get' | 'clear';
      readonly firstPage: number;
      readonly pages: number;
    })
  | (OfVcpu & { readonly type: 'vcpu-run' })
  | (OfVcpu & { readonly type: 'stage2-map-begun'; readonly plan: MapPlan; readonly locks: boolean })
  | (OfVcpu & {
      readonly type: 'stage2-mapped';
      readonly ipa: Ipa;
      readonly level: Level;
      readonly pa: Pa;
      readonly attributes: LeafAttributes;
      readonly dirty: { readonly slot: number; readonly page: number } | null;
      readonly because: Because;
      readonly sizeBecause: Because | null;
    })
  /** kvm_pgtable_stage2_relax_perms: permissions widen, attributes stay, no break is needed. */
  | (OfVcpu & {
      readonly type: 'stage2-relaxed';
      readonly tlbi: Tlbi;
      readonly ipa: Ipa;
      readonly attributes: LeafAttributes;
      readonly dirty: { readonly slot: number; readonly page: number } | null;
    })
  /** kvm_phys_addr_ioremap of the GICV frame, or set_spte of a notifier: no vCPU's fault is behind it. */
  | (OfVm & {
      readonly type: 'stage2-set';
      readonly ipa: Ipa;
      readonly level: Level;
      readonly pa: Pa;
      readonly attributes: LeafAttributes;
      readonly because: Because;
    })
  | (OfVcpu & { readonly type: 'stage2-made-young'; readonly ipa: Ipa })
  | (OfVcpu & { readonly type: 'fault-retried'; readonly because: Because })
  | (OfVcpu & { readonly type: 'guest-reentered'; readonly because: Because })
  | (OfVcpu & { readonly type: 'instruction-skipped'; readonly because: Because })
  | (OfVcpu & {
      readonly type: 'abort-injected';
      readonly esr: number;
      /** ESR_EL1 as the register shows it: sign-extended by some kernels. */
      readonly signExtended: boolean;
      readonly far: number;
      readonly because: Because;
    })
  | (OfVcpu & {
      readonly type: 'mmio-exited' | 'mmio-handled';
      readonly gpa: Ipa;
      readonly size: number;
      readonly write: boolean;
      readonly because: Because;
    })
  /** The hypervisor's own code makes the access to GICV; there is no exit to the kernel. */
  | (OfVcpu & {
      readonly type: 'gicv-trapped';
      readonly gpa: Ipa;
      readonly size: number;
      readonly write: boolean;
      readonly because: Because;
    })
  /** KVM_EXIT_ARM_SEA, or an SError for the guest on kernels without it. */
  | (OfVcpu & { readonly type: 'sea-exited' | 'serror-injected'; readonly because: Because })
  /** An error that firmware takes for fatal: the host and all its VMs are gone. */
  | (OfVcpu & { readonly type: 'host-panicked'; readonly log: string; readonly because: Because })
  /** SIGBUS with BUS_MCEERR_AR for the vCPU thread: si_addr and si_addr_lsb. */
  | (OfVcpu & {
      readonly type: 'sigbus-sent';
      readonly hva: Hva;
      readonly lsb: number;
      readonly because: Because;
    })
  | (OfVcpu & { readonly type: 'nisv-exited'; readonly gpa: Ipa; readonly because: Because })
  | (OfVcpu & {
      readonly type: 'run-failed';
      readonly errno: number;
      /** What the kernel logs; null where it stays silent. */
      readonly log: string | null;
      readonly because: Because;
    });

/** What the host hears from the guest's processors. */
export interface FaultInput {
  readonly type: 'stage2-faulted';
  readonly vm: number;
  readonly vcpu: number;
  readonly access: Access;
  readonly fault: Stage2Fault;
}

/** What vfio-pci sees of its devices: a write of the command register in config space. */
export interface PciCommandInput {
  readonly type: 'pci-command-written';
  readonly device: string;
  readonly value: number;
}

/** A write of the power state in PMCSR. */
export interface PciPowerInput {
  readonly type: 'pci-power-written';
  readonly device: string;
  readonly state: 'D0' | 'D1' | 'D2' | 'D3hot';
}

/** A function-level reset asked for in config space, VFIO_DEVICE_RESET, or VFIO_DEVICE_PCI_HOT_RESET. */
export interface PciResetInput {
  readonly type: 'pci-reset-asked';
  readonly device: string;
  readonly by: 'function-level-reset' | 'device-reset' | 'hot-reset';
  /** The other functions on its bus, which a hot reset resets, too; absent for none. */
  readonly along?: readonly string[];
}

/** What vfio-pci answers by taking memory_lock. */
export type PciInput = PciCommandInput | PciPowerInput | PciResetInput;

/** What stage 2 sees of hardware: it set the access flag of a leaf (FEAT_HAFDBS). */
export interface AccessFlagInput {
  readonly type: 'access-flag-set';
  readonly vm: number;
  readonly ipa: Ipa;
}
