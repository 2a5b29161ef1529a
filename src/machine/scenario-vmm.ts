// What the VMM's process and the host's administrator do while guests run: generators that yield one action at a time
// and get its errno back. Actions are those of QEMU, VFIO and KVM in their own names.

import type { Signal } from '../guest/program.ts';
import type { Prot } from '../host/vma.ts';

/** An assigned region of a VM, as its handle has it. */
export interface AssignedRegion {
  readonly vm: string;
  readonly name: string;
}

export type VmmOp =
  | { readonly kind: 'pci-command'; readonly device: string; readonly memory: boolean }
  | { readonly kind: 'mprotect'; readonly region: AssignedRegion; readonly prot: Prot }
  | { readonly kind: 'munmap'; readonly region: AssignedRegion }
  | { readonly kind: 'delete-slot' | 'add-slot' | 'log-dirty'; readonly region: AssignedRegion }
  | ({ readonly kind: 'irq-line'; readonly vm: string } & IrqLine)
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
}

export type VmmSteps = Generator<VmmOp, VmmResult, VmmResult>;

export type VmmProgram = (vmm: Vmm) => Generator<VmmOp, void, VmmResult>;

/** What a program of the VMM can do; each is a generator: `yield* vmm.pciCommand(...)`. */
export interface Vmm {
  /** Writes a PCI function's command register: memory decoding on or off, as vfio-pci sees it. */
  pciCommand(device: { readonly name: string }, command: { readonly memory: boolean }): VmmSteps;
  /** VFIO_DEVICE_RESET: the BARs are zapped, then decode again (vfio_pci_zap_and_down_write_memory_lock). */
  reset(device: { readonly name: string }): VmmSteps;
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

function* reset(device: string): VmmSteps {
  yield { kind: 'pci-command', device, memory: false };
  return yield { kind: 'pci-command', device, memory: true };
}

/** What every program of the VMM is given: it keeps no state of its own. */
export const VMM: Vmm = {
  pciCommand: ({ name }, { memory }) => one({ kind: 'pci-command', device: name, memory }),
  reset: ({ name }) => reset(name),
  mprotect: (region, prot) => one({ kind: 'mprotect', region, prot }),
  munmap: (region) => one({ kind: 'munmap', region }),
  deleteSlot: (region) => one({ kind: 'delete-slot', region }),
  addSlot: (region) => one({ kind: 'add-slot', region }),
  logDirty: (region) => one({ kind: 'log-dirty', region }),
  irqLine: ({ name }, line) => one({ kind: 'irq-line', vm: name, ...line }),
  deviceSets: ({ name }, register, bits) => one({ kind: 'device-sets', device: name, register, bits }),
  awaitEventfd: ({ vm, eventfd }) => one({ kind: 'await-eventfd', vm, eventfd }),
  raise: ({ signal }) => one({ kind: 'raise', signal }),
  await: ({ signal }) => one({ kind: 'await', signal }),
};
