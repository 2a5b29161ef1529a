// The end of a fault: the simulated host handles it, with the host's pages as the trace shows them, and what it does is
// compared with what followed in the trace. Then the table is as after the fault.

import type { Hva, Ipa } from '../../../arch/addresses.ts';
import { alignDown } from '../../../arch/addresses.ts';
import { decideHost } from '../../../host/decide.ts';
import type { FaultInput } from '../../../host/events.ts';
import { leafAttributes } from '../../../host/leaf.ts';
import type { MachineEvent } from '../../../machine/events.ts';
import type { TraceFault } from './fault.ts';
import type { Outcome } from './host-outcome.ts';
import { outcomeOf, REENTERED } from './host-outcome.ts';
import type { Recorded } from './outcome.ts';
import { compareOutcomes } from './outcome.ts';
import { paFor } from './repair.ts';
import type { Verdict } from './report.ts';
import { PREDICTED } from './report.ts';
import type { WorldSlot } from './slots.ts';
import type { VmWorld, World } from './world.ts';
import { sizeIsOpen, slotOf, stateOf, windowOf } from './world.ts';

export interface Ending {
  readonly vm: VmWorld;
  readonly vcpu: number;
  readonly fault: TraceFault;
  readonly seen: Outcome;
  /** A notifier of the vCPU's own task hit a slot meanwhile: the fault maps nothing and is tried again. */
  readonly notified: boolean;
  readonly recorded: Recorded;
}

/** What the host did, for the story of a surprise. */
export interface Settled {
  readonly verdict: Verdict;
  readonly predicted: Outcome | null;
}

export function settle(world: World, ending: Ending): Settled {
  const { vm, fault, seen, notified } = ending;
  const { ipa } = fault.fault;
  const slot = slotOf(vm, ipa);
  if (ipa >= vm.ipaEnd) return { verdict: PREDICTED, predicted: null };
  if (slot === undefined && !vm.facts.slotsComplete) return learn(world, ending);
  if (slot !== undefined && slot.backing === null) return learn(world, ending);
  if (notified && seen.kind === 'reentered' && !retries(world, ending)) {
    return { verdict: PREDICTED, predicted: REENTERED };
  }
  if (slot !== undefined) preparePage(world, vm, slot, fault);
  const predicted =
    seen.kind === 'reentered' || seen.kind === 'unseen' ? handle(world, ending) : foresee(world, ending);
  const verdict = predicted === null ? PREDICTED : compareOutcomes(predicted, seen, ending, slot);
  if (slot !== undefined && predicted?.kind === 'reentered') noteKnown(world, vm, slot, fault);
  return { verdict, predicted };
}

const inputOf = ({ vm, vcpu, fault }: Ending): FaultInput & MachineEvent => ({
  type: 'stage2-faulted',
  vm: vm.id,
  vcpu,
  access: fault.access,
  attempt: 0,
  fault: fault.fault,
});

/**
 * Where every call is told, the simulated host sends the notifiers of its own page faults and tries again by itself;
 * elsewhere its pages are made up to fit the fault.
 */
const retries = (world: World, ending: Ending): boolean =>
  ending.vm.facts.callsComplete && decided(world, ending).some(({ type }) => type === 'fault-retried');

/** The simulation handles the fault; the table changes. */
function handle(world: World, ending: Ending): Outcome | null {
  world.outcome = null;
  world.simulation.dispatch(inputOf(ending));
  return world.outcome;
}

/** What the host would do, with nothing changed: emulation and failures change no table. */
function foresee(world: World, ending: Ending): Outcome | null {
  const events = decided(world, ending);
  if (events.some(({ type }) => type === 'stage2-map-begun')) return REENTERED;
  return events.map(outcomeOf).findLast((outcome) => outcome !== null) ?? null;
}

function decided({ simulation }: World, ending: Ending): readonly MachineEvent[] {
  const { host } = simulation.state;
  return host === null ? [] : decideHost(host, stateOf(simulation, ending.vm.id), inputOf(ending));
}

/**
 * The host page that the fault will find. A write always ends with a writable page of the VMM's own; behind a read
 * there may be the zero page, and unless the machine file says that the page is populated nobody knows. Where it tells
 * every call, the simulated host has its pages from them.
 */
