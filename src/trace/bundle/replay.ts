// Feeds a bundle's timeline to a simulated host. Without a schedule every access runs to its end before the next
// begins; with one, walks and map calls of two vCPUs interleave as it says.

import type { KernelFeatures } from '../../host/kernel-features.ts';
import type { KernelPreset } from '../../host/kernels.ts';
import { KERNELS, kernelPreset } from '../../host/kernels.ts';
import type { MachineEvent } from '../../machine/events.ts';
import type { Simulation } from '../../machine/simulation.ts';
import { createSimulation } from '../../machine/simulation.ts';
import { InputError } from '../input-error.ts';
import { accessOf, callOf, setupEvents, stage1Regime } from './import.ts';
import type { Observer, PredictedCall } from './observe.ts';
import { observe } from './observe.ts';
import type { BundleAccess, BundleMachine } from './schema.ts';

/** First value with which the capturing VMM answered an MMIO read; the next read gets the next number. */
const FIRST_MMIO_ANSWER = 0x5a5a0000n;

export interface BundleReplay {
  readonly simulation: Simulation;
  readonly observer: Observer;
  readonly kernel: string;
  /** What each call of the timeline came to, by its index. */
  readonly calls: ReadonlyMap<number, PredictedCall>;
}

/** Called at each `dump` of the timeline, while the simulation stands there. */
export type OnDump = (name: string, vm: number, simulation: Simulation) => void;

interface Run {
  readonly machine: BundleMachine;
  readonly simulation: Simulation;
  readonly observer: Observer;
  readonly vmIds: ReadonlyMap<string, number>;
  readonly firstVcpu: readonly number[];
  readonly stage1On: Map<number, boolean>;
  readonly onDump: OnDump;
  readonly calls: Map<number, PredictedCall>;
}

/**
 * @param onSimulation called before the first event, to record what follows
 * @throws InputError for a kernel without a preset
 */
export function replayBundle(
  machine: BundleMachine,
  where: string,
  onDump: OnDump,
  kernel: string | KernelPreset = machine.host.kernel.version,
  onSimulation: (simulation: Simulation) => void = () => {},
): BundleReplay {
  const preset = typeof kernel === 'string' ? kernelPreset(kernel) : kernel;
  if (preset === undefined) {
    const known = KERNELS.map(({ name }) => name).join(', ');
    throw new InputError(where, `there is no preset for kernel ${String(kernel)}`, `known are ${known}`);
  }
  const steps = scheduledSteps(machine);
  const hold = (event: MachineEvent): boolean => {
    refuseEndless(where, event);
    return isScheduled(steps, simulation, event);
  };
  const simulation: Simulation = createSimulation({ hold });
  onSimulation(simulation);
  const run: Run = {
    machine,
    simulation,
    observer: observe(simulation),
    vmIds: new Map(machine.vms.map(({ name }, id) => [name, id])),
    firstVcpu: machine.vms.map((_, id) => machine.vms.slice(0, id).reduce((sum, vm) => sum + vm.vcpus, 0)),
    stage1On: new Map(),
    onDump,
    calls: new Map(),
  };
  answerMmio(run);
  for (const event of setupEvents(machine, preset.name, preset.features)) simulation.dispatch(event);
  if (machine.schedule === undefined)
    machine.timeline.forEach((_, index) => {
      perform(run, index, preset.features);
    });
  else followSchedule(run, machine.schedule, preset.features);
  return { simulation, observer: run.observer, kernel: preset.name, calls: run.calls };
}

/** Fifty times what two vCPUs that race for a page were seen to need. */
const MAX_ATTEMPTS = 1000;

/** An access that the host answers and that faults again and again would go on for ever, as on real hardware. */
function refuseEndless(where: string, event: MachineEvent): void {
  if (event.type !== 'stage2-faulted' || event.attempt < MAX_ATTEMPTS) return;
  const what = `access ${event.access.id} faults ${MAX_ATTEMPTS} times without an end`;
  throw new InputError(where, what, 'look at its kind, its instruction and what is mapped there');
}

