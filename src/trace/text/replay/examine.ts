// Whether the simulated stage 2 agrees with a fault of the trace: does this access fault there, in this way, at this
// level? Where it does not, the facts that neither trace nor machine file tells are asked first; what is left is a
// surprise.

import { alignDown } from '../../../arch/addresses.ts';
import type { Stage2Leaf } from '../../../arch/descriptor.ts';
import type { Level } from '../../../arch/geometry.ts';
import { levelSize } from '../../../arch/geometry.ts';
import type { TraceFault } from './fault.ts';
import type { UnknownReason, Verdict } from './report.ts';
import { PREDICTED, surprising, unknown } from './report.ts';
import type { WorldSlot } from './slots.ts';
import type { VmWorld, World } from './world.ts';
import { sizeIsOpen, slotOf, stateOf, windowOf } from './world.ts';

export interface Found {
  readonly leaf: Stage2Leaf | undefined;
  /** Level of the leaf, or at which the walk ends. */
  readonly level: Level;
}

/** Circumstances of a fault that the table does not show. */
export interface Circumstances {
  readonly raced: boolean;
  readonly lost: boolean;
}

const PAGE: Level = 3;
const DEVICE_NGNRE = 0b0001;

/** The walk as the table has it, and as far as earlier faults showed tables that nothing else explains. */
export function walkOf(world: World, vm: VmWorld, ipa: number): Found {
  const { table, geometry } = stateOf(world.simulation, vm.id);
  const { leaf, level } = table.walk(ipa);
  if (leaf !== undefined || vm.tables.size === 0) return { leaf, level };
  for (const deeper of [3, 2, 1, 0] as const) {
    if (deeper <= level) break;
    if (vm.tables.has(tableKey(geometry.granule, ipa, deeper))) return { leaf, level: deeper };
  }
  return { leaf, level };
}

/** Names the table whose entries are of `level`, around `ipa`. */
export function tableKey(granule: 4096 | 16384 | 65536, ipa: number, level: Level): string {
  const span = levelSize(granule, (level - 1) as Level);
  return `${level} ${alignDown(ipa, span)}`;
}

export function examine(world: World, vm: VmWorld, fault: TraceFault, around: Circumstances): Verdict {
  const { ipa, status } = fault.fault;
  if (ipa >= vm.ipaEnd) {
    const answered = world.machine.kernel.features.ipaSizeInjection;
    return answered ? surprising('ipa-beyond-vm', 'no event') : PREDICTED;
  }
  const found = walkOf(world, vm, ipa);
  if (status.kind === 'alignment') return examineAlignment(found);
  if (status.kind !== 'translation' && status.kind !== 'permission' && status.kind !== 'access-flag') {
    return unknown('stage-1-not-traced');
  }
  const slot = slotOf(vm, ipa);
  if (agrees(world, fault, found)) {
    const reason = hinges(world, vm, fault, slot, found);
    return reason === null ? PREDICTED : unknown(reason);
  }
  const reason = excuse(world, vm, fault, slot, found, around);
  return reason === null ? contradiction(fault, found) : unknown(reason);
}

/** FSC 0x21 at stage 2 needs a Device leaf; that stage 1 was Normal is what the guest chose. */
function examineAlignment({ leaf }: Found): Verdict {
  if (leaf === undefined) return unknown('stage-1-not-traced');
  if (leaf.attributes.memAttr === DEVICE_NGNRE) return PREDICTED;
  return surprising('other-type', 'no alignment fault: the leaf is Normal');
}

function agrees(world: World, { fault, needs }: TraceFault, { leaf, level }: Found): boolean {
  const { status } = fault;
  if (!('level' in status)) return false;
  const walkLevel = world.machine.cpu.departures.s1ptwFaultLevel;
  const levelAgrees = level === status.level || (needs === 'walk' && walkLevel === 'stage-1');
  if (!levelAgrees) return false;
  switch (status.kind) {
    case 'translation':
      return leaf === undefined;
    case 'permission':
      return leaf !== undefined && !permitted(leaf, needs);
    case 'access-flag':
      return leaf !== undefined && !leaf.attributes.af && !world.machine.cpu.hardwareAccessFlag;
    default:
      return false;
  }
}

