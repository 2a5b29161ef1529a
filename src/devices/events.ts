// What happens at devices, in the past tense. `device` is the number of the device's slice. Devices see
// transactions at their own physical addresses and MMIO exits at the guest's; they never see the host or
// another device.

import type { Ipa, Pa } from '../arch/addresses.ts';
import type { Transaction } from '../arch/transaction.ts';
import type { DeviceDescription } from './description.ts';
import type { PciChange, PowerState } from './pci/config-space.ts';

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
      /** Device Control bit 15, or the VMM's ioctl VFIO_DEVICE_RESET. */
      readonly by: 'function-level-reset' | 'device-reset';
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
  /** KVM_IRQ_LINE: an interrupt line of a VM changed; `cpu` is the vCPU in its VM for PPIs, null for SPIs. */
  | {
      readonly type: 'interrupt-line-changed';
      readonly device: number;
      readonly vm: number;
      readonly cpu: number | null;
      readonly intid: number;
      readonly level: boolean;
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
