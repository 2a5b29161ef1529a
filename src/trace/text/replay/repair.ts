// After a fault that the simulated stage 2 did not foresee, the table is made what the fault showed it to be, so that
// one unforeseen thing is counted once and not with every fault that follows.

import type { Ipa, Pa } from '../../../arch/addresses.ts';
import { alignDown } from '../../../arch/addresses.ts';
import type { Level } from '../../../arch/geometry.ts';
import { isLeafLevel, levelSize } from '../../../arch/geometry.ts';
import type { Because } from '../../../host/because.ts';
import { leafAttributes } from '../../../host/leaf.ts';
import { tableKey, walkOf } from './examine.ts';
import type { TraceFault } from './fault.ts';
import type { VmWorld, World } from './world.ts';
import { stateOf, windowOf } from './world.ts';

/** What the trace shows has no reason of the host's that the trace would tell. */
export const TRACED: Because = 'as-traced';

/** Output addresses of RAM are the host allocator's choice: any will do that is congruent. */
export const paFor = (hva: number): Pa => (2 ** 41 + (hva % 2 ** 40)) as Pa;

export function repair(world: World, vm: VmWorld, fault: TraceFault): void {
  const { ipa, status } = fault.fault;
  if (!('level' in status) || fault.needs === 'walk') return;
  const level = status.level as Level;
  const { geometry } = stateOf(world.simulation, vm.id);
  if (level < geometry.startLevel) return;
  const found = walkOf(world, vm, ipa);
  if (status.kind === 'translation') {
    if (found.leaf !== undefined || found.level > level) forget(world, vm, ipa, level);
    else if (found.level < level) {
      if (vm.tables.size > MAX_TABLES) vm.tables.clear();
      vm.tables.set(tableKey(geometry.granule, ipa, level), level);
    }
    return;
  }
  if ((status.kind === 'permission' || status.kind === 'access-flag') && isLeafLevel(geometry, level)) {
    place(world, vm, fault, level);
    if (level === 2) vm.windows.set(windowOf(world, ipa), 'block');
  }
}

/** A trace of a real machine shows a handful. */
const MAX_TABLES = 65_536;

/** Nothing is mapped in the entry of `level` around `ipa`. */
function forget(world: World, vm: VmWorld, ipa: number, level: Level): void {
  const { granule } = vm.facts.geometry;
  const size = levelSize(granule, level);
  const start = alignDown(ipa, size);
  invalidate(world, vm, start, size);
  for (const deeper of [1, 2, 3] as const)
    if (deeper > level) vm.tables.delete(tableKey(granule, ipa, deeper));
}

/** Takes all leaves of an IPA range out of the table. */
function invalidate(world: World, vm: VmWorld, ipa: number, size: number): void {
  world.simulation.dispatch({
    type: 'notifier-invalidated',
    vm: vm.id,
    start: 0 as never,
    end: 0 as never,
    slots: [{ slot: -1, ipa: ipa as Ipa, size }],
    because: TRACED,
  });
}

/** XN as KVM writes it. */
const NEVER = { xn: 2 } as const;

/** A leaf of that level which refuses the access, as the fault says. */
function place(world: World, vm: VmWorld, fault: TraceFault, level: Level): void {
  const { granule } = vm.facts.geometry;
  const size = levelSize(granule, level);
  const { ipa, status } = fault.fault;
  const start = alignDown(ipa, size) as Ipa;
  const { leaf, level: at } = walkOf(world, vm, ipa);
  const known = leaf !== undefined && at === level ? leaf.attributes : undefined;
  const { fwb } = world.machine.cpu;
  const fresh =
    leaf?.attributes ?? leafAttributes(fwb, { write: fault.needs !== 'write', exec: false, type: 'normal' });
  const attributes = {
    ...(known ?? fresh),
    ...(fault.needs === 'write' ? { write: false } : {}),
    ...(fault.needs === 'execute' ? NEVER : {}),
    af: status.kind !== 'access-flag',
  };
  const pa = leaf === undefined ? paFor(start) : (alignDown(leaf.outputAddress, size) as Pa);
  world.simulation.dispatch({
    type: 'stage2-set',
    vm: vm.id,
    ipa: start,
    level,
    pa,
    attributes,
    because: 'ram',
  });
}
