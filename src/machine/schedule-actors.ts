// Those who take turns: a vCPU that runs a guest program, and a program of the VMM. A vCPU parks at every access and
// at every stage of a fault, so that others can come in between; a VMM's turn is one call.

import { STAGE_1_OFF, STAGE_1_ON } from '../arch/stage1.ts';
import type { Mappable, Stage1Attribute } from '../guest/mapping.ts';
import type { GuestOp, OpResult } from '../guest/operations.ts';
import type { GuestProgram } from '../guest/program.ts';
import { createCpu } from '../guest/program.ts';
import type { VmmCall } from '../host/calls.ts';
import type { MachineEvent } from './events.ts';
import { livelocks, livelocksForEver } from './livelock.ts';
import type { Collector } from './report-collect.ts';
import type { PlacedRegion } from './scenario-assign.ts';
import type { VmmOp, VmmProgram, VmmResult } from './scenario-vmm.ts';
import { VMM } from './scenario-vmm.ts';
import type { Actor } from './schedule.ts';
import type { Simulation } from './simulation.ts';
import { actOnPci } from './vmm-pci.ts';

/** What all actors of a run share. */
export interface Stage {
  readonly simulation: Simulation;
  readonly collector: Collector;
  readonly regions: readonly PlacedRegion[];
  /** What guests' ioremap() maps as, whatever it is told; null for what it is told. */
  readonly mapAs: Stage1Attribute | null;
  /** Signals raised so far. */
  readonly signals: Set<string>;
  /** Number of the next access. */
  nextAccess: number;
  isDead(vm: number): boolean;
}

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

/** @throws Error that names the vCPU if its program throws */
export function vcpuActor(stage: Stage, place: VcpuPlace, program: GuestProgram): VcpuActor {
  const { simulation } = stage;
  const { vm, vcpu } = place;
  const name = `${place.vmName} vcpu ${place.index}`;
  const steps = program(createCpu(place.index, place.ram, stage.mapAs));
  let last: GuestOp | null = null;
  let ended = false;
  let released = 0;
  // Whatever anybody else did since may have changed what the instruction meets.
  const isEndless = (held: MachineEvent): boolean =>
    livelocks(held) && (simulation.length === released || livelocksForEver(held));
  return {
    id: vcpu,
    name,
    finished: () => ended,
    status() {
      if (stage.isDead(vm)) return 'done';
      const held = simulation.held(vcpu);
      if (held !== undefined) return isEndless(held) ? 'done' : 'ready';
      if (ended) return 'done';
      return last?.kind === 'await' && !stage.signals.has(last.signal) ? 'waiting' : 'ready';
    },
    step() {
      if (simulation.release(vcpu)) {
        released = simulation.length;
        return;
      }
      const turn = naming(name, () => steps.next(resultOf(stage, vcpu, last, name)));
      ended = turn.done === true;
      last = turn.done === true ? null : turn.value;
      if (last === null) simulation.dispatch({ type: 'program-ended', vm, vcpu });
      else perform(stage, place, last);
    },
  };
}

function perform(stage: Stage, { vm, vcpu }: VcpuPlace, op: GuestOp): void {
  const { simulation } = stage;
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

/** @param id behind those of all vCPUs */
export function vmmActor(stage: Stage, id: number, index: number, program: VmmProgram): Actor {
  const name = `program ${index} of the VMM`;
  const steps = program(VMM);
  let last: VmmOp | null = null;
  let ended = false;
  let result: VmmResult = { errno: 0 };
  stage.simulation.bus.on('vmm-call-returned').subscribe(({ errno }) => {
    result = { errno };
  });
  return {
    id,
    name,
    status() {
      if (ended) return 'done';
      return last?.kind === 'await' && !stage.signals.has(last.signal) ? 'waiting' : 'ready';
    },
    step() {
      const turn = naming(name, () => steps.next(result));
      ended = turn.done === true;
      last = turn.done === true ? null : turn.value;
      result = { errno: 0 };
      if (last === null) return;
      if (!isSignal(last)) result = act(stage, last) ?? result;
      else if (last.kind === 'raise') stage.signals.add(last.signal);
    },
  };
}

const EINVAL = 22;

type SignalOp = Extract<VmmOp, { readonly signal: string }>;
type VmmAction = Exclude<VmmOp, SignalOp>;

const isSignal = (op: VmmOp): op is SignalOp => 'signal' in op;

/** Does it; returns what came of it only if no call was made. */
function act(stage: Stage, op: VmmAction): VmmResult | null {
  const { simulation } = stage;
  switch (op.kind) {
    case 'pci-command':
    case 'pci-power':
    case 'device-reset':
    case 'config-read':
    case 'config-write':
    case 'raise-msix':
      return actOnPci(simulation, op);
    case 'irq-line': {
      const { intid, level, cpu = null } = op;
      const gicv = stage.regions.find(({ vmName, kind }) => vmName === op.vm && kind === 'gicv');
      if (gicv === undefined) return { errno: EINVAL };
      const { device, vm } = gicv;
      simulation.dispatch({ type: 'interrupt-line-changed', device, vm, cpu, intid, level });
      return null;
    }
    default: {
      const region = stage.regions.find((it) => it.vmName === op.region.vm && it.name === op.region.name);
      const calls = region === undefined ? [] : callsOf(op, region);
      if (region === undefined || calls.length === 0) return { errno: EINVAL };
      for (const call of calls) simulation.dispatch({ type: 'vmm-called', vm: region.vm, call });
      return null;
    }
  }
}

type RegionAction = Extract<VmmAction, { readonly region: unknown }>;

/** The calls that an action on a region comes to: one for its mapping, or one for each memslot. */
function callsOf(op: RegionAction, { mapping, slots }: PlacedRegion): readonly VmmCall[] {
  switch (op.kind) {
    case 'mprotect':
      return mapping === null ? [] : [{ kind: 'mprotect', ...mapping, prot: op.prot }];
    case 'munmap':
      return mapping === null ? [] : [{ kind: 'munmap', ...mapping }];
    case 'delete-slot':
      return slots.map((slot) => ({ ...slot, size: 0 }));
    case 'add-slot':
      return slots;
    case 'log-dirty':
      return slots.map((slot) => ({ ...slot, logDirty: true }));
  }
}

/** A program's own error, under the name of who runs it. */
function naming<T>(name: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${name}: its program failed: ${reason}`, { cause: error });
  }
}
