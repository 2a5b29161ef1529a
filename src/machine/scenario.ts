// The scenario API: a story as code. A scenario says which devices are plugged, which VMs there are and what is
// assigned to them, what their vCPUs run and what is expected, by kernel and by kind of device.

import type { DeviceDescription } from '../devices/description.ts';
import type { GuestProgram, Signal } from '../guest/program.ts';
import type { Check } from './expect.ts';
import type { Definition } from './scenario-definition.ts';
import { defined } from './scenario-definition.ts';
import type { DeviceHandle, VmHandle, VmOptions } from './scenario-handles.ts';
import { deviceHandle, vmHandle } from './scenario-handles.ts';
import type { VmmProgram } from './scenario-vmm.ts';
import type { ScenarioRun, Variant, VaryDevice } from './report.ts';

/** A story that can be run under any kernel; the default export of a file in `scenarios`. */
export interface Scenario {
  readonly name: string;
  readonly tell: (story: Story) => void;
}

/** What a scenario is told with. */
export interface Story {
  readonly host: HostBuilder;
  readonly expect: Expect;
}

export interface HostBuilder {
  /** Puts a device into the host; its regions get physical addresses in the order of the calls. */
  plug(device: DeviceDescription): DeviceHandle;
  /** A VM, with its VMM process. */
  vm(name: string, options?: VmOptions): VmHandle;
  /** What the VMM or the host's administrator does while the guests run; takes its turns like a vCPU. */
  run(program: VmmProgram): void;
  /** Something that programs raise and wait for. */
  signal(name: string): Signal;
}

/** What an expectation is told when it is asked: the handles of the scenario, and which run it is. */
export interface Asked {
  /** The first VM. */
  readonly vm: VmHandle;
  readonly vms: readonly VmHandle[];
  /** The first device. */
  readonly device: DeviceHandle;
  readonly devices: readonly DeviceHandle[];
  readonly kernel: string;
  readonly variant: Variant;
}

export type Expectation = (asked: Asked) => Check | readonly Check[];

/** Under which kernels and with which devices something is expected; absent is under all. */
export interface When {
  readonly kernel?: string | readonly string[];
  /** Kind of the first pass-through device in the run. */
  readonly device?: DeviceKindName | readonly DeviceKindName[];
}

export type DeviceKindName = VaryDevice | 'emulated' | 'gicv2';

export interface Expect {
  /** Of every run. */
  always(expectation: Expectation): void;
  /** Of runs under these kernels, named as presets are: `6.12`. */
  kernel(kernel: string | readonly string[], expectation: Expectation): void;
  /** Of runs whose first pass-through device is of that kind, `--vary device=...` included. */
  device(kind: DeviceKindName | readonly DeviceKindName[], expectation: Expectation): void;
  /** Of runs that meet all conditions. */
  when(when: When, expectation: Expectation): void;
}

/** @param tell called anew for each run; everything in it is given, nothing is to be kept outside */
export function scenario(name: string, tell: (story: Story) => void): Scenario {
  return { name, tell };
}

/**
 * The story told: what there is, before anything runs.
 * @throws RangeError where the story contradicts itself, such as two VMs of one name
 */
export function define(story: Scenario): Definition {
  const definition = defined(story.name);
  const { devices, vms, vmmPrograms, expectations } = definition;
  const when = (conditions: When, expectation: Expectation): void => {
    expectations.push({ when: conditions, expectation });
  };
  story.tell({
    host: {
      plug: (device) => deviceHandle(definition, device),
      vm: (name, options = {}) => vmHandle(definition, name, options),
      run: (program) => void vmmPrograms.push(program),
      signal: (name) => ({ signal: name }),
    },
    expect: {
      always: (expectation) => when({}, expectation),
      kernel: (kernel, expectation) => when({ kernel }, expectation),
      device: (device, expectation) => when({ device }, expectation),
      when,
    },
  });
  return definition;
}

/** Kernels and devices that a scenario's expectations name: what it has something to say about. */
export interface Outline {
  readonly name: string;
  readonly kernels: readonly string[];
  readonly devices: readonly string[];
  readonly vms: readonly string[];
  readonly plugged: readonly string[];
}

/** What a scenario is about, without running it. */
export function outline(story: Scenario): Outline {
  return {} as Outline;
}

export type { GuestProgram, ScenarioRun };
