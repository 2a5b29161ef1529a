// The scenario API: a story as code. A scenario says which devices are plugged, which VMs there are and what is
// assigned to them, what their vCPUs run and what is expected, by kernel and by kind of device.

import type { DeviceDescription, DeviceKind } from '../devices/description.ts';
import type { Signal } from '../guest/operations.ts';
import { KERNELS, kernelPreset } from '../host/kernels.ts';
import type { Check } from './expect.ts';
import type { Variant, VaryDevice } from './report.ts';
import type { Definition } from './scenario-definition.ts';
import { emptyDefinition } from './scenario-definition.ts';
import type { DeviceHandle, VmHandle, VmOptions } from './scenario-handles.ts';
import { deviceHandle, vmHandle } from './scenario-handles.ts';
import type { VmmProgram } from './scenario-vmm.ts';

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
  readonly devices: readonly DeviceHandle[];
  readonly kernel: string;
  readonly variant: Variant;
}

export type Expectation = (asked: Asked) => Check | readonly Check[];

/** Under which kernels and with which devices something is expected; absent is under all. */
export interface When {
  /** Names of presets: `6.12`. */
  readonly kernel?: string | readonly string[];
  /** Kind of the first device in the run, as plugged or as varied. */
  readonly device?: DeviceWhen | readonly DeviceWhen[];
  /** As what a variant makes the guests map; absent: as the story itself maps, and only then. */
  readonly stage1?: string | readonly string[];
}

export type DeviceWhen = VaryDevice | DeviceKind;

export interface Expect {
  /** Of every run. */
  always(expectation: Expectation): void;
  /** Of runs under these kernels, named as presets are: `6.12`. */
  kernel(kernel: string | readonly string[], expectation: Expectation): void;
  /** Of runs whose first device is of that kind, as plugged or as varied. */
  device(kind: DeviceWhen | readonly DeviceWhen[], expectation: Expectation): void;
  /** Of runs that meet all conditions. */
  when(when: When, expectation: Expectation): void;
}

/** A scenario once told: what there is, and what is expected of it. */
export interface Told {
  readonly definition: Definition;
  readonly expectations: readonly { readonly when: When; readonly expectation: Expectation }[];
  readonly vms: readonly VmHandle[];
  readonly devices: readonly DeviceHandle[];
}

/** @param tell called anew for each run; everything in it is given, nothing is to be kept outside */
export function scenario(name: string, tell: (story: Story) => void): Scenario {
  return { name, tell };
}

/**
 * Tells the story: what there is, before anything runs.
 * @throws RangeError where the story contradicts itself, such as two VMs of one name
 */
export function tellScenario(story: Scenario): Told {
  const definition = emptyDefinition(story.name);
  const expectations: { when: When; expectation: Expectation }[] = [];
  const vms: VmHandle[] = [];
  const devices: DeviceHandle[] = [];
  const add = (when: When, expectation: Expectation): void => {
    checkKernels(story.name, listOf(when.kernel));
    expectations.push({ when, expectation });
  };
  const kept = <T>(list: T[], item: T): T => {
    list.push(item);
    return item;
  };
  story.tell({
    host: {
      plug: (device) => kept(devices, deviceHandle(definition, device)),
      vm: (name, options = {}) => kept(vms, vmHandle(definition, name, options)),
      run: (program) => void definition.vmmPrograms.push(program),
      signal: (name) => ({ signal: name }),
    },
    expect: {
      always: (expectation) => add({}, expectation),
      kernel: (kernel, expectation) => add({ kernel }, expectation),
      device: (device, expectation) => add({ device }, expectation),
      when: add,
    },
  });
  if (vms.length === 0)
    throw new RangeError(`scenario '${story.name}' has no VM; give it one with host.vm()`);
  return { definition, expectations, vms, devices };
}

/** A name that no run can have would never be asked, and nobody would notice. */
function checkKernels(story: string, names: readonly string[]): void {
  const unknown = names.find((name) => kernelPreset(name) === undefined);
  if (unknown === undefined) return;
  const known = KERNELS.map(({ name }) => name).join(', ');
  throw new RangeError(`scenario '${story}' expects something of kernel ${unknown}; there are ${known}`);
}

/** What a scenario is about, without running it. */
export interface Outline {
  readonly name: string;
  /** Kernels that its expectations name, in the order they first do. */
  readonly kernels: readonly string[];
  /** Kinds of devices that its expectations name. */
  readonly deviceKinds: readonly string[];
  readonly devices: readonly string[];
  readonly vms: readonly string[];
}

/** @throws RangeError where the story contradicts itself */
export function outline(story: Scenario): Outline {
  const { definition, expectations } = tellScenario(story);
  const named = (field: keyof When): string[] => [
    ...new Set(expectations.flatMap(({ when }) => listOf(when[field]))),
  ];
  return {
    name: story.name,
    kernels: named('kernel'),
    deviceKinds: named('device'),
    devices: definition.devices.map(({ name }) => name),
    vms: definition.vms.map(({ name }) => name),
  };
}

/** Whether something expected under these conditions is expected of a run. */
export function isAsked(
  when: When,
  kernel: string,
  device: DeviceWhen | null,
  stage1: string | null = null,
): boolean {
  const meets = (wanted: string | readonly string[] | undefined, is: string | null): boolean =>
    wanted === undefined || (is !== null && listOf(wanted).includes(is));
  const mapped = when.stage1 === undefined ? stage1 === null : meets(when.stage1, stage1);
  return mapped && meets(when.kernel, kernel) && meets(when.device, device);
}

/** Names of the presets that are older than a release, which need not be one. @throws RangeError for no release */
export const kernelsBefore = (release: string): readonly string[] =>
  KERNELS.map(({ name }) => name).filter((name) => ageOf(name) < ageOf(release));

/** Names of the presets of a release and of all newer ones. @throws RangeError for no release */
export const kernelsFrom = (release: string): readonly string[] =>
  KERNELS.map(({ name }) => name).filter((name) => ageOf(name) >= ageOf(release));

/** A number that rises with the release: 6.9 comes before 6.10. */
function ageOf(release: string): number {
  const [, major, minor] = /^(\d+)\.(\d+)$/.exec(release) ?? [];
  if (major === undefined || minor === undefined) {
    throw new RangeError(`'${release}' is no release of Linux; write 6.9 or 6.12`);
  }
  return Number(major) * 1000 + Number(minor);
}

const listOf = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value;
