// What is done to a random host: accesses of all kinds, and everything a VMM can ask. Map calls of a vCPU may be held
// and released later; every run ends with nothing held.

import type { AccessKind } from '../../src/arch/access.ts';
import type { MachineEvent } from '../../src/machine/events.ts';
import type { Hold } from '../../src/machine/simulation.ts';
import type { MachineOptions, TestMachine, VmHandle } from '../helpers/host.ts';
import { DEVICE_nGnRE, NORMAL, NORMAL_NC } from '../helpers/host.ts';
import type { Layout, Operation } from './host-world.ts';
import { boot, GICC, offsetIn } from './host-world.ts';

const KINDS: readonly AccessKind[] = [
  'read',
  'write',
  'write',
  'fetch',
  'read-pair',
  'write-pair',
  'exclusive-load',
  'exclusive-store',
  'dc-zva',
  'dc-civac',
  'dc-ivac',
  'prefetch',
  's1-walk',
  's1-walk-update',
];

/** More faults than this of one access are a livelock. */
const MOST_ATTEMPTS = 16;

export interface Run {
  readonly m: TestMachine;
  readonly layout: Layout;
  /** vCPUs whose map calls wait. */
  readonly holding: Set<number>;
  readonly misaligned: boolean;
}

export interface RunOptions extends MachineOptions {
  /** Accesses may be misaligned, DC ZVA too: alignment faults tell memory types apart. */
  readonly misaligned?: boolean;
  /** After each operation. */
  readonly after?: (run: Run) => void;
}

/** Boots the world's host and does what it says. @throws HandlerError on a livelock */
export function runWorld(layout: Layout, options: RunOptions = {}, watch?: (m: TestMachine) => void): Run {
  const { misaligned = true, after, ...rest } = options;
  const holding = new Set<number>();
  const running: { m: TestMachine | null } = { m: null };
  const hold: Hold = (event) => {
    if (event.type !== 'stage2-map-begun' && event.type !== 'stage2-faulted') return false;
    refuseLivelock(event);
    return holding.has(event.vcpu) || (spins(event) && heldByOthers(running.m, event.vcpu));
  };
  const m = boot(layout, { ...rest, hold });
  running.m = m;
  watch?.(m);
  const run: Run = { m, layout, holding, misaligned };
  for (const operation of layout.world.operations) {
    perform(run, operation);
    after?.(run);
  }
  letGo(run);
  after?.(run);
  return run;
}

function refuseLivelock(event: MachineEvent): void {
  if (event.type === 'stage2-faulted' && event.attempt > MOST_ATTEMPTS)
    throw new Error(`access ${event.access.id} at 0x${event.access.va.toString(16)} faults for ever`);
}

/** An entry that another vCPU has locked makes a fault come back until that vCPU goes on: here it waits for it. */
const spins = (event: MachineEvent): boolean => event.type === 'stage2-faulted' && event.attempt >= 3;

const heldByOthers = (m: TestMachine | null, vcpu: number): boolean =>
  m?.simulation.state.vcpus.some((_, other) => other !== vcpu && m.simulation.held(other) !== undefined) ===
  true;

/** Nothing is held any longer: every access comes to its end, in turns. */
function letGo({ m, holding }: Run): void {
  holding.clear();
  const { vcpus } = m.simulation.state;
  for (let turn = 0; turn < MOST_ATTEMPTS * vcpus.length; turn++) m.simulation.release(turn % vcpus.length);
}

function perform(run: Run, operation: Operation): void {
  const [code, where, , , more] = operation;
  const { m } = run;
  const vm = m.vms[more % m.vms.length] as VmHandle;
  if (code < 16) access(run, vm, operation);
  else if (code < 21) onMemory(run, vm, operation);
  else if (code < 22) m.pciCommand(more % 4 === 0 ? 0 : 2);
  else if (code < 29) onSlots(run, vm, operation);
  else if (code === 29) m.simulation.release(where % 2);
  else if (run.holding.has(where % 2)) run.holding.delete(where % 2);
  else run.holding.add(where % 2);
}

