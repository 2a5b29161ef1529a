// The simulated host of a replay: booted, with the VMs, VMAs and slots of the machine file. Beside each VM's slice
// stands what the replay itself remembers: what is known of the host's pages, and what is not.

import { alignDown } from '../../../arch/addresses.ts';
import { levelSize } from '../../../arch/geometry.ts';
import type { VmmCall } from '../../../host/calls.ts';
import type { VmState } from '../../../host/state.ts';
import type { Simulation } from '../../../machine/simulation.ts';
import { createSimulation } from '../../../machine/simulation.ts';
import type { TraceMachine, TraceVm, TraceVma } from '../../machine-file/machine.ts';
import type { Outcome } from './host-outcome.ts';
import { outcomeOf } from './host-outcome.ts';
import type { Places, WorldSlot } from './slots.ts';
import { freePlaces, memslotCall, mmapOf, vmaBehind, worldSlot } from './slots.ts';

export interface VmWorld {
  readonly id: number;
  readonly facts: TraceVm;
  /** First IPA beyond the VM's. */
  readonly ipaEnd: number;
  /** The memslots as they are now. */
  slots: readonly WorldSlot[];
  /** What is known of the VMM's mappings, the latest last. */
  readonly mapped: TraceVma[];
  readonly places: Places;
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
  /** Calls of the machine file that were performed. */
  callsDone: number;
  /** Faults of which it was seen how they ended. */
  faultsOver: number;
  /** Latest changes of windows, a ring. */
  readonly changes: { window: number; vcpu: number; line: number }[];
}

export interface HvaRange {
  readonly start: number;
  readonly end: number;
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
  simulation.record((event) => {
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
  const places = freePlaces();
  const mapped = [...facts.vmas];
  for (const vma of mapped) call(mmapOf(vma, pageSize));
  const slots = facts.slots.map((slot) => worldSlot(slot, mapped, places, pageSize));
  const bySize = [...slots].sort((a, b) => b.size - a.size || a.ipa - b.ipa);
  for (const slot of bySize) {
    const vma = vmaBehind(slot, stateOf(simulation, id).vmas);
    if (vma === null) continue;
    call(mmapOf(vma, pageSize));
    mapped.push(vma);
  }
  for (const slot of slots) call(memslotCall(slot));
  return {
    id,
    facts,
    ipaEnd: 2 ** geometry.ipaBits,
    slots,
    mapped,
    places,
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
    callsDone: 0,
    faultsOver: 0,
    changes: [],
  };
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
