// What holds for every host at every event: break-before-make, notifiers that leave nothing behind, memory types by
// rule, blocks that fit, one end for each access, and a stage 2 that never says other than the host's own tables.

import type { Stage2Leaf } from '../../src/arch/descriptor.ts';
import { levelSize } from '../../src/arch/geometry.ts';
import type { TranslationTable } from '../../src/arch/translation-table.ts';
import type { Memslot } from '../../src/host/memslot.ts';
import { slotAt } from '../../src/host/memslot.ts';
import type { HostState, VmState } from '../../src/host/state.ts';
import type { Vma } from '../../src/host/vma.ts';
import { vmaAt } from '../../src/host/vma.ts';
import type { Recorded } from '../../src/machine/events.ts';
import type { TestMachine } from '../helpers/host.ts';

type Table = TranslationTable<Stage2Leaf>;
type MadeLeaf = Recorded & { type: 'stage2-mapped' | 'stage2-set' };

export interface Watcher {
  /** Every breach so far, in words. */
  readonly breaches: readonly string[];
  /** Events seen, by type: what a campaign never reached it did not prove. */
  readonly seen: ReadonlyMap<string, number>;
}

/** Accesses end with exactly one of these. */
const ENDS: ReadonlySet<string> = new Set([
  'access-completed',
  'run-failed',
  'abort-injected',
  'nisv-exited',
  'stage1-faulted',
  'sea-exited',
  'serror-injected',
]);

export function watch(m: TestMachine): Watcher {
  const breaches: string[] = [];
  const seen = new Map<string, number>();
  const before: Table[] = m.simulation.state.vms.map(({ table }) => table.snapshot());
  const open = new Set<number>();
  m.simulation.bus.all.subscribe((event) => {
    seen.set(event.type, (seen.get(event.type) ?? 0) + 1);
    const breach = (what: string): void => {
      breaches.push(`event ${event.seq} ${event.type}: ${what}`);
    };
    if ('vcpu' in event) onlyOneEnd(open, event, breach);
    if (!('vm' in event)) return;
    const { host } = m.simulation.state;
    const live = m.simulation.state.vms[event.vm];
    const old = before[event.vm];
    if (host === null || live === undefined || old === undefined) return;
    const vm = asOfNow(live);
    checkEvent(host, vm, old, event, breach);
    before[event.vm] = vm.table;
  });
  return { breaches, seen };
}

/** The slice with its tables as values: the same ones while nothing changes in them. */
const asOfNow = (vm: VmState): VmState => ({
  ...vm,
  table: vm.table.snapshot(),
  memory: vm.memory.snapshot(),
});

type Breach = (what: string) => void;

function onlyOneEnd(open: Set<number>, event: Recorded & { vcpu: number }, breach: Breach): void {
  if (event.type === 'access-issued') open.add(event.vcpu);
  else if (ENDS.has(event.type) && !open.delete(event.vcpu)) breach('the access has ended before');
}

function checkEvent(host: HostState, vm: VmState, old: Table, event: Recorded, breach: Breach): void {
  switch (event.type) {
    case 'stage2-mapped':
    case 'stage2-set':
      madeOfNothing(vm, old, event.ipa, levelSize(vm.geometry.granule, event.level), breach);
      typeFits(host, vm, event, breach);
      if (event.type === 'stage2-mapped') sizeFits(vm, event, breach);
      return;
    case 'stage2-split':
      madeOfNothing(vm, old, event.ipa, event.count * vm.geometry.granule, breach);
      return;
    case 'notifier-invalidated':
      onlyRemoves(vm, old, breach);
      nothingLeft(vm, event.start, event.end, breach);
      return;
    case 'memslot-set':
    case 'memslot-deleted':
    case 'stage2-broken':
      onlyRemoves(vm, old, breach);
      return;
    default:
      if (vm.table !== old) onlyPermissions(vm, old, breach);
  }
}

