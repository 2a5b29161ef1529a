// What happens at devices, in the past tense. `device` is the number of the device's slice. Devices see
// transactions at their own physical addresses and MMIO exits at the guest's; they never see the host or
// another device.

import type { Ipa, Pa } from '../arch/addresses.ts';
import type { Transaction } from '../arch/transaction.ts';
import type { DeviceDescription } from './description.ts';
import type { Maintenance } from './gicv2/gich.ts';
import type { VgicPlace } from './gicv2/uaccess.ts';
import type { AssignedBar, UnmappedBecause } from './pci/assigned-bar.ts';
import type { PciChange } from './pci/config-space.ts';
import type { PowerState } from './pci/power.ts';

/**
 * Whose access it is: numbers of the slices, and the vCPU's number in its VM, by which a GIC banks registers.
 */
export interface Requester {
  readonly vm: number;
  readonly vcpu: number;
  readonly index: number;
}

interface AtDevice {
  readonly device: number;
  /** Number of the region in the device's description. */
  readonly region: number;
  /** Bytes from the start of the region. */
  readonly offset: number;
  readonly size: number;
  readonly by: Requester;
  /** Name of the register in its datasheet's spelling; null for plain memory. */
  readonly register: string | null;
  /** What the access did besides moving a value, in words; null for nothing. */
  readonly effect: string | null;
}

/** Why a vCPU left the guest or entered it, as far as its list registers are concerned. */
export type VgicBecause =
  /** A trap to the hypervisor, and the return from it. */
  | 'trap'
  /** The physical interrupt of the virtual timer. */
  | 'timer'
  /** KVM_REQ_IRQ_PENDING: an interrupt was queued for it, or moved. */
  | 'kick'
  | 'maintenance-interrupt'
  /** Active bits of SPIs are accessed while no vCPU runs (kvm_arm_halt_guest()). */
  | 'all-halted'
  | 'wfi'
  /** The VMM stops the VM, and lets it run again. */
  | 'vm-stopped'
  /** The first KVM_RUN, or the next after the VMM had its say. */
  | 'vcpu-run';

interface OfTimer {
  /** Number of the GIC's slice, whose PPI it is. */
  readonly device: number;
  readonly vm: number;
  readonly cpu: number;
}

interface AtConfigSpace {
  readonly device: number;
  /** Bytes from the start of config space. */
  readonly offset: number;
  /** 1, 2 or 4 bytes: vfio-pci cuts longer and unaligned accesses. */
  readonly size: number;
  /** The vCPU whose access to ECAM it is; null for the VMM's own. */
  readonly by: Requester | null;
  /** Name as in pci_regs.h, without prefix; null where nothing is. */
  readonly register: string | null;
  readonly value: number;
}

