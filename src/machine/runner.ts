// Runs a scenario under a kernel: sets the machine up, lets the programs take turns by a seeded schedule that is
// recorded, and judges the expectations. The same scenario, kernel, seed and variant give the same bytes.

import type { CpuFeatures } from '../arch/cpu.ts';
import type { Stage1Attribute } from '../guest/mapping.ts';
import { STAGE1_ATTRIBUTES } from '../guest/mapping.ts';
import type { VmmCall } from '../host/calls.ts';
import type { KernelPreset } from '../host/kernels.ts';
import { KERNELS, kernelPreset } from '../host/kernels.ts';
import type { MachineEvent, Recorded } from './events.ts';
import { evolve } from './evolve.ts';
import type { RunFacts } from './expect.ts';
import { placeDevices } from './layout.ts';
import { livelocks } from './livelock.ts';
import type { ExpectationResult, ScenarioRun, Variant } from './report.ts';
import type { Collector } from './report-collect.ts';
import { collect, isPanic, vmReports } from './report-collect.ts';
import type { DeviceWhen, Scenario, Told } from './scenario.ts';
import { isAsked, tellScenario } from './scenario.ts';
import type { Definition } from './scenario-definition.ts';
import { RAM_IPA } from './scenario-definition.ts';
import type { Setup } from './scenario-setup.ts';
import { DEFAULT_CPU, setUp } from './scenario-setup.ts';
import { varied } from './scenario-vary.ts';
import type { Turn, Turns } from './schedule.ts';
import { takeTurns } from './schedule.ts';
import type { Stage } from './schedule-actors.ts';
import { vmmActor } from './schedule-actors.ts';
import type { Simulation } from './simulation.ts';
import { createSimulation } from './simulation.ts';
import type { MachineState } from './state.ts';
import { initialState } from './state.ts';
import type { VcpuActor } from './vcpu-actor.ts';
import { vcpuActor } from './vcpu-actor.ts';

export interface RunOptions {
  /** A preset or its name; the newest unless given. */
  readonly kernel?: string | KernelPreset;
  /** Seed of the schedule, 0 to 2^32 - 1; 1 unless given. */
  readonly seed?: number;
  /** What differs from the scenario as written. */
  readonly vary?: Variant;
  /** Turns to take, as an earlier run recorded them; the seed goes on where they end. */
  readonly schedule?: readonly number[];
  /** `immer` keeps a snapshot of each event; `plain` is for bulk. `immer` unless given. */
  readonly state?: 'immer' | 'plain';
  /** `drop` keeps no events, for runs that an observer follows. `keep` unless given. */
  readonly events?: 'keep' | 'drop';
  readonly cpu?: Partial<CpuFeatures>;
  /**
   * Processors take every latitude that memory types leave: choices as given, then by the seed, else typical. Without
   * it all are typical.
   */
  readonly adversary?: { readonly choices?: readonly number[]; readonly seed?: number };
  /** Where the given schedule ends: `seeded`, or `steady`, where whoever went last goes on. `seeded` unless given. */
  readonly turns?: 'seeded' | 'steady';
  /** Hears of each turn before it is taken. */
  readonly onTurn?: (turn: Turn) => void;
  /** Called before the first event, to subscribe to the bus or to record a timeline. */
  readonly onSimulation?: (simulation: Simulation) => void;
}

/**
 * Where another vCPU can come in between: after the trap of a fault, in its map call, before its retry, and between the
 * calls of a VMM that moves BARs.
 */
const PARKS: ReadonlySet<string> = new Set([
  'stage2-faulted',
  'stage2-map-begun',
  'guest-reentered',
  'bar-mappings-due',
]);

/**
 * Runs the story to its end and judges it; a failed expectation is part of the result.
 * @throws RangeError for a kernel without a preset, a story that contradicts itself, or a schedule that does not fit
 */