/** Make comes after break: nothing valid where a leaf appears, no table with leaves either. */
function madeOfNothing(vm: VmState, old: Table, ipa: number, size: number, breach: Breach): void {
  for (const { address } of old.leaves(ipa, ipa + size))
    breach(`0x${address.toString(16)} was valid when 0x${ipa.toString(16)} was made`);
  if (vm.table.walk(ipa).leaf === undefined) breach('nothing was made');
}

function onlyRemoves(vm: VmState, old: Table, breach: Breach): void {
  if (vm.table === old) return;
  for (const { address, level, leaf } of vm.table.leaves()) {
    const was = old.walk(address);
    if (was.level !== level || was.leaf !== leaf) breach(`0x${address.toString(16)} changed`);
  }
}

/** MemAttr, address and size of valid entries stay. */
function onlyPermissions(vm: VmState, old: Table, breach: Breach): void {
  if (vm.table.leafCount !== old.leafCount) breach('leaves came or went');
  for (const { address, level, leaf } of vm.table.leaves()) {
    const was = old.walk(address);
    const same =
      was.leaf !== undefined &&
      was.level === level &&
      was.leaf.outputAddress === leaf.outputAddress &&
      was.leaf.attributes.memAttr === leaf.attributes.memAttr;
    if (!same) breach(`0x${address.toString(16)} changed without a break`);
    if (executableDevice(leaf)) breach(`0x${address.toString(16)} is executable and no Normal memory`);
  }
}

const NORMAL_TYPES: readonly number[] = [0b0110, 0b1111];

const executableDevice = ({ attributes }: Stage2Leaf): boolean =>
  attributes.xn === 0 && !NORMAL_TYPES.includes(attributes.memAttr);

function nothingLeft(vm: VmState, start: number, end: number, breach: Breach): void {
  for (const slot of vm.slots) {
    const from = Math.max(start, slot.hva);
    const to = Math.min(end, slot.hva + slot.size);
    if (from >= to) continue;
    const ipa = slot.ipa + from - slot.hva;
    for (const { address } of vm.table.leaves(ipa, ipa + to - from))
      breach(`0x${address.toString(16)} survived the notifier`);
  }
}

const DEVICE = 0b0001;
const NORMAL_NC = 0b0101;

/** MemAttr by the VMA, the kernel and FWB, and by nothing else. */
function typeFits(host: HostState, vm: VmState, event: MadeLeaf, breach: Breach): void {
  const { memAttr } = event.attributes;
  const leaf = { outputAddress: event.pa, attributes: event.attributes };
  if (executableDevice(leaf)) breach('executable and no Normal memory');
  const vma = backingOf(vm, event.ipa);
  const wanted = vma === undefined ? DEVICE : memAttrOf(host, vma);
  if (memAttr !== wanted) breach(`MemAttr is ${memAttr}, not ${wanted}`);
}

function memAttrOf({ cpu, features }: HostState, { backing }: Vma): number {
  const normal = cpu.fwb ? 0b0110 : 0b1111;
  if (backing.kind !== 'pfnmap') return normal;
  if (backing.cacheable && features.cacheablePfnmap) return normal;
  return features.normalNcForAnyUncached && backing.allowAnyUncached ? NORMAL_NC : DEVICE;
}

function backingOf(vm: VmState, ipa: number): Vma | undefined {
  const slot = slotAt(vm.slots, ipa);
  return slot && vmaAt(vm.vmas, slot.hva + ipa - slot.ipa);
}

/** A block is no larger than IPA, hva and PA are congruent for, and lies in its slot and its VMA. */
function sizeFits(vm: VmState, event: Recorded & { type: 'stage2-mapped' }, breach: Breach): void {
  const size = levelSize(vm.geometry.granule, event.level);
  const slot = slotAt(vm.slots, event.ipa);
  const vma = backingOf(vm, event.ipa);
  if (slot === undefined || vma === undefined) {
    breach('mapped where no slot or no VMA is');
    return;
  }
  const hva = slot.hva + event.ipa - slot.ipa;
  if (event.ipa % size !== 0 || hva % size !== 0 || event.pa % size !== 0) breach('not congruent');
  if (event.ipa + size > slot.ipa + slot.size) breach('the leaf sticks out of its slot');
  if (hva < vma.start || hva + size > vma.end) breach('the leaf sticks out of its VMA');
}

