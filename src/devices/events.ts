// What happens at devices, in the past tense. `device` is the number of the device's slice. Devices see transactions
// at their own physical addresses and MMIO exits at the guest's; they never see the host or another device.

import type { DeviceDescription } from './description.ts';

export type DeviceEvent =
  | { readonly type: 'device-plugged'; readonly device: number; readonly description: DeviceDescription }
  /** The command register (offset 4) of a PCI function's config space was written; 16 bits. */
  | { readonly type: 'pci-command-written'; readonly device: string; readonly value: number }
  /** A register or a byte range of a region was read; `value` is what the device gave, little-endian. */
  | {
      readonly type: 'device-read';
      readonly device: number;
      readonly region: number;
      readonly offset: number;
      readonly size: number;
      readonly value: bigint;
      /** Name of the register in its datasheet's spelling; null for plain memory. */
      readonly register: string | null;
      /** What the read did besides returning a value, in words; null for nothing. */
      readonly effect: string | null;
    }
  | {
      readonly type: 'device-written';
      readonly device: number;
      readonly region: number;
      readonly offset: number;
      readonly size: number;
      /** Bytes in ascending order; null where the program gave no value. */
      readonly bytes: readonly number[] | null;
      readonly register: string | null;
      readonly effect: string | null;
    }
  /** Nothing claimed the address: reads give all ones, as a PCIe root complex completes them. */
  | { readonly type: 'transaction-unclaimed'; readonly pa: number; readonly kind: 'read' | 'write' }
  /** The answer to a transaction that an access waits for; `value` is null for a write. */
  | {
      readonly type: 'transaction-answered';
      readonly vm: number;
      readonly vcpu: number;
      readonly access: number;
      readonly value: bigint | null;
    }
  /** User space answered an MMIO exit; `value` is null for a write. */
  | { readonly type: 'mmio-answered'; readonly vm: number; readonly vcpu: number; readonly value: bigint | null };