/** A walk reads, which Device memory refuses (HCR_EL2.PTW), and may write the access flag. */
function permitted({ attributes }: Stage2Leaf, needs: TraceFault['needs']): boolean {
  switch (needs) {
    case 'read':
      return attributes.read;
    case 'write':
      return attributes.write;
    case 'execute':
      return attributes.read && attributes.xn === 0;
    case 'walk':
      return attributes.read && attributes.write && attributes.memAttr !== DEVICE_NGNRE;
  }
}

/** The table agrees, but only because of something assumed: then the fault is the evidence, not the prediction. */
function hinges(
  world: World,
  vm: VmWorld,
  { fault, needs }: TraceFault,
  slot: WorldSlot | undefined,
  { level, leaf }: Found,
): UnknownReason | null {
  const { ipa, status } = fault;
  const page = alignDown(ipa, world.machine.pageSize);
  if (slot === undefined && !vm.facts.slotsComplete) {
    return vm.emulated.has(page) && leaf === undefined ? null : 'no-slot-given';
  }
  if (slot === undefined) return null;
  if (slot.backing === null) return 'no-slot-given';
  if (status.kind === 'permission') {
    return needs === 'write' && vm.readMapped.has(page) ? 'page-state' : null;
  }
  // With every call told, whether the host has a huge page follows from them as its kernel would decide it.
  const open =
    !vm.facts.callsComplete && sizeIsOpen(world, slot, ipa) && !vm.windows.has(windowOf(world, ipa));
  return open && level === PAGE && status.kind === 'translation' ? 'leaf-size' : null;
}

/** The table disagrees: is there a fact that would explain it and that nobody told? */
function excuse(
  world: World,
  vm: VmWorld,
  { fault }: TraceFault,
  slot: WorldSlot | undefined,
  { leaf, level }: Found,
  { raced, lost }: Circumstances,
): UnknownReason | null {
  const { ipa, status } = fault;
  const faultLevel = 'level' in status ? status.level : level;
  if (slot === undefined ? !vm.facts.slotsComplete : slot.backing === null) return 'no-slot-given';
  const deeper = status.kind === 'translation' && leaf === undefined && faultLevel > level;
  const unmapped = status.kind !== 'translation' && leaf === undefined;
  if ((deeper || unmapped) && vm.fromStart === false) return 'mapped-before-trace';
  if (deeper && !vm.facts.slotsComplete && !windowIsGiven(vm, slot, ipa, faultLevel as Level))
    return 'no-slot-given';
  if (slot !== undefined && sizeIsOpen(world, slot, ipa)) {
    const window = windowOf(world, ipa);
    if (
      status.kind === 'permission' &&
      faultLevel === 2 &&
      level === PAGE &&
      vm.windows.get(window) !== 'page'
    ) {
      return 'leaf-size';
    }
    if (status.kind === 'translation' && faultLevel < PAGE && vm.cut.has(window)) return 'leaf-size';
  }
  if (raced) return 'raced';
  if (lost) return 'events-lost';
  if (slot === undefined) return null;
  if (!slot.hvaKnown && vm.notifiers > 0) return 'hva-not-given';
  const hva = slot.hva + ipa - slot.ipa;
  return vm.maybe.some(({ start, end }) => hva >= start && hva < end) ? 'notifier-of-no-vm' : null;
}

/** Whether the table that the fault saw can hold nothing but what the given slot maps. */
function windowIsGiven(vm: VmWorld, slot: WorldSlot | undefined, ipa: number, level: Level): boolean {
  if (slot === undefined) return false;
  const span = levelSize(vm.facts.geometry.granule, (level - 1) as Level);
  const start = alignDown(ipa, span);
  return start >= slot.ipa && start + span <= slot.ipa + slot.size;
}

function contradiction({ fault, needs }: TraceFault, { leaf, level }: Found): Verdict {
  const { status } = fault;
  if (leaf === undefined) {
    const reason = status.kind === 'translation' ? 'other-level' : 'other-type';
    return surprising(reason, `a translation fault of level ${level}`);
  }
  if (permitted(leaf, needs))
    return surprising('table-permits', `no fault: a leaf of level ${level} permits it`);
  const reason = status.kind === 'permission' ? 'other-level' : 'other-type';
  return surprising(reason, `a permission fault of level ${level}`);
}
