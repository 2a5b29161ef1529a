// A small machine for tests: one host, one VM with vCPUs whose stage 1 is on, devices plugged and mapped at
// given IPAs. Everything is a list of events from outside, so that any simulation can be fed with it.

import type { Access, AccessKind } from '../../src/arch/access.ts';
import type { Hva, Ipa, Pa, Va } from '../../src/arch/addresses.ts';
import type { CpuFeatures } from '../../src/arch/cpu.ts';
import { ARCHITECTURAL } from '../../src/arch/cpu.ts';
import { NO_SYNDROME } from '../../src/arch/esr.ts';
import { stage2Geometry } from '../../src/arch/geometry.ts';
import { STAGE_1_ON } from '../../src/arch/stage1.ts';
import type { DeviceDescription } from '../../src/devices/description.ts';
import { placeRegions } from '../../src/devices/layout.ts';
import { mmapRegion } from '../../src/devices/mmap.ts';
import { kernelPreset } from '../../src/host/kernels.ts';
import type { MachineEvent, Recorded } from '../../src/machine/events.ts';
import type { Simulation, SimulationOptions } from '../../src/machine/simulation.ts';
import { createSimulation } from '../../src/machine/simulation.ts';

export const CPU: CpuFeatures = {
  model: 'test',
  fwb: false,
  dic: false,
  lpa2: false,
  hardwareAccessFlag: true,
  vhe: true,
  ipaLimitBits: 40,
  departures: ARCHITECTURAL,
};

const NORMAL_NC = 0x44;
export const DEVICE_NGNRE = 0x04;

export interface Machine {
  /** Release of a preset; 6.12 unless given. */
  readonly kernel?: string;
  readonly cpu?: CpuFeatures;
  readonly devices?: readonly DeviceDescription[];
  /** Regions that the VMM maps and puts into a slot at an IPA. */
  readonly assigned?: readonly { readonly device: number; readonly region: number; readonly ipa: number }[];
  readonly vcpus?: number;
}

const HVA = 0x7f00_0000_0000;
const SPACING = 2 ** 32;

/** The events that set the machine up. */
export function machineEvents(machine: Machine): MachineEvent[] {
  const { kernel = '6.12', cpu = CPU, devices = [], assigned = [], vcpus = 1 } = machine;
  const preset = kernelPreset(kernel);
  if (preset === undefined) throw new RangeError(`no preset for ${kernel}`);
  const { features } = preset;
  const placed = devices.map((device) => placeRegions(device, []));
  const gicv = placed.find(({ kind }) => kind === 'gicv2')?.regions[0];
  const stage1 = { controls: STAGE_1_ON, paBits: 40 };
  const events: MachineEvent[] = [
    {
      type: 'host-booted',
      kernel,
      features,
      cpu,
      pageSize: 4096,
      thp: 'always',
      gicv: gicv === undefined ? null : { pa: gicv.pa as Pa, size: gicv.size },
    },
    ...placed.map((description, device): MachineEvent => ({ type: 'device-plugged', device, description })),
    {
      type: 'vm-created',
      vm: 0,
      name: 'vm',
      geometry: stage2Geometry({ granule: 4096, ipaBits: 40, lpa2: false }),
      vcpus,
      capabilities: {},
    },
  ];
  for (let vcpu = 0; vcpu < vcpus; vcpu++) {
    events.push({ type: 'vcpu-created', vm: 0, vcpu, index: vcpu, stage1 });
  }
  assigned.forEach(({ device, region, ipa }, slot) => {
    const description = placed[device];
    const size = description?.regions.find(({ index }) => index === region)?.size ?? 0;
    if (description === undefined) throw new RangeError(`no device ${device}`);
    const mapped = mmapRegion(description, region, { pageSize: 4096, ...features });
    if (mapped.kind === 'refused') throw new RangeError(mapped.because);
    const hva = (HVA + slot * SPACING) as Hva;
    const flags = { readonly: false, logDirty: false };
    events.push(
      {
        type: 'vmm-called',
        vm: 0,
        call: { kind: 'mmap', hva, size, prot: 'read-write', backing: mapped.backing },
      },
      {
        type: 'vmm-called',
        vm: 0,
        call: { kind: 'set-memslot', slot, ipa: ipa as Ipa, size, hva, ...flags },
      },
    );
  });
  return events;
}

export interface RunningMachine {
  readonly simulation: Simulation;
  /** Every event since the machine was set up. */
  readonly events: Recorded[];
}

/** A simulation of the machine, set up. */
export function boot(machine: Machine, options: SimulationOptions = {}): RunningMachine {
  const simulation = createSimulation(options);
  for (const event of machineEvents(machine)) simulation.dispatch(event);
  const events: Recorded[] = [];
  simulation.bus.all.subscribe((event) => events.push(event));
  return { simulation, events };
}

export interface AccessInput {
  readonly size?: number;
  readonly value?: bigint;
  /** MAIR byte of stage 1; Normal-NC unless given. */
  readonly attr?: number;
  readonly vcpu?: number;
  readonly id?: number;
}

/** An access at an IPA that stage 1 maps one to one; a single-register load or store has a syndrome. */
export function accessAt(kind: AccessKind, ipa: number, input: AccessInput = {}): Access {
  const { size = 8, value, attr = NORMAL_NC, id = 0 } = input;
  const sas = Math.log2(size) as 0 | 1 | 2 | 3;
  const single = (kind === 'read' || kind === 'write') && size <= 8;
  return {
    id,
    kind,
    size,
    va: ipa as Va,
    ipa: ipa as Ipa,
    stage1: { attr, sh: 3 },
    syndrome: single ? { ...NO_SYNDROME, isv: true, sas, sf: size === 8, wnr: kind === 'write' } : null,
    ...(value === undefined ? {} : { value }),
  };
}

/** The event by which a vCPU issues it. */
export function issue(kind: AccessKind, ipa: number, input: AccessInput = {}): MachineEvent {
  return { type: 'access-issued', vm: 0, vcpu: input.vcpu ?? 0, access: accessAt(kind, ipa, input) };
}

/** Events of one type. */
export function ofType<T extends Recorded['type']>(
  events: readonly Recorded[],
  type: T,
): Extract<Recorded, { readonly type: T }>[] {
  return events.filter((event): event is Extract<Recorded, { readonly type: T }> => event.type === type);
}
