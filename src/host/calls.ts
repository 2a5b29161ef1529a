// What a VMM process asks of the host: system calls on its memory and ioctls on its VM, with their arguments
// resolved (a slot's hva, a BAR's physical address) but nothing that KVM computes.

import type { Hva, Ipa } from '../arch/addresses.ts';
import type { Prot, VmaBacking } from './vma.ts';

/** Pages that reclaim took for a MADV_PAGEOUT, in the order of their notifiers; no model of KVM can know them. */
export interface Reclaimed {
  readonly kind: 'age' | 'unmap-range';
  readonly start: Hva;
  readonly end: Hva;
}

export type VmmCall =
  | {
      readonly kind: 'mmap';
      readonly hva: Hva;
      readonly size: number;
      readonly prot: Prot;
      readonly backing: VmaBacking;
    }
  /** An mmap that the driver refuses, such as VFIO's of a BAR smaller than a page. */
  | { readonly kind: 'mmap-refused'; readonly errno: number }
  | { readonly kind: 'munmap'; readonly hva: Hva; readonly size: number }
  | { readonly kind: 'mprotect'; readonly hva: Hva; readonly size: number; readonly prot: Prot }
  | {
      readonly kind: 'madvise';
      readonly hva: Hva;
      readonly size: number;
      /** `hwpoison` injects a memory error (MADV_HWPOISON), as hardware reports one. */
      readonly advice: 'dontneed' | 'pageout' | 'hwpoison';
      readonly reclaim: readonly Reclaimed[];
    }
  /** Loads or stores of the VMM itself; with `stride` one store each so many bytes. */
  | { readonly kind: 'host-write'; readonly hva: Hva; readonly size: number; readonly stride: number | null }
  | { readonly kind: 'host-read'; readonly hva: Hva; readonly size: number }
  /** KVM_SET_USER_MEMORY_REGION; size 0 deletes. */
  | {
      readonly kind: 'set-memslot';
      readonly slot: number;
      readonly ipa: Ipa;
      readonly size: number;
      readonly hva: Hva;
      readonly readonly: boolean;
      readonly logDirty: boolean;
      /** KVM_MEM_GUEST_MEMFD, of KVM_SET_USER_MEMORY_REGION2. */
      readonly guestMemfd?: true;
    }
  | { readonly kind: 'create-vgic'; readonly vgic: Vgic }
  | { readonly kind: 'ioeventfd'; readonly ioeventfd: Ioeventfd }
  /** KVM_IRQFD and VFIO_DEVICE_SET_IRQS; for `irq-line` the VMM's own wiring. */
  | { readonly kind: 'irqfd'; readonly irqfd: Irqfd }
  | { readonly kind: 'enable-cap'; readonly cap: string; readonly argument: number }
  /** VFIO pins every page of the range for DMA. */
  | { readonly kind: 'dma-map'; readonly hva: Hva; readonly size: number }
  | { readonly kind: 'dirty-log-get'; readonly slot: number }
  | {
      readonly kind: 'dirty-log-clear';
      readonly slot: number;
      readonly firstPage: number;
      readonly pages: number;
    };

/** The VM's interrupt controller and where the guest sees it. */
export type Vgic =
  | { readonly version: 2; readonly gicd: Ipa; readonly gicc: Ipa }
  | { readonly version: 3; readonly gicd: Ipa; readonly gicr: Ipa };

/** KVM_IOEVENTFD: where a store signals which eventfd. */
export interface Ioeventfd {
  /** Name of the eventfd; several addresses may share one. */
  readonly eventfd: string;
  readonly gpa: Ipa;
  /** Bytes of the store; 0 for any size at this address. */
  readonly size: 0 | 1 | 2 | 4 | 8;
  /** Value of the store (KVM_IOEVENTFD_FLAG_DATAMATCH); null for any. */
  readonly datamatch: bigint | null;
}

/** One interrupt of a device, and the line of a VM's GIC it drives. */
export interface Irqfd {
  /** Number of the device's slice. */
  readonly device: number;
  /** The device's name for it. */
  readonly line: string;
  /** KVM's number of the line: SPI n of the VM, INTID n + 32. */
  readonly gsi: number;
  /** `resample`: a level, which VFIO masks until the guest's end of it; `edge`: a pulse; `irq-line`: KVM_IRQ_LINE. */
  readonly by: 'resample' | 'edge' | 'irq-line';
}