/** What was found coherent already: values are persistent, so that the same ones need no second look. */
const coherent = new WeakMap<object, readonly unknown[]>();

/** Between operations: every leaf says what the host's own tables say. */
export function incoherent(m: TestMachine): string[] {
  const { host, vms } = m.simulation.state;
  if (host === null) return [];
  return vms.map(asOfNow).flatMap((vm) => {
    const { table, slots, vmas, memory } = vm;
    const looked = [slots, vmas, memory, host.memoryDisabled];
    if (coherent.get(table)?.every((value, index) => value === looked[index]) === true) return [];
    coherent.set(table, looked);
    return [...wellFormed(vm), ...staleLeaves(host, vm)];
  });
}

/** No leaf overlaps another or stands where a table does; no table is empty. */
function wellFormed(vm: VmState): string[] {
  const problems: string[] = [];
  let end = 0;
  for (const { address, level } of vm.table.leaves()) {
    if (address < end) problems.push(`leaf 0x${address.toString(16)} overlaps the one before`);
    end = address + levelSize(vm.geometry.granule, level);
  }
  for (const { address, level } of vm.table.tables()) {
    const size = levelSize(vm.geometry.granule, level);
    const below = vm.table.leaves(address, address + size).next();
    if (below.done === true) problems.push(`table 0x${address.toString(16)} is empty`);
    else if (below.value.level <= level) problems.push(`0x${address.toString(16)} is a table and a leaf`);
  }
  return problems;
}

const GICV_END = 0x1000_0000;

function staleLeaves(host: HostState, vm: VmState): string[] {
  const problems: string[] = [];
  for (const { address, level, leaf } of vm.table.leaves()) {
    if (address < GICV_END) {
      if (leaf.attributes.memAttr !== DEVICE) problems.push('GICV is not Device');
      continue;
    }
    const size = levelSize(vm.geometry.granule, level);
    const slot = slotAt(vm.slots, address);
    const what = slot === undefined ? 'has no slot' : staleness(host, vm, slot, address, size, leaf);
    if (what !== null) problems.push(`leaf 0x${address.toString(16)} of ${size} bytes ${what}`);
  }
  return problems;
}

function staleness(
  host: HostState,
  vm: VmState,
  slot: Memslot,
  address: number,
  size: number,
  { outputAddress, attributes }: Stage2Leaf,
): string | null {
  const hva = slot.hva + address - slot.ipa;
  const vma = vmaAt(vm.vmas, hva);
  if (vma === undefined || vma.prot === 'none') return 'has no VMA';
  if (address + size > slot.ipa + slot.size || hva + size > vma.end) return 'sticks out';
  if (attributes.write && (slot.readonly || vma.prot !== 'read-write')) return 'is writable';
  if (vma.backing.kind === 'pfnmap') {
    const { backing } = vma;
    if (backing.driver === 'vfio-pci' && host.memoryDisabled.includes(backing.device ?? ''))
      return 'is disabled';
    return outputAddress === backing.pa + hva - vma.start ? null : 'is not the device page';
  }
  for (const at of [hva, hva + size - vm.geometry.granule]) {
    const { level, leaf } = vm.memory.walk(at);
    if (leaf === undefined || leaf.kind === 'none' || leaf.kind === 'swapped') return 'has no host page';
    if (leaf.kind === 'zero') return attributes.write ? 'is a writable zero page' : null;
    if (leaf.kind === 'poisoned') return 'has a poisoned host page';
    if (attributes.write && !leaf.writable) return 'is writable where the host is not';
    const pa = leaf.pa + (at % levelSize(vm.geometry.granule, level));
    if (pa !== outputAddress + at - hva) return 'is not the host page';
  }
  return null;
}
