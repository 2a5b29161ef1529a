// What the VMM's process and the host's administrator do while guests run: generators that yield one action at a time
// and get its errno back. Actions are those of QEMU, VFIO and KVM in their own names.

import type { VgicPlace } from '../devices/gicv2/uaccess.ts';
import type { PowerState } from '../devices/pci/power.ts';
import type { Signal } from '../guest/operations.ts';
import type { Prot } from '../host/vma.ts';

/** An assigned region of a VM, as its handle has it. */
export interface AssignedRegion {
  readonly vm: string;
  readonly name: string;
}

export type VmmOp =
  | ({ readonly kind: 'pci-command'; readonly device: string } & PciCommand)
  | { readonly kind: 'pci-power'; readonly device: string; readonly state: PowerState }
  | { readonly kind: 'device-reset'; readonly device: string }
  | { readonly kind: 'hot-reset'; readonly device: string; readonly groups: readonly string[] }
  | ({ readonly kind: 'config-read'; readonly device: string } & ConfigPlace)
  | ({ readonly kind: 'config-write'; readonly device: string } & ConfigPlace & { readonly value: number })
  | { readonly kind: 'raise-msix'; readonly device: string; readonly vector: number }
  | { readonly kind: 'mprotect'; readonly region: AssignedRegion; readonly prot: Prot }
  | { readonly kind: 'munmap'; readonly region: AssignedRegion }
  | { readonly kind: 'delete-slot' | 'add-slot' | 'log-dirty'; readonly region: AssignedRegion }
  | ({ readonly kind: 'irq-line'; readonly vm: string } & IrqLine)
  | { readonly kind: 'stop-vm' | 'resume-vm'; readonly vm: string }
  | ({ readonly kind: 'vgic-register'; readonly vm: string; readonly write: number | null } & VgicPlace)
  | {
      readonly kind: 'device-sets';
      readonly device: string;
      readonly register: string;
      readonly bits: bigint;
    }
  | ({ readonly kind: 'await-eventfd' } & Eventfd)
  | { readonly kind: 'raise' | 'await'; readonly signal: string };

/** An eventfd of a VM that stores of its guest signal. */
export interface Eventfd {
  readonly vm: string;
  readonly eventfd: string;
}

/** Bits of the command register; one that is absent stays as it is. */
export interface PciCommand {
  /** Memory decoding. */
  readonly memory?: boolean;
  readonly busMaster?: boolean;
}

/** A place in config space. */
export interface ConfigPlace {
  readonly offset: number;
  /** Bytes; 4 unless given. */
  readonly size?: 1 | 2 | 4;
}

/** KVM_IRQ_LINE: a line of the in-kernel GICv2. */
export interface IrqLine {
  /** 16 to 31 is a PPI, from 32 an SPI. */
  readonly intid: number;
  readonly level: boolean;
  /** Number of the vCPU whose PPI it is; null for SPIs. */
  readonly cpu?: number | null;
}

/** errno of the call; 0 where all went well, and for what is no call. */
export interface VmmResult {
  readonly errno: number;
  /** What a read of config space gave. */
  readonly value?: number;
}

export type VmmSteps = Generator<VmmOp, VmmResult, VmmResult>;

export type VmmProgram = (vmm: Vmm) => Generator<VmmOp, void, VmmResult>;