/** User space of the capture: reads get ascending numbers, cut to their size. */
function answerMmio({ simulation }: Run): void {
  const answers = new Map<number, bigint>();
  simulation.bus.on('mmio-exited').subscribe(({ vm, vcpu, write, size }) => {
    const next = answers.get(vm) ?? FIRST_MMIO_ANSWER;
    if (!write) answers.set(vm, next + 1n);
    const value = write ? null : BigInt.asUintN(size * 8, next);
    simulation.dispatch({ type: 'mmio-answered', vm, vcpu, value });
  });
}

function perform(run: Run, index: number, features: KernelFeatures): void {
  const { machine, simulation } = run;
  const entry = machine.timeline[index];
  if (entry === undefined) return;
  const vm = run.vmIds.get(entry.vm) ?? 0;
  run.calls.set(index, run.observer.beginCall());
  const at = entry.t === undefined ? undefined : Math.round(entry.t * NS_PER_SECOND);
  switch (entry.op) {
    case 'access':
      simulation.dispatch(issued(run, entry), at);
      return;
    case 'run':
      for (let vcpu = 0; vcpu < entry.vcpus; vcpu++) {
        simulation.dispatch({ type: 'vcpu-run', vm, vcpu: vcpuOf(run, entry.vm, vcpu) }, at);
      }
      return;
    case 'guest-mmu': {
      const vcpu = vcpuOf(run, entry.vm, entry.vcpu);
      const paBits = machine.vms[vm]?.guestPaBits ?? 48;
      run.stage1On.set(vcpu, entry.on);
      simulation.dispatch({ type: 'stage1-switched', vm, vcpu, stage1: stage1Regime(paBits, entry.on) }, at);
      return;
    }
    case 'vfio-open':
      simulation.dispatch({ type: 'pci-command-written', device: entry.bdf, value: entry.command }, at);
      return;
    case 'pci-command':
      simulation.dispatch({ type: 'pci-command-written', device: entry.bdf, value: entry.value }, at);
      return;
    case 'dump':
      run.onDump(entry.name, vm, simulation);
      return;
    default: {
      const call = callOf(machine, index, features);
      if (call !== null) simulation.dispatch({ type: 'vmm-called', vm, call }, at);
    }
  }
}

const NS_PER_SECOND = 1e9;

const vcpuOf = (run: Run, vm: string, index: number): number =>
  (run.firstVcpu[run.vmIds.get(vm) ?? 0] ?? 0) + index;

function issued(run: Run, entry: BundleAccess): MachineEvent {
  const vcpu = vcpuOf(run, entry.vm, entry.vcpu);
  const access = accessOf(entry, run.stage1On.get(vcpu) ?? false);
  return { type: 'access-issued', vm: run.vmIds.get(entry.vm) ?? 0, vcpu, access };
}

type Schedule = NonNullable<BundleMachine['schedule']>;

/** Steps that the schedule names, as `walk 12 0`: only those wait for their turn. */
function scheduledSteps(machine: BundleMachine): ReadonlySet<string> {
  return new Set((machine.schedule ?? []).filter(([kind]) => kind !== 'op').map((step) => step.join(' ')));
}

/** What a held event waits for: a fault for its map call to begin, the call for its end, the retry for its walk. */
const AWAITS: Readonly<Record<string, string>> = {
  'stage2-faulted': 'map-begin',
  'stage2-map-begun': 'map-end',
  'guest-reentered': 'walk',
};

function isScheduled(steps: ReadonlySet<string>, simulation: Simulation, event: MachineEvent): boolean {
  const step = AWAITS[event.type];
  if (step === undefined || steps.size === 0 || !('vcpu' in event)) return false;
  const vcpu = simulation.state.vcpus[event.vcpu];
  if (vcpu === undefined || vcpu.pending === null) return false;
  const attempt = step === 'walk' ? vcpu.attempts : vcpu.attempts - 1;
  return steps.has(`${step} ${vcpu.pending.id} ${attempt}`);
}

function followSchedule(run: Run, schedule: Schedule, features: KernelFeatures): void {
  const entries = new Map(run.machine.timeline.flatMap((e) => (e.op === 'access' ? [[e.id, e]] : [])));
  for (const [kind, number, attempt] of schedule) {
    if (kind === 'op') {
      perform(run, number, features);
      continue;
    }
    const entry = entries.get(number);
    if (entry === undefined) continue;
    if (kind === 'walk' && attempt === 0) run.simulation.dispatch(issued(run, entry));
    else run.simulation.release(vcpuOf(run, entry.vm, entry.vcpu));
  }
}