function access(run: Run, vm: VmHandle, [code, where, offset, size, more]: Operation): void {
  const { m, layout } = run;
  const vcpu = (more >> 1) % 2;
  const { vcpus } = m.simulation.state;
  const number = m.vms.indexOf(vm) * (vcpus.length / m.vms.length) + vcpu;
  if (vcpus[number]?.pending !== null) {
    m.simulation.release(number);
    return;
  }
  const chosen = KINDS[(code + size) % KINDS.length] as AccessKind;
  const kind = chosen === 'dc-zva' && !run.misaligned ? 'write' : chosen;
  const pair = kind.endsWith('-pair');
  const bytes = kind.startsWith('dc-') ? 64 : kind === 'fetch' ? 4 : pair ? 16 : 2 ** (more % 4);
  const slip = run.misaligned && more >= 56 && kind !== 'fetch' ? 1 : 0;
  const attr = [NORMAL, NORMAL, NORMAL_NC, DEVICE_nGnRE][(more >> 2) % 4] as number;
  const ipa = targetOf(layout, where, offset, more) + (more % 8) * 64 + slip;
  const purpose = (['read', 'write', 'fetch'] as const)[more % 3] ?? 'read';
  const walk = kind.startsWith('s1-walk') ? { level: 3, purpose } : undefined;
  vm.issue(kind, ipa, { vcpu, size: bytes, attr, noSyndrome: more % 16 === 15 }, walk);
}

/** Mostly inside a slot; sometimes where none is, in GICV, or beyond the VM. */
function targetOf(layout: Layout, where: number, offset: number, more: number): number {
  if (more === 61) return 2 ** layout.world.ipaBits;
  if (more === 60) return GICC;
  if (more === 59) return 0x1000_0000;
  const { ipa, size } = layout.slotOf(where, more % 32 === 31);
  return ipa + offsetIn(size, layout.page, layout.block, offset);
}

function onMemory({ layout }: Run, vm: VmHandle, [code, where, offset, size, more]: Operation): void {
  const { page, block, areas } = layout;
  const area = areas[where % areas.length];
  if (area === undefined) return;
  const start = area.hva + offsetIn(area.size, page, block, offset);
  const wanted = [page, 3 * page, block, area.size][size % 4] ?? page;
  const length = Math.min(wanted, area.hva + area.size - start);
  const few = Math.min(length, 4 * page);
  if (code === 16) vm.mprotect(start, length, (['read', 'none', 'read-write'] as const)[more % 3] ?? 'read');
  else if (code === 17) vm.munmap(start, length);
  else if (code === 18) vm.mmap(area.hva, area.size, areas[more % areas.length]?.backing ?? area.backing);
  else if (code === 19) discard(vm, start, length, few, more);
  else if (more % 4 === 0) vm.hostRead(start, few);
  else vm.hostWrite(start, more % 4 === 1 ? length : few, more % 4 === 1 ? block : null);
}

function discard(vm: VmHandle, start: number, length: number, few: number, more: number): void {
  if (more % 3 === 0) vm.dontneed(start, length);
  else vm.pageout(start, few, more % 3 === 1 ? 'age' : 'unmap-range');
}

function onSlots({ layout }: Run, vm: VmHandle, [code, where, , size, more]: Operation): void {
  const number = where % layout.world.slots.length;
  const slot = vm.state().slots.find((it) => it.slot === number);
  if (code === 22) vm.deleteSlot(number);
  else if (code === 23 || slot === undefined)
    vm.slot(number, layout.slotOf(number, more % 2 === 0), {
      readonly: slot?.readonly ?? more % 8 === 3,
      logDirty: slot !== undefined && slot.dirty !== null,
    });
  else if (code < 27) vm.slot(number, slot, { readonly: slot.readonly, logDirty: slot.dirty === null });
  else if (code === 27) vm.dirtyLog(number);
  else vm.clearDirtyLog(number, size % 2 === 0 ? 0 : 64, more % 2 === 0 ? 64 : slot.size / layout.page);
}