function preparePage(world: World, vm: VmWorld, slot: WorldSlot, { fault, needs }: TraceFault): void {
  const { backing } = slot;
  if (backing === null || backing.vma.kind === 'pfnmap') return;
  const isBlock = vm.windows.get(windowOf(world, fault.ipa)) === 'block';
  if (vm.facts.callsComplete && !isBlock) return;
  const writable =
    needs === 'write' || backing.populated === true || slot.logged || isWritable(world, vm, fault.ipa);
  const blocks = isBlock || isHuge(world, slot);
  const level = blocks ? 2 : 3;
  const size = blocks ? world.block : world.machine.pageSize;
  const hva = alignDown(slot.hva + fault.ipa - slot.ipa, size) as Hva;
  const found = stateOf(world.simulation, vm.id).memory.walk(hva);
  if (found.level === level && found.leaf?.kind === 'page' && found.leaf.writable === writable) return;
  const pte = { kind: 'page', pa: paFor(hva), writable, young: true } as const;
  world.simulation.dispatch({ type: 'host-pages-set', vm: vm.id, hva, level, count: 1, pte, allocated: 0 });
}

/** A leaf that already permits writes shows a page of the VMM's own. */
const isWritable = (world: World, vm: VmWorld, ipa: number): boolean =>
  stateOf(world.simulation, vm.id).table.walk(ipa).leaf?.attributes.write === true;

const isHuge = (world: World, { backing, hvaKnown }: WorldSlot): boolean =>
  hvaKnown && backing?.vma.kind === 'hugetlb' && backing.vma.pageSize >= world.block;

/** Behind a read: the zero page or one of the VMM's own? With dirty logging the leaf is read-only either way. */
const hidesPageState = ({ backing, logged }: WorldSlot): boolean =>
  !logged && backing !== null && backing.vma.kind !== 'pfnmap' && backing.populated !== true;

/** What the fault itself told about the host's pages. */
function noteKnown(world: World, vm: VmWorld, slot: WorldSlot, { fault, needs }: TraceFault): void {
  const page = alignDown(fault.ipa, world.machine.pageSize);
  if (needs === 'write') vm.readMapped.delete(page);
  else if (fault.status.kind === 'translation' && !vm.facts.callsComplete && hidesPageState(slot)) {
    if (vm.readMapped.size > MAX_PAGES) vm.readMapped.clear();
    vm.readMapped.add(page);
  }
  const { status } = fault;
  const window = windowOf(world, fault.ipa);
  if (status.kind === 'translation' && status.level === 3 && sizeIsOpen(world, slot, fault.ipa)) {
    if (vm.windows.size > MAX_PAGES) vm.windows.clear();
    vm.windows.set(window, 'page');
  }
}

/** Four gigabytes in pages: beyond that the oldest knowledge is worth less than the memory. */
const MAX_PAGES = 2 ** 20;

/** At an IPA of which the machine file says nothing, the outcome tells what is there. */
function learn(world: World, { vm, fault, seen }: Ending): Settled {
  const { pageSize, cpu } = world.machine;
  const { ipa, status } = fault.fault;
  const page = alignDown(ipa, pageSize) as Ipa;
  if (seen.kind === 'mmio') {
    if (vm.emulated.size > MAX_PAGES) vm.emulated.clear();
    vm.emulated.add(page);
    vm.learned.delete(page);
    return { verdict: PREDICTED, predicted: seen };
  }
  const mappable = status.kind === 'translation' || status.kind === 'permission';
  if (seen.kind !== 'reentered' || !mappable) return { verdict: PREDICTED, predicted: null };
  vm.emulated.delete(page);
  if (vm.learned.size > MAX_PAGES) vm.learned.clear();
  vm.learned.add(page);
  const { leaf, level } = stateOf(world.simulation, vm.id).table.walk(ipa);
  const before = leaf !== undefined && level === 3 ? leaf.attributes : undefined;
  const exec = fault.needs === 'execute' || before?.xn === 0;
  const write = fault.needs === 'write' || (before?.write ?? false);
  const attributes = leafAttributes(cpu.fwb, { write, exec, type: 'normal' });
  world.simulation.dispatch({
    type: 'stage2-set',
    vm: vm.id,
    ipa: page,
    level: 3,
    pa: paFor(page),
    attributes,
    because: 'ram',
  });
  return { verdict: PREDICTED, predicted: null };
}
