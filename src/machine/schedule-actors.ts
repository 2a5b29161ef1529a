// A program of the VMM or of the host's administrator that takes turns: a turn is one call, or one thing that a device
// does by itself.

import type { Ipa } from '../arch/addresses.ts';
import { isTimerPpi } from '../devices/gicv2/timer.ts';
import type { Stage1Attribute } from '../guest/mapping.ts';
import type { VmmCall } from '../host/calls.ts';
import type { Collector } from './report-collect.ts';
import type { PlacedRegion } from './scenario-assign.ts';
import type { VmmOp, VmmProgram, VmmResult } from './scenario-vmm.ts';
import { VMM } from './scenario-vmm.ts';
import type { Actor } from './schedule.ts';
import { naming } from './schedule.ts';
import type { Simulation } from './simulation.ts';
import { actOnPci } from './vmm-pci.ts';
import { actOnVgic } from './vmm-vgic.ts';

/** What all actors of a run share. */
export interface Stage {
  readonly simulation: Simulation;
  readonly collector: Collector;
  readonly regions: readonly PlacedRegion[];
  /** What guests' ioremap() maps as, whatever it is told; null for what it is told. */
  readonly mapAs: Stage1Attribute | null;
  /** Signals raised so far. */
  readonly signals: Set<string>;
  /** VMs that their VMM stopped, by number. */
  readonly stopped: Set<number>;
  /** Number of the next access. */
  nextAccess: number;
  isDead(vm: number): boolean;
}

/** @param id behind those of all vCPUs */
export function vmmActor(stage: Stage, id: number, index: number, program: VmmProgram): Actor {
  const name = `program ${index} of the VMM`;
  const steps = program(VMM);
  let last: VmmOp | null = null;
  let ended = false;
  let result: VmmResult = { errno: 0 };
  let acts = false;
  stage.simulation.bus.on('vmm-call-returned').subscribe(({ errno }) => {
    if (acts) result = { errno };
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
      acts = true;
      if (!waitsOrSignals(last)) result = act(stage, last) ?? result;
      acts = false;
      if (!waitsOrSignals(last)) return;
      if (last.kind === 'raise') stage.signals.add(last.signal);
    },
  };
}

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
    case 'pci-command':
    case 'pci-power':
    case 'device-reset':
    case 'hot-reset':
    case 'config-read':
    case 'config-write':
    case 'raise-msix':
      return actOnPci(simulation, op);
    case 'irq-line': {
      const { intid, level, cpu = null } = op;
      const gicv = stage.regions.find(({ vmName, kind }) => vmName === op.vm && kind === 'gicv');
      if (gicv === undefined) return { errno: EINVAL };
      const { device, vm } = gicv;
      // vgic_validate_injection(): a line that the timer owns moves for nobody else, and that is no error.
      if (isTimerPpi(intid)) return null;
      simulation.dispatch({ type: 'interrupt-line-changed', device, vm, cpu, intid, level });
      return null;
    }
    case 'stop-vm':
    case 'resume-vm':
    case 'vgic-register':
      return actOnVgic(stage, op);
    case 'device-sets':
      deviceSets(stage, op);
      return null;
    default: {
      const region = stage.regions.find((it) => it.vmName === op.region.vm && it.name === op.region.name);
      const calls = region === undefined ? [] : callsOf(op, placedNow(simulation, region));
      if (region === undefined || calls.length === 0) return { errno: EINVAL };
      for (const call of calls) simulation.dispatch({ type: 'vmm-called', vm: region.vm, call });
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

/** The region with its memslots where the guest has moved its BAR since. */
function placedNow({ state }: Simulation, placed: PlacedRegion): PlacedRegion {
  const bar = state.devices[placed.device]?.bars.find(
    ({ vm, region }) => vm === placed.vm && region === placed.index,
  );
  const moved = (bar?.last ?? placed.ipa) - placed.ipa;
  if (moved === 0) return placed;
  return { ...placed, slots: placed.slots.map((slot) => ({ ...slot, ipa: (slot.ipa + moved) as Ipa })) };
}

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
