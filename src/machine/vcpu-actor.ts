// A vCPU that runs a guest program and takes turns with others. It parks at every access and at every stage of a fault,
// so that others can come in between; between two accesses it takes an interrupt that its GIC signals.

import { STAGE_1_OFF, STAGE_1_ON } from '../arch/stage1.ts';
import { gicOf, interruptOf, wakes } from '../devices/gicv2/lines.ts';
import { deadlineOf } from '../devices/gicv2/timer.ts';
import type { Mappable } from '../guest/mapping.ts';
import type { Cpu, GuestOp, GuestProgram, OpResult, Steps, Vectors } from '../guest/operations.ts';
import { createCpu } from '../guest/program.ts';
import type { MachineEvent } from './events.ts';
import { livelocks, livelocksForEver } from './livelock.ts';
import type { Actor } from './schedule.ts';
import { naming } from './schedule.ts';
import type { Stage } from './schedule-actors.ts';

/** The vCPU whose program is to run. */
export interface VcpuPlace {
  readonly vm: number;
  readonly vmName: string;
  readonly vcpu: number;
  readonly index: number;
  readonly ram: Mappable;
}

export interface VcpuActor extends Actor {
  finished(): boolean;
}

const NOTHING: OpResult = { value: null, aborted: null, skipped: null };

/** A program under way: the vCPU's own, or a handler that interrupted what is below it. */
interface Frame {
  readonly steps: Steps<void>;
  last: GuestOp | null;
  /** What came of `last`, once an interrupt was taken behind it. */
  result: OpResult | null;
}

const frameOf = (program: GuestProgram, cpu: Cpu): Frame => ({
  steps: program(cpu),
  last: null,
  result: NOTHING,
});

/** @throws Error that names the vCPU if its program throws */
export function vcpuActor(stage: Stage, place: VcpuPlace, program: GuestProgram): VcpuActor {
  const { simulation } = stage;
  const { vm, vcpu } = place;
  const name = `${place.vmName} vcpu ${place.index}`;
  const cpu = createCpu(place.index, place.ram, stage.mapAs);
  const frames: Frame[] = [frameOf(program, cpu)];
  const cell: { vectors: Vectors } = { vectors: {} };
  let released = 0;
  // Whatever anybody else did since may have changed what the instruction meets.
  const isEndless = (held: MachineEvent): boolean =>
    livelocks(held) && (simulation.length === released || livelocksForEver(held));
  const handler = (): { exception: 'irq' | 'fiq'; run: GuestProgram } | null => {
    const exception = signalledTo(stage, place);
    const run = exception === null ? undefined : cell.vectors[exception];
    return exception === null || run === undefined ? null : { exception, run };
  };
  return {
    id: vcpu,
    name,
    finished: () => frames.length === 0,
    status() {
      if (stage.isDead(vm)) return 'done';
      if (stage.stopped.has(vm) && frames.length > 0) return 'waiting';
      const held = simulation.held(vcpu);
      if (held !== undefined) return isEndless(held) ? 'done' : 'ready';
      const top = frames.at(-1);
      if (top === undefined) return 'done';
      if (expiry(stage, place, top.last) !== null) return 'ready';
      return handler() !== null || goesOn(stage, place, top.last) ? 'ready' : 'waiting';
    },
    step() {
      if (simulation.release(vcpu)) {
        released = simulation.length;
        return;
      }
      const top = frames.at(-1);
      if (top === undefined) return;
      const expires = expiry(stage, place, top.last);
      if (expires !== null) {
        const { device, at } = expires;
        simulation.dispatch({ type: 'timer-condition-met', device, vm, cpu: place.index }, at);
        return;
      }
      const taken = handler();
      if (taken !== null) {
        top.result ??= resultOf(stage, vcpu, top.last, name);
        // The handler returns behind a WFI: the interrupt has ended it.
        if (top.last?.kind === 'wfi') top.last = null;
        frames.push(frameOf(taken.run, cpu));
        simulation.dispatch({ type: 'interrupt-taken', vm, vcpu, exception: taken.exception });
        return;
      }
      const turn = naming(name, () => top.steps.next(top.result ?? resultOf(stage, vcpu, top.last, name)));
      top.result = null;
      top.last = turn.done === true ? null : turn.value;
      if (turn.done !== true) {
        perform(stage, place, turn.value, cell);
        return;
      }
      frames.pop();
      simulation.dispatch({ type: frames.length === 0 ? 'program-ended' : 'exception-returned', vm, vcpu });
    },
  };
}