export function runScenario(scenario: Scenario, options: RunOptions = {}): ScenarioRun {
  const { vary = {}, seed = 1 } = options;
  const kernel = whatIf(presetOf(options.kernel), vary);
  const told = tellScenario(scenario);
  const definition = definitionOf(told, vary);
  const setup = setUp(definition, placeDevices(definition.devices), kernel, hostOptions(options));
  const actorsCount = programsOf(definition) + definition.vmmPrograms.length;
  const simulation = createSimulation({
    state: options.state ?? 'immer',
    unassignedMmio: 'vmm',
    hold: (event) => (actorsCount > 1 && PARKS.has(event.type)) || livelocks(event),
  });
  const memory = remember(simulation, options);
  options.onSimulation?.(simulation);
  const collector = collect(simulation, setup);
  if (options.adversary !== undefined) {
    const { choices = [], seed: from = null } = options.adversary;
    simulation.dispatch({ type: 'adversary-began', script: choices, prng: from });
  }
  dispatchSetup(simulation, setup);
  const { turns, actors } = play(definition, setup, simulation, collector, options);
  const finished = (vcpu: number): boolean => actors.find(({ id }) => id === vcpu)?.finished() ?? true;
  const vms = definition.vms.map(({ name, lastVcpu, onRunError }) => {
    return { name, vcpus: lastVcpu + 1, stops: onRunError === 'stop' };
  });
  const facts: RunFacts = {
    scenario: scenario.name,
    kernel: kernel.name,
    seed,
    variant: vary,
    simulation,
    ...memory,
    vms: vmReports(setup, vms, collector, finished),
    devices: collector.devices(),
    regions: collector.regions(),
    eventfds: collector.eventfds(),
    ...turns,
  };
  const expectations = judge(told, facts, setup);
  return { ...facts, expectations, ok: expectations.every(({ ok }) => ok) };
}

function presetOf(name: string | KernelPreset | undefined): KernelPreset {
  if (typeof name === 'object') return name;
  const preset = name === undefined ? KERNELS.at(-1) : kernelPreset(name);
  if (preset !== undefined) return preset;
  throw new RangeError(
    `there is no preset for kernel ${name}; known are ${KERNELS.map((k) => k.name).join(', ')}`,
  );
}

/** The preset with what a variant supposes of it. */
function whatIf(preset: KernelPreset, { gicv }: Variant): KernelPreset {
  if (gicv === undefined) return preset;
  return { ...preset, features: { ...preset.features, gicvNormalNc: true } };
}

function definitionOf(told: Told, vary: Variant): Definition {
  const definition = varied(told.definition, vary.device);
  const { onRunError } = vary;
  if (onRunError === undefined) return definition;
  return { ...definition, vms: definition.vms.map((vm) => ({ ...vm, onRunError })) };
}

function hostOptions({ cpu = {}, vary = {} }: RunOptions) {
  const { pageSize = 4096, thp = 'always', pcieErrors = 'contained' } = vary;
  const { fwb = cpu.fwb ?? DEFAULT_CPU.fwb, dic = cpu.dic ?? DEFAULT_CPU.dic } = vary;
  return { pageSize, thp, pcieErrors, cpu: { ...DEFAULT_CPU, ...cpu, fwb, dic } } as const;
}

const programsOf = ({ vms }: Definition): number => vms.reduce((sum, vm) => sum + vm.programs.size, 0);

/** Events and snapshots as the run goes; without snapshots a state is made anew from the events. */
function remember(simulation: Simulation, options: RunOptions): Pick<ScenarioRun, 'events' | 'snapshot'> {
  const events: Recorded[] = [];
  const states: MachineState[] = [];
  simulation.bus.all.subscribe((event) => {
    if (options.events !== 'drop') events.push(event);
    if (options.state !== 'plain') states.push(simulation.state);
  });
  return {
    events,
    snapshot(seq) {
      const kept = states[seq] ?? rebuilt(events, seq);
      if (kept === null) throw new RangeError(`there is no snapshot ${seq}; the run kept ${states.length}`);
      return kept;
    },
  };
}

