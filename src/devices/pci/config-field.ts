// One register of config space with the three masks that decide what a user of vfio-pci reads and writes (struct
// perm_bits of vfio_pci_config.c), and the bits that the device itself implements.

/** One register. Masks are little-endian numbers of `size` bytes. */
export interface ConfigField {
  /** As in pci_regs.h, without the prefix. */
  readonly name: string;
  readonly offset: number;
  readonly size: 1 | 2 | 3 | 4;
  /** Value after the host enabled the device. */
  readonly reset: number;
  /** Bits that vfio-pci keeps itself (vconfig); all others are the device's. */
  readonly virt: number;
  /** Bits that a user's write reaches. */
  readonly write: number;
  /** Bits that the device implements as writable. */
  readonly hardware: number;
}

interface Masks {
  readonly virt?: number;
  readonly write?: number;
  readonly hardware?: number;
}

export function field(
  name: string,
  offset: number,
  size: ConfigField['size'],
  reset: number,
  { virt = 0, write = 0, hardware = 0 }: Masks,
): ConfigField {
  return { name, offset, size, reset, virt, write, hardware };
}