/** The exception that this vCPU would take now; null while interrupts are masked or none is signalled. */
function signalledTo({ simulation }: Stage, { vm, vcpu, index }: VcpuPlace): 'irq' | 'fiq' | null {
  const { state } = simulation;
  if (state.vcpus[vcpu]?.interruptsMasked !== false) return null;
  const gic = gicOf(state.devices, vm);
  return gic === null ? null : interruptOf(gic.vgic, index);
}

/** When its timer's condition is met: as time comes, or in a WFI that nothing else ends (kvm_timer_blocking()). */
function expiry(
  { simulation }: Stage,
  { vm, index }: VcpuPlace,
  last: GuestOp | null,
): { readonly device: number; readonly at: number } | null {
  const gic = gicOf(simulation.state.devices, vm);
  const cpu = gic?.vgic.cpus[index];
  const deadline = cpu === undefined ? null : deadlineOf(cpu);
  if (gic === null || cpu === undefined || deadline === null) return null;
  const waits = last?.kind === 'wfi' && cpu.timer?.masked === false && !wakes(gic.vgic, index);
  const { now } = simulation;
  return now >= deadline || waits ? { device: gic.device, at: Math.max(now, deadline) } : null;
}

/** @throws RangeError for a VM without a GICv2 */
function setTimer(
  { simulation }: Stage,
  { vm, vmName, index }: VcpuPlace,
  { after, enabled, masked }: GuestOp & { readonly kind: 'timer' },
): void {
  const gic = gicOf(simulation.state.devices, vm);
  if (gic === null)
    throw new RangeError(`VM '${vmName}' has no GICv2 for its timer to interrupt; give it vgic: 2`);
  const { now } = simulation;
  const cval = after === null ? (gic.vgic.cpus[index]?.timer?.cval ?? 0) : now + after;
  const { device } = gic;
  simulation.dispatch({
    type: 'timer-written',
    device,
    vm,
    cpu: index,
    enabled,
    masked,
    cval,
    met: cval <= now,
  });
}

/** Whether the program can go on behind this operation. */
function goesOn({ simulation, signals }: Stage, { vm, index }: VcpuPlace, last: GuestOp | null): boolean {
  if (last?.kind === 'await') return signals.has(last.signal);
  if (last?.kind !== 'wfi') return true;
  const gic = gicOf(simulation.state.devices, vm);
  return gic !== null && wakes(gic.vgic, index);
}

function perform(stage: Stage, place: VcpuPlace, op: GuestOp, cell: { vectors: Vectors }): void {
  const { simulation } = stage;
  const { vm, vcpu } = place;
  switch (op.kind) {
    case 'access': {
      const access = { ...op.access, id: stage.nextAccess };
      stage.nextAccess += 1;
      simulation.dispatch({ type: 'access-issued', vm, vcpu, access });
      return;
    }
    case 'barrier':
      simulation.dispatch({ type: 'barrier-executed', vm, vcpu, barrier: op.barrier });
      return;
    case 'stage-1': {
      const paBits = simulation.state.vcpus[vcpu]?.stage1.paBits ?? 48;
      const controls = op.on ? STAGE_1_ON : STAGE_1_OFF;
      const stage1 = { controls, paBits, ...(op.tables === null ? {} : { tables: op.tables }) };
      simulation.dispatch({ type: 'stage1-switched', vm, vcpu, stage1 });
      return;
    }
    case 'vectors':
      cell.vectors = op.vectors;
      return;
    case 'mask':
      simulation.dispatch({ type: 'interrupts-masked', vm, vcpu, masked: op.masked });
      return;
    case 'wfi':
      simulation.dispatch({ type: 'wfi-executed', vm, vcpu });
      return;
    case 'timer':
      setTimer(stage, place, op);
      return;
    case 'raise':
      stage.signals.add(op.signal);
      return;
    case 'await':
      return;
  }
}

/** What the program gets back for its last operation. */
function resultOf(stage: Stage, vcpu: number, op: GuestOp | null, name: string): OpResult {
  if (op?.kind !== 'access') return NOTHING;
  const access = stage.collector.latest(vcpu);
  if (access === undefined || !access.ended) {
    throw new Error(`access ${access?.id} of ${name} waits for an answer that nobody gave`);
  }
  const { value, aborted, errno } = access;
  return { value, aborted, skipped: errno };
}