/** What a program of the VMM can do; each is a generator: `yield* vmm.pciCommand(...)`. */
export interface Vmm {
  /** Writes a PCI function's command register: memory decoding on or off, as vfio-pci sees it. */
  pciCommand(device: { readonly name: string }, command: PciCommand): VmmSteps;
  /**
   * Writes the power state into PMCSR; one that the function cannot enter from where it is changes nothing. EINVAL for
   * a device that is not behind vfio-pci.
   */
  pciPower(device: { readonly name: string }, state: PowerState): VmmSteps;
  /** pread() of the VFIO device's config region; `value` is what it gave. EINVAL if not behind vfio-pci. */
  configRead(device: { readonly name: string }, place: ConfigPlace): VmmSteps;
  /** pwrite() there: vfio-pci lets through what a user may write, keeps what is virtual and acts on the rest. */
  configWrite(device: { readonly name: string }, write: ConfigPlace & { readonly value: number }): VmmSteps;
  /** The device raises an MSI-X vector: a message as its table entry says, or a pending bit while it is masked. */
  raiseMsix(device: { readonly name: string }, vector: number): VmmSteps;
  /**
   * VFIO_DEVICE_RESET, or the reset file of sysfs: the BARs are zapped, then registers and memory are as after power
   * on; config space stays. EINVAL for devices that are not PCI.
   */
  reset(device: { readonly name: string }): VmmSteps;
  /**
   * VFIO_DEVICE_PCI_HOT_RESET: the bus of the function is reset. The BARs of all functions on it are zapped first, then
   * all of them are reset, whoever uses them.
   * @param groups devices whose groups the VMM proves to own, besides that of the device itself; EINVAL unless all
   * functions of the bus are among them
   */
  hotReset(device: { readonly name: string }, groups?: readonly { readonly name: string }[]): VmmSteps;
  /** mprotect() of the VMM's mapping of the region. */
  mprotect(region: AssignedRegion, prot: Prot): VmmSteps;
  /** munmap() of the VMM's mapping of the region; the memslot stays. */
  munmap(region: AssignedRegion): VmmSteps;
  /** KVM_SET_USER_MEMORY_REGION with size 0: accesses become MMIO exits. */
  deleteSlot(region: AssignedRegion): VmmSteps;
  /** The slot as it was assigned. */
  addSlot(region: AssignedRegion): VmmSteps;
  /** KVM_MEM_LOG_DIRTY_PAGES on the slot, as live migration begins; EINVAL for a PFNMAP region. */
  logDirty(region: AssignedRegion): VmmSteps;
  /** KVM_IRQ_LINE of a VM with a vGICv2; EINVAL for others. */
  irqLine(vm: { readonly name: string }, line: IrqLine): VmmSteps;
  /** All vCPUs of the VM leave KVM_RUN, as before its state is saved, and stay out until it is resumed. */
  stop(vm: { readonly name: string }): VmmSteps;
  resume(vm: { readonly name: string }): VmmSteps;
  /**
   * KVM_GET_DEVICE_ATTR, or with `value` KVM_SET_DEVICE_ATTR, of a register of the VM's GICv2, banked by vCPU.
   * EBUSY while the VM runs, EINVAL for a vCPU that is not there or an IIDR that this kernel does not have.
   */
  gicRegister(vm: { readonly name: string }, place: VgicPlace & { readonly value?: number }): VmmSteps;
  /** The device itself sets bits of one of its registers: a frame arrived, a command ended. */
  deviceSets(device: { readonly name: string }, register: string, bits: bigint): VmmSteps;
  /** Goes on once the eventfd was signalled, and takes its count back to zero. */
  awaitEventfd(eventfd: Eventfd): VmmSteps;
  raise(signal: Signal): VmmSteps;
  await(signal: Signal): VmmSteps;
}

function* one(op: VmmOp): VmmSteps {
  return yield op;
}

/** What every program of the VMM is given: it keeps no state of its own. */
export const VMM: Vmm = {
  pciCommand: ({ name }, command) => one({ kind: 'pci-command', device: name, ...command }),
  pciPower: ({ name }, state) => one({ kind: 'pci-power', device: name, state }),
  configRead: ({ name }, place) => one({ kind: 'config-read', device: name, ...place }),
  configWrite: ({ name }, write) => one({ kind: 'config-write', device: name, ...write }),
  raiseMsix: ({ name }, vector) => one({ kind: 'raise-msix', device: name, vector }),
  reset: ({ name }) => one({ kind: 'device-reset', device: name }),
  hotReset: ({ name }, groups = []) =>
    one({ kind: 'hot-reset', device: name, groups: groups.map((group) => group.name) }),
  mprotect: (region, prot) => one({ kind: 'mprotect', region, prot }),
  munmap: (region) => one({ kind: 'munmap', region }),
  deleteSlot: (region) => one({ kind: 'delete-slot', region }),
  addSlot: (region) => one({ kind: 'add-slot', region }),
  logDirty: (region) => one({ kind: 'log-dirty', region }),
  irqLine: ({ name }, line) => one({ kind: 'irq-line', vm: name, ...line }),
  stop: ({ name }) => one({ kind: 'stop-vm', vm: name }),
  resume: ({ name }) => one({ kind: 'resume-vm', vm: name }),
  gicRegister: ({ name }, { group, cpu, offset, value = null }) =>
    one({ kind: 'vgic-register', vm: name, group, cpu, offset, write: value }),
  deviceSets: ({ name }, register, bits) => one({ kind: 'device-sets', device: name, register, bits }),
  awaitEventfd: ({ vm, eventfd }) => one({ kind: 'await-eventfd', vm, eventfd }),
  raise: ({ signal }) => one({ kind: 'raise', signal }),
  await: ({ signal }) => one({ kind: 'await', signal }),
};
