// The simulated host of a replay: booted, with the VMs, VMAs and slots of the machine file. Beside each VM's slice
// stands what the replay itself remembers: what is known of the host's pages, and what is not.

import type { Hva } from '../../../arch/addresses.ts';
import { alignDown } from '../../../arch/addresses.ts';
import { levelSize } from '../../../arch/geometry.ts';
import type { VmmCall } from '../../../host/calls.ts';
import type { VmState } from '../../../host/state.ts';
import { vmaAt } from '../../../host/vma.ts';
import type { Simulation } from '../../../machine/simulation.ts';
import { createSimulation } from '../../../machine/simulation.ts';
import type { TraceBacking, TraceMachine, TraceSlot, TraceVm } from '../../machine-file/machine.ts';
import type { Outcome } from './host-outcome.ts';
import { outcomeOf } from './host-outcome.ts';

export interface VmWorld {
  readonly id: number;
  readonly facts: TraceVm;
  readonly slots: readonly WorldSlot[];
  /** The first fault was at the start level of an empty table. */
  fromStart: boolean | null;
  /** KVM_RUN was seen. */
  ran: boolean;
  /** Windows of a block of which it is known how the host backs them. */
  readonly windows: Map<number, 'page' | 'block'>;
  /** Windows that lost a part while that was not known. */
  readonly cut: Set<number>;
  /** Pages that a read mapped: read-only if the host had no page of its own there. */
  readonly readMapped: Set<number>;
  /** Pages outside the given slots that turned out to be memory. */
  readonly learned: Set<number>;
  /** Pages outside the given slots that turned out to be emulated. */
  readonly emulated: Set<number>;
  /** Addresses at which the kernel itself emulated, reads even and writes odd. */
  readonly inKernel: Set<number>;
  /** Tables that a fault showed to exist though nothing is known to be mapped in them: span and level. */
  readonly tables: Map<string, number>;
  /** Ranges of hva that notifiers touched. */
  readonly notified: HvaRange[];
  /** Ranges of a notifier that may have been for this VM. */
  readonly maybe: HvaRange[];
  notifiers: number;
  /** Latest changes of windows, a ring. */
  readonly changes: { window: number; vcpu: number; line: number }[];
}

export interface HvaRange {
  readonly start: number;
  readonly end: number;
}

/** A slot as the simulation has it; where the hva is not known it has one that no process uses. */
export interface WorldSlot {
  readonly slot: number;
  readonly ipa: number;
  readonly size: number;
  readonly hva: number;
  readonly hvaKnown: boolean;
  readonly backing: TraceBacking | null;
  /** KVM_MEM_LOG_DIRTY_PAGES. */
  readonly logged: boolean;
}

export interface World {
  readonly machine: TraceMachine;
  readonly simulation: Simulation;
  readonly vms: readonly VmWorld[];
  /** Bytes of a block at the host's PMD level. */
  readonly block: number;
  /** How the fault that the host handles ended; null before that. */
  outcome: Outcome | null;
}

/** Below the addresses that arm64 gives to programs and mappings, in steps far larger than any slot's offset. */
const NO_PROCESS = 2 ** 40;

const MMIO: ReadonlySet<string> = new Set(['mmio-exited', 'mmio-handled']);

export function createWorld(machine: TraceMachine): World {
  // The trace says how an emulated access ended: no device and no VMM of the simulation is to answer it.
  const simulation = createSimulation({ state: 'plain', hold: ({ type }) => MMIO.has(type) });
  const { kernel, cpu, pageSize, gicv } = machine;
  const block = levelSize(pageSize, 2);
  simulation.dispatch({
    type: 'host-booted',
    kernel: kernel.name,
    features: kernel.features,
    cpu,
    pageSize,
    thp: machine.thp ?? 'always',
    gicv,
  });
  const vms = machine.vms.map((facts, id) => createVm(simulation, facts, id, pageSize));
  const world: World = { machine, simulation, vms, block, outcome: null };
  simulation.bus.all.subscribe((event) => {
    world.outcome = outcomeOf(event) ?? world.outcome;
  });
  return world;
}

