// How a VM's guest gets to see a function's config space, and what its VMM makes of the guest's writes.

export interface ConfigOptions {
  /** IPA of the page. */
  readonly at: number;
  /**
   * `follow`: as QEMU does it, what the guest writes to the command register and to BARs deletes and adds the memslots
   * of regions that the VM was assigned, behind vfio-pci's own zap. Such a BAR starts at a multiple of its size.
   * `fixed`: memslots stay until a program of the VMM moves them. `follow` unless given.
   */
  readonly bars?: 'follow' | 'fixed';
  /** A function that is not in D0 keeps its memslots, as before QEMU 10.0, or loses them. `mapped` unless given. */
  readonly asleep?: 'mapped' | 'unmapped';
}
