// What happens at devices, in the past tense. `device` is the device's name.

export type DeviceEvent =
  /** The command register (offset 4) of a PCI function's config space was written; 16 bits. */
  | { readonly type: 'pci-command-written'; readonly device: string; readonly value: number }
  /** User space answered an MMIO exit; `value` is null for a write. */
  | { readonly type: 'mmio-answered'; readonly vm: number; readonly vcpu: number; readonly value: bigint | null };
