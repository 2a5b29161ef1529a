// A program of the VMM or of the host's administrator that takes turns: a turn is one call, or one thing that a device
// does by itself.

import { STAGE_1_OFF, STAGE_1_ON } from '../arch/stage1.ts';
import type { Mappable, Stage1Attribute } from '../guest/mapping.ts';
import type { GuestOp, GuestProgram, OpResult } from '../guest/program.ts';
import { createCpu } from '../guest/program.ts';
import type { VmmCall } from '../host/calls.ts';
import type { Collector } from './report-collect.ts';
import type { PlacedRegion } from './scenario-setup.ts';
import type { VmmOp, VmmProgram, VmmResult } from './scenario-vmm.ts';
import { VMM } from './scenario-vmm.ts';
import type { Actor } from './schedule.ts';
import { naming } from './schedule.ts';
import type { Simulation } from './simulation.ts';

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
  return {
    id: vcpu,
    name,
    finished: () => ended,
    status() {
      if (stage.isDead(vm)) return 'done';
      if (simulation.held(vcpu) !== undefined) return 'ready';
      if (ended) return 'done';
      return last?.kind === 'await' && !stage.signals.has(last.signal) ? 'waiting' : 'ready';
    },
    step() {
      if (simulation.release(vcpu)) return;
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
      const stage1 = { controls: op.on ? STAGE_1_ON : STAGE_1_OFF, paBits };
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
      return goesOn(stage, last) ? 'ready' : 'waiting';
    },
    step() {
      if (last?.kind === 'await-eventfd') readEventfd(stage, last);
      const turn = naming(name, () => steps.next(result));
      ended = turn.done === true;
      last = turn.done === true ? null : turn.value;
      result = { errno: 0 };
      if (last === null) return;
      if (!waitsOrSignals(last)) result = act(stage, last) ?? result;
      else if (last.kind === 'raise') stage.signals.add(last.signal);
    },
  };
}

const PCI_COMMAND_MEMORY = 2;
const EINVAL = 22;

type SignalOp = Extract<VmmOp, { readonly signal: string }>;
type EventfdOp = Extract<VmmOp, { readonly kind: 'await-eventfd' }>;
type VmmAction = Exclude<VmmOp, SignalOp | EventfdOp>;

const waitsOrSignals = (op: VmmOp): op is SignalOp | EventfdOp =>
  'signal' in op || op.kind === 'await-eventfd';

/** Whether a program of the VMM can go on behind this operation. */
function goesOn(stage: Stage, last: VmmOp | null): boolean {
  if (last?.kind === 'await') return stage.signals.has(last.signal);
  if (last?.kind !== 'await-eventfd') return true;
  const vm = stage.simulation.state.vms.find(({ name }) => name === last.vm);
  return (vm?.eventfds[last.eventfd] ?? 0) > 0;
}

function readEventfd({ simulation }: Stage, { vm, eventfd }: EventfdOp): void {
  const id = simulation.state.vms.findIndex(({ name }) => name === vm);
  simulation.dispatch({ type: 'eventfd-read', vm: id, eventfd });
}

/** Does it; returns what came of it only if no call was made. */
function act(stage: Stage, op: VmmAction): VmmResult | null {
  const { simulation } = stage;
  switch (op.kind) {
    case 'pci-command': {
      const value = op.memory ? PCI_COMMAND_MEMORY : 0;
      simulation.dispatch({ type: 'pci-command-written', device: op.device, value });
      return null;
    }
    case 'irq-line': {
      const { intid, level, cpu = null } = op;
      const gicv = stage.regions.find(({ vmName, kind }) => vmName === op.vm && kind === 'gicv');
      if (gicv === undefined) return { errno: EINVAL };
      const { device, vm } = gicv;
      simulation.dispatch({ type: 'interrupt-line-changed', device, vm, cpu, intid, level });
      return null;
    }
    case 'device-sets':
      deviceSets(stage, op);
      return null;
    default: {
      const region = stage.regions.find((it) => it.vmName === op.region.vm && it.name === op.region.name);
      if (region === undefined || region.slot === null) return { errno: EINVAL };
      simulation.dispatch({ type: 'vmm-called', vm: region.vm, call: callOf(op, region.slot) });
      return null;
    }
  }
}

/** @throws RangeError for a register that the device does not have */
function deviceSets(
  { simulation }: Stage,
  op: { readonly device: string; readonly register: string; readonly bits: bigint },
): void {
  const { devices } = simulation.state;
  const device = devices.findIndex(({ description }) => description.name === op.device);
  for (const { index: region, registers } of devices[device]?.description.regions ?? []) {
    const register = registers.find(({ name }) => name === op.register);
    if (register === undefined) continue;
    const now = devices[device]?.regions[region]?.registers[op.register] ?? register.reset;
    const value = BigInt.asUintN(register.width * 8, now | op.bits);
    simulation.dispatch({ type: 'device-updated', device, region, register: op.register, value });
    return;
  }
  throw new RangeError(
    `device '${op.device}' has no register ${op.register}; declare it where it is plugged`,
  );
}

type RegionAction = Extract<VmmAction, { readonly region: unknown }>;

function callOf(op: RegionAction, slot: VmmCall & { kind: 'set-memslot' }): VmmCall {
  const { hva, size } = slot;
  switch (op.kind) {
    case 'mprotect':
      return { kind: 'mprotect', hva, size, prot: op.prot };
    case 'munmap':
      return { kind: 'munmap', hva, size };
    case 'delete-slot':
      return { ...slot, size: 0 };
    case 'add-slot':
      return slot;
    case 'log-dirty':
      return { ...slot, logDirty: true };
  }
}