function createVm(simulation: Simulation, facts: TraceVm, id: number, pageSize: number): VmWorld {
  const vcpus = facts.vcpus ?? Math.max(1, facts.vcpuThreads.length);
  const { name, geometry } = facts;
  simulation.dispatch({ type: 'vm-created', vm: id, name, geometry, vcpus, capabilities: {} });
  const call = (what: VmmCall): void => simulation.dispatch({ type: 'vmm-called', vm: id, call: what });
  for (const entry of facts.capabilities) {
    const [cap = '', argument = '0'] = entry.split('=');
    call({ kind: 'enable-cap', cap, argument: Number(argument) || 0 });
  }
  if (facts.vgic !== null) call({ kind: 'create-vgic', vgic: facts.vgic });
  for (const { start, end, prot, backing } of facts.vmas) {
    call({
      kind: 'mmap',
      hva: start,
      size: end - start,
      prot,
      backing: placed(backing, start, pageSize).vma,
    });
  }
  const slots = facts.slots.map((slot) => worldSlot(slot, facts, pageSize));
  const bySize = [...slots].sort((a, b) => b.size - a.size || a.ipa - b.ipa);
  for (const { hva, size, backing } of bySize) {
    const vma = vmaAt(stateOf(simulation, id).vmas, hva);
    if (backing === null || (vma !== undefined && vma.end >= hva + size)) continue;
    const { vma: vmaBacking } = placed(backing, hva, pageSize);
    call({ kind: 'mmap', hva: hva as Hva, size, prot: 'read-write', backing: vmaBacking });
  }
  slots.forEach((slot, index) => {
    const { ipa, readonly, logDirty } = facts.slots[index] as TraceSlot;
    const { size, hva } = slot;
    call({ kind: 'set-memslot', slot: slot.slot, ipa, size, hva: hva as Hva, readonly, logDirty });
  });
  return {
    id,
    facts,
    slots,
    fromStart: null,
    ran: false,
    windows: new Map(),
    cut: new Set(),
    readMapped: new Set(),
    learned: new Set(),
    emulated: new Set(),
    inKernel: new Set(),
    tables: new Map(),
    notified: [],
    maybe: [],
    notifiers: 0,
    changes: [],
  };
}

/** What is known of a slot, from its own backing or from the VMA at its hva. */
function worldSlot(slot: TraceSlot, facts: TraceVm, pageSize: number): WorldSlot {
  const { ipa, size } = slot;
  const at = slot.hva;
  const vma = at === null ? undefined : facts.vmas.find(({ start, end }) => start <= at && at < end);
  // Off by a page from the IPA, so that the simulated host never makes a block of what it does not know.
  const hva = at ?? NO_PROCESS * 2 + slot.slot * NO_PROCESS + (ipa % NO_PROCESS) + pageSize;
  const backing = slot.backing ?? vma?.backing ?? null;
  return { slot: slot.slot, ipa, size, hva, hvaKnown: at !== null, backing, logged: slot.logDirty };
}

/** A PFNMAP backing whose physical address is not known gets one off by a page from the hva: pages, never blocks. */
function placed(backing: TraceBacking, hva: number, pageSize: number): TraceBacking {
  if (backing.vma.kind !== 'pfnmap' || backing.paKnown) return backing;
  const pa = ((hva % NO_PROCESS) + pageSize) as typeof backing.vma.pa;
  return { ...backing, vma: { ...backing.vma, pa } };
}

export const stateOf = (simulation: Simulation, vm: number): VmState => simulation.state.vms[vm] as VmState;

export const windowOf = (world: World, ipa: number): number => alignDown(ipa, world.block);

export function slotOf(vm: VmWorld, ipa: number): WorldSlot | undefined {
  return vm.slots.find((slot) => ipa >= slot.ipa && ipa < slot.ipa + slot.size);
}

/**
 * Whether the host may back the window around `ipa` with a block and nothing says whether it does: transparent huge
 * pages, hugetlb or device memory whose addresses are not known.
 */
export function sizeIsOpen(world: World, slot: WorldSlot, ipa: number): boolean {
  const { block, machine } = world;
  const { backing } = slot;
  const window = alignDown(ipa, block);
  if (backing === null || slot.logged || window < slot.ipa || window + block > slot.ipa + slot.size)
    return false;
  if (slot.hvaKnown && slot.hva % block !== slot.ipa % block) return false;
  const { vma } = backing;
  const { features } = machine.kernel;
  switch (vma.kind) {
    case 'anon':
      if (machine.thp === 'never' || vma.thp === 'nohugepage') return false;
      return machine.thp !== 'madvise' || vma.thp === 'hugepage';
    case 'hugetlb':
      return !slot.hvaKnown && vma.pageSize >= block;
    case 'pfnmap':
      if (slot.hvaKnown && backing.paKnown) return false;
      if (features.deviceBlocks === 'page') return false;
      return features.deviceBlocks === 'vma' || (features.vfioHugeFault && vma.driver === 'vfio-pci');
  }
}