export type DeviceEvent =
  | { readonly type: 'device-plugged'; readonly device: number; readonly description: DeviceDescription }
  /** From here on MMIO exits of this VM in [gpa, gpa + size of the region) are the device's. */
  | {
      readonly type: 'mmio-window-opened';
      readonly device: number;
      readonly region: number;
      readonly vm: number;
      readonly gpa: Ipa;
    }
  /** From here on the VMM maps the BAR where its guest's config space wants it. */
  | { readonly type: 'bar-assigned'; readonly device: number; readonly bar: AssignedBar }
  /** vfio-pci has the guest's write of config space; the VMM looks where its BARs belong (pci_update_mappings()). */
  | {
      readonly type: 'bar-mappings-due';
      readonly device: number;
      readonly vm: number;
      /** The vCPU whose thread does it: its write has not ended yet. */
      readonly vcpu: number;
    }
  | {
      readonly type: 'bar-unmapped';
      readonly device: number;
      readonly vm: number;
      readonly region: number;
      readonly because: UnmappedBecause;
    }
  | {
      readonly type: 'bar-mapped';
      readonly device: number;
      readonly vm: number;
      readonly region: number;
      readonly ipa: Ipa;
      /** What no memslot covers are MMIO exits to the VMM. */
      readonly trapped: boolean;
    }
  /** The VMM reads or writes `size` bytes of config space through vfio-pci (region 7); null for a read. */
  | {
      readonly type: 'vfio-config-accessed';
      readonly device: string;
      readonly offset: number;
      readonly size: number;
      readonly write: bigint | null;
    }
  | (AtConfigSpace & { readonly type: 'pci-config-read' })
  | (AtConfigSpace & { readonly type: 'pci-config-written' })
  /** The command register (offset 4) of a PCI function's config space was written; 16 bits. */
  | { readonly type: 'pci-command-written'; readonly device: string; readonly value: number }
  /** The power state bits of PMCSR were written. */
  | { readonly type: 'pci-power-written'; readonly device: string; readonly state: PowerState }
  | {
      readonly type: 'pci-reset-asked';
      readonly device: string;
      /** Initiate FLR in config space, or the VMM's ioctls VFIO_DEVICE_RESET and VFIO_DEVICE_PCI_HOT_RESET. */
      readonly by: 'function-level-reset' | 'device-reset' | 'hot-reset';
      /** The other functions on its bus, which a hot reset resets, too; absent for none. */
      readonly along?: readonly string[];
    }
  /** The mappings are gone and memory_lock is held: once what is under way has arrived, the function changes. */
  | { readonly type: 'pci-change-due'; readonly device: number; readonly change: PciChange }
  /** The host changed the function itself. */
  | { readonly type: 'pci-function-changed'; readonly device: number; readonly change: PciChange }
  /** The device raised an MSI-X vector. */
  | { readonly type: 'msix-raised'; readonly device: number; readonly vector: number }
  /** A mask bit of MSI-X was written: vectors that are pending may go. */
  | { readonly type: 'msix-mask-written'; readonly device: number }
  /** Nothing masked it: the message left, a write of `data` to `address`, both from the table. */
  | {
      readonly type: 'msix-sent';
      readonly device: number;
      readonly vector: number;
      readonly address: bigint;
      readonly data: number;
    }
  /**
   * kvm_vgic_inject_irq(): an input line of a VM's GIC changed; `cpu` is the vCPU in its VM for PPIs, null for SPIs.
   */
  | {
      readonly type: 'interrupt-line-changed';
      readonly device: number;
      readonly vm: number;
      readonly cpu: number | null;
      readonly intid: number;
      readonly level: boolean;
    }
  /**
   * A vCPU left the guest and its list registers were folded (kvm_vgic_sync_hwstate()), or they were loaded before it
   * entered (kvm_vgic_flush_hwstate()). `cpu` is its number in its VM.
   */
  | {
      readonly type: 'vgic-synced' | 'vgic-flushed';
      readonly device: number;
      readonly vm: number;
      readonly cpu: number;
      readonly because: VgicBecause;
    }
  /** A vCPU writes CNTV_CTL_EL0, and CNTV_CVAL_EL0; `met` if the counter is there already. `cpu` counts in its VM. */
  | (OfTimer & {
      readonly type: 'timer-written';
      readonly enabled: boolean;
      readonly masked: boolean;
      readonly cval: number;
      readonly met: boolean;
    })
  /** The virtual counter reached the compare value. */
  | (OfTimer & { readonly type: 'timer-condition-met' })
  /** The host takes the timer's physical interrupt and leaves it active (kvm_arch_timer_handler()). */
  | (OfTimer & { readonly type: 'timer-interrupt' })
  /** KVM_SET_DEVICE_ATTR or KVM_GET_DEVICE_ATTR on a VM's GIC: the VMM restores or saves a register. */
  | ({ readonly type: 'vgic-register-accessed'; readonly device: number; readonly vm: number } & VgicPlace & {
        /** Null for a read. */
        readonly write: number | null;
        readonly value: number;
      })
  /** GICH_MISR: hardware asks for the hypervisor, which takes the vCPU out of the guest. */
  | {
      readonly type: 'maintenance-interrupt';
      readonly device: number;
      readonly vm: number;
      readonly cpu: number;
      readonly causes: readonly Maintenance[];
    }
  /** The device itself changed a register: a frame arrived, a command ended. */
  | {
      readonly type: 'device-updated';
      readonly device: number;
      readonly region: number;
      readonly register: string;
      readonly value: bigint;
    }
  /**
   * An interrupt output of a device: a wire that went high or low, or a message (MSI), which has no level. Who hears it
   * is the host's business: KVM_IRQFD and VFIO_DEVICE_SET_IRQS, or the VMM.
   */
  | {
      readonly type: 'device-interrupt';
      readonly device: number;
      /** As the device names it: `INTA`, `irq0`, `MSI-X 3`. */
      readonly line: string;
      readonly level: boolean | null;
    }
  /** A register or a byte range of a region was read; `value` is what the device gave, little-endian. */
  | (AtDevice & { readonly type: 'device-read'; readonly value: bigint })
  /** `bytes` ascend by address; null where the program gave no value. */
  | (AtDevice & { readonly type: 'device-written'; readonly bytes: readonly number[] | null })
  /**
   * Nothing claimed the address: reads give all ones, as a PCIe root complex completes them; writes are lost.
   */
  | {
      readonly type: 'transaction-unclaimed';
      readonly pa: Pa;
      readonly kind: 'read' | 'write';
      readonly size: number;
      readonly by: Requester;
      readonly because: 'memory-space-disabled' | 'no-device';
    }
  /** The answer to a transaction that an access waits for; `value` is null for a write. */
  | {
      readonly type: 'transaction-answered';
      readonly vm: number;
      readonly vcpu: number;
      readonly access: number;
      readonly value: bigint | null;
    }
  /** The answer to a read that no access waits for. */
  | {
      readonly type: 'speculation-answered';
      readonly vm: number;
      readonly vcpu: number;
      readonly read: Pick<Transaction, 'pa' | 'size' | 'memoryType'> & { readonly value: bigint };
    }
  /**
   * User space or the kernel emulated an MMIO access; `value` is null for a write and where it is not known.
   */
  | {
      readonly type: 'mmio-answered';
      readonly vm: number;
      readonly vcpu: number;
      readonly value: bigint | null;
    };