function rebuilt(events: readonly Recorded[], seq: number): MachineState | null {
  if (events[seq] === undefined) return null;
  const state = initialState();
  for (const { seq: _seq, cause: _cause, at: _at, ...event } of events.slice(0, seq + 1)) {
    evolve(state, event as MachineEvent);
  }
  return state;
}

/** @throws RangeError if a call fails that sets the story up */
function dispatchSetup(simulation: Simulation, { events, regions }: Setup): void {
  let returned = 0;
  const subscription = simulation.bus.on('vmm-call-returned').subscribe(({ errno }) => {
    returned = errno;
  });
  for (const event of events) {
    returned = 0;
    simulation.dispatch(event);
    if (event.type !== 'vmm-called' || event.call.kind === 'mmap-refused' || returned === 0) continue;
    const { call } = event;
    if (regions.some(({ slots, mayBeRefused }) => mayBeRefused === true && isOneOf(slots, call))) continue;
    throw new RangeError(
      `VM ${event.vm}: ${event.call.kind} fails with errno ${returned}; check sizes and addresses`,
    );
  }
  subscription.unsubscribe();
}

const isOneOf = (slots: readonly VmmCall[], call: VmmCall): boolean => slots.includes(call);

function play(
  definition: Definition,
  setup: Setup,
  simulation: Simulation,
  collector: Collector,
  options: RunOptions,
): { readonly turns: Turns; readonly actors: readonly VcpuActor[] } {
  const { vms, vmmPrograms } = definition;
  const stage: Stage = {
    simulation,
    collector,
    regions: setup.regions,
    signals: new Set(),
    stopped: new Set(),
    mapAs: stage1Of(options.vary?.stage1),
    nextAccess: 0,
    isDead: (vm) => {
      const failures = collector.failures(vm);
      return vms[vm]?.onRunError === 'stop' ? failures.length > 0 : failures.some(isPanic);
    },
  };
  const actors = vms.flatMap(({ id, name, ram, programs }) =>
    [...programs].map(([index, program]) => {
      const vcpu = (setup.firstVcpu[id] ?? 0) + index;
      const place = {
        vm: id,
        vmName: name,
        vcpu,
        index,
        ram: { name: `${name} RAM`, ipa: RAM_IPA, size: ram },
      };
      return vcpuActor(stage, place, program);
    }),
  );
  const vcpus = vms.reduce((sum, vm) => sum + vm.lastVcpu + 1, 0);
  const vmm = vmmPrograms.map((program, index) => vmmActor(stage, vcpus + index, index, program));
  const { onTurn, turns: beyond, schedule } = options;
  const seedOfTurns = beyond === 'steady' ? null : (options.seed ?? 1);
  const turns = takeTurns([...actors, ...vmm], seedOfTurns, schedule, onTurn);
  return { turns, actors };
}

/** @throws RangeError for a name that is no type */
function stage1Of(name: string | undefined): Stage1Attribute | null {
  if (name === undefined) return null;
  const attribute = STAGE1_ATTRIBUTES.get(name);
  if (attribute !== undefined) return attribute;
  throw new RangeError(`stage 1 maps as ${[...STAGE1_ATTRIBUTES.keys()].join(', ')}, not as '${name}'`);
}

function judge(told: Told, facts: RunFacts, setup: Setup): ExpectationResult[] {
  const [vm] = told.vms;
  if (vm === undefined) return [];
  const { vms, devices } = told;
  const { kernel, variant } = facts;
  const asked = { vm, vms, devices, kernel, variant };
  const kind = variant.device ?? (setup.devices[0]?.kind as DeviceWhen | undefined) ?? null;
  return told.expectations
    .filter(({ when }) => isAsked(when, kernel, kind, variant.stage1))
    .flatMap(({ expectation }) => expectation(asked))
    .map((check) => ({ what: check.what, ...check.evaluate(facts) }));
}
