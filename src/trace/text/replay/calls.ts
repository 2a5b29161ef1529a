// The VMM's later calls at their place in the trace: the simulated host performs each before the first event behind it.
// A call that fails there changes nothing, as on a real host, and is counted.

import type { Hva, Ipa } from '../../../arch/addresses.ts';
import type { VmmCall } from '../../../host/calls.ts';
import { MAX_LOGGED_PAGES } from '../../machine-file/calls.ts';
import type { Place, TraceCall, TraceVma } from '../../machine-file/machine.ts';
import type { Line } from '../line.ts';
import { timeOf } from '../line.ts';
import type { Replay } from './run.ts';
import type { WorldSlot } from './slots.ts';
import { isMappable, memslotCall, mmapOf, vmaBehind, worldSlot } from './slots.ts';
import type { VmWorld, World } from './world.ts';
import { stateOf, windowOf } from './world.ts';

/** Performs what stands before the event of `line`. */
export function performDue(replay: Replay, line: Line): void {
  let time = -1;
  for (const vm of replay.waiting) {
    for (let next = vm.facts.calls[vm.callsDone]; next !== undefined; next = vm.facts.calls[vm.callsDone]) {
      if (time === -1 && 'time' in next.after) time = secondsOf(line);
      if (!isBehind(next.after, replay.line, time, vm.faultsOver)) break;
      vm.callsDone += 1;
      perform(replay, vm, next.call);
    }
  }
  if (replay.waiting.some(isDone)) replay.waiting = replay.waiting.filter((vm) => !isDone(vm));
}

const isDone = (vm: VmWorld): boolean => vm.callsDone === vm.facts.calls.length;

/** Digits before what the latency layout puts behind them. */
const secondsOf = (line: Line): number => Number.parseFloat(timeOf(line));

function isBehind(after: Place, line: number, time: number, faultsOver: number): boolean {
  if ('line' in after) return line > after.line;
  if ('time' in after) return time >= after.time;
  return faultsOver >= after.fault;
}

function perform(replay: Replay, vm: VmWorld, call: TraceCall): void {
  const { world, calls } = replay;
  calls.applied += 1;
  interrupt(replay, vm);
  if (!succeeds(world, vm, call)) calls.refused += 1;
}

/** A fault that is under way meanwhile may see either. */
function interrupt({ world, runs, line }: Replay, vm: VmWorld): void {
  for (const run of runs.values()) {
    if (run === null || run.vcpu.vm !== vm || run.pending === null) continue;
    vm.changes.push({ window: windowOf(world, run.pending.fault.fault.ipa), vcpu: -1, line });
  }
}

function succeeds(world: World, vm: VmWorld, call: TraceCall): boolean {
  const { simulation, machine } = world;
  switch (call.kind) {
    case 'pci-command':
      simulation.dispatch({ type: 'pci-command-written', device: call.device, value: call.value });
      return true;
    case 'memslot':
      return setMemslot(world, vm, call);
    case 'mmap':
      return map(world, vm, call.vma);
    case 'dirty-log-clear': {
      const size = vm.slots.find(({ slot }) => slot === call.slot)?.size ?? 0;
      const pages = call.pages ?? Math.max(0, size / machine.pageSize - call.firstPage);
      return returnsZero(world, vm, { ...call, pages });
    }
    default:
      return returnsZero(world, vm, call);
  }
}

function returnsZero({ simulation }: World, vm: VmWorld, call: VmmCall): boolean {
  let errno = 0;
  const returned = simulation.bus.on('vmm-call-returned').subscribe((event) => {
    errno = event.errno;
  });
  simulation.dispatch({ type: 'vmm-called', vm: vm.id, call });
  returned.unsubscribe();
  return errno === 0;
}

function map(world: World, vm: VmWorld, vma: TraceVma): boolean {
  const isMapped = returnsZero(world, vm, mmapOf(vma, world.machine.pageSize));
  if (isMapped) vm.mapped.push(vma);
  return isMapped;
}

type MemslotCall = Extract<TraceCall, { readonly kind: 'memslot' }>;

/** What the call leaves out stays as the slot has it; a new slot needs ipa and size. */
function setMemslot(world: World, vm: VmWorld, call: MemslotCall): boolean {
  const { simulation, machine } = world;
  const old = vm.slots.find(({ slot }) => slot === call.slot);
  const ipa = call.ipa ?? old?.ipa;
  const size = call.size ?? old?.size;
  if (ipa === undefined || size === undefined) return false;
  const readonly = call.readonly ?? old?.readonly ?? false;
  const logDirty = call.logDirty ?? old?.logged ?? false;
  const told = { ...call, ipa: ipa as Ipa, size, readonly, logDirty };
  const keepsHva = call.hva === null && old !== undefined;
  const hva = keepsHva ? (old.hva as Hva) : call.hva;
  const made = worldSlot({ ...told, hva }, vm.mapped, vm.places, machine.pageSize);
  const slot = keepsHva ? { ...made, hvaKnown: old.hvaKnown, backing: made.backing ?? old.backing } : made;
  const isLoggable = !logDirty || size / machine.pageSize <= MAX_LOGGED_PAGES;
  if (!isMappable(slot) || !isLoggable) return false;
  const vma = call.backing === null ? null : vmaBehind(slot, stateOf(simulation, vm.id).vmas);
  if (vma !== null && size > 0) map(world, vm, vma);
  if (!returnsZero(world, vm, memslotCall(slot))) return false;
  vm.slots = vm.slots.filter((other) => other !== old);
  if (size > 0) vm.slots = [...vm.slots, slot];
  for (const changed of [old, slot]) if (changed !== undefined) forget(world, vm, changed);
  return true;
}

/** What was learned of the windows of a slot that changes is stale. */
function forget({ block }: World, vm: VmWorld, { ipa, size }: WorldSlot): void {
  for (const known of [vm.windows, vm.cut]) {
    for (const window of known.keys()) {
      if (window < ipa + size && window + block > ipa) known.delete(window);
    }
  }
}
