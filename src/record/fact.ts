// Facts by path: any field of the state, and the shorter words of reports for it. `vm0` or a VM's name is its slice,
// `stage2` its table, `vcpu0` below it its first vCPU, `dead` the errno of KVM_RUN; a device goes by its name, its
// regions and registers by theirs. What is not there is null.

import type { Present } from '../arch/table-page.ts';
import { TranslationTable } from '../arch/translation-table.ts';
import type { DeviceState, RegionState } from '../devices/state.ts';
import { PageBitmap } from '../host/page-bitmap.ts';
import type { VmState } from '../host/state.ts';
import type { MachineState } from '../machine/state.ts';
import type { FactPath, PathStep } from './fact-path.ts';
import type { History } from './history.ts';

/** A moment of a run, as facts are read from it. */
export interface Moment {
  readonly state: MachineState;
  readonly seq: number;
  readonly deaths: Deaths;
}

/** The errno of the last failure of a VM's KVM_RUN up to an event; null for none. */
export type Deaths = (vm: number, seq: number) => number | null;

export const deathsIn =
  ({ failures }: Pick<History, 'failures'>): Deaths =>
  (vm, seq) =>
    failures.findLast((it) => it.vm === vm && it.seq <= seq)?.errno ?? null;

/** Where a step leads: to a value, or to something that only the path knows. */
type Place =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'vm'; readonly id: number; readonly vm: VmState }
  | { readonly kind: 'device'; readonly device: DeviceState }
  | {
      readonly kind: 'region';
      readonly device: DeviceState;
      readonly index: number;
      readonly region: RegionState;
    };

/** The value at a path; null where there is nothing. Never throws. */
export function readFact(moment: Moment, path: FactPath): unknown {
  let place = rootOf(moment, path[0] ?? '');
  for (const step of path.slice(1)) {
    if (place === null) return null;
    place = below(moment, place, step);
  }
  return place === null ? null : held(place);
}

/**
 * Refuses a path that could not name anything at that moment, which is a slip rather than a fact.
 * @throws RangeError that says which step, and what there is instead
 */
export function checkPath(moment: Moment, path: FactPath): void {
  let place = rootOf(moment, path[0] ?? '');
  if (place === null) throw unknown(path[0] ?? '', 'the machine', rootNames(moment.state));
  for (const [index, step] of path.slice(1).entries()) {
    const next = below(moment, place, step);
    if (next === null) {
      const names = namesBelow(place);
      if (typeof step === 'number' || names.length === 0) return;
      throw unknown(step, pathText(path.slice(0, index + 1)), names);
    }
    place = next;
  }
}

export const pathText = (path: FactPath): string =>
  path
    .map((step, index) => {
      if (typeof step === 'number') return `[${step > 9 ? `0x${step.toString(16)}` : step}]`;
      return index === 0 ? step : `.${step}`;
    })
    .join('');

const unknown = (step: PathStep, where: string, names: readonly string[]): RangeError =>
  new RangeError(`${where} has no '${step}'; it has ${names.join(', ')}`);

function rootOf(moment: Moment, name: PathStep): Place | null {
  const { state } = moment;
  if (typeof name === 'number') return null;
  if (Object.hasOwn(state, name)) return { kind: 'value', value: state[name as keyof MachineState] };
  const numbered = /^(vm|vcpu|device)(\d+)$/.exec(name);
  const id = Number(numbered?.[2] ?? -1);
  const vm = numbered?.[1] === 'vm' ? id : state.vms.findIndex((it) => it.name === name);
  const vmState = state.vms[vm];
  if (vmState !== undefined) return { kind: 'vm', id: vm, vm: vmState };
  const byName = state.devices.find(({ description }) => description.name === name);
  const device = numbered?.[1] === 'device' ? state.devices[id] : byName;
  if (device !== undefined) return { kind: 'device', device };
  const vcpu = numbered?.[1] === 'vcpu' ? state.vcpus[id] : undefined;
  return vcpu === undefined ? null : { kind: 'value', value: vcpu };
}

const rootNames = (state: MachineState): readonly string[] => [
  ...Object.keys(state),
  ...state.vms.map((_, id) => `vm${id}`),
  ...state.vcpus.map((_, id) => `vcpu${id}`),
  ...state.devices.map(({ description }) => description.name),
];

function below(moment: Moment, place: Place, step: PathStep): Place | null {
  switch (place.kind) {
    case 'vm':
      return belowVm(moment, place.id, place.vm, step);
    case 'device': {
      const { device } = place;
      const found = device.description.regions.find(({ name }) => name === step);
      const region = found === undefined ? undefined : device.regions[found.index];
      if (found === undefined || region === undefined) return fieldOf(device, step);
      return { kind: 'region', device, index: found.index, region };
    }
    case 'region': {
      const { registers } = place.device.description.regions.find(({ index }) => index === place.index) ?? {};
      const register = registers?.find(({ name }) => name === step);
      if (register === undefined) return fieldOf(place.region, step);
      return { kind: 'value', value: place.region.registers[register.name] ?? register.reset };
    }
    case 'value':
      return fieldOf(place.value, step);
  }
}

function belowVm({ state, seq, deaths }: Moment, id: number, vm: VmState, step: PathStep): Place | null {
  if (step === 'stage2') return { kind: 'value', value: vm.table };
  if (step === 'dead') {
    return { kind: 'value', value: deaths(id, seq) };
  }
  const [, vcpu] = /^vcpu(\d+)$/.exec(String(step)) ?? [];
  if (vcpu === undefined) return fieldOf(vm, step);
  const found = state.vcpus.find((it) => it.vm === id && it.index === Number(vcpu));
  return found === undefined ? null : { kind: 'value', value: found };
}

function fieldOf(value: unknown, step: PathStep): Place | null {
  if (typeof value !== 'object' || value === null) return null;
  if (value instanceof TranslationTable) return tableField(value as TranslationTable<Present>, step);
  if (value instanceof PageBitmap) {
    if (typeof step === 'number') return { kind: 'value', value: value.has(step) };
    return step === 'count' || step === 'pages' ? { kind: 'value', value: value[step] } : null;
  }
  if (Array.isArray(value) && step === 'length') return { kind: 'value', value: value.length };
  if (!Object.hasOwn(value, step)) return null;
  return { kind: 'value', value: (value as Readonly<Record<PathStep, unknown>>)[step] };
}

/** The leaf that translates an address, its attributes beside its level and address. */
function tableField(table: TranslationTable<Present>, step: PathStep): Place | null {
  if (step === 'leafCount') return { kind: 'value', value: table.leafCount };
  if (typeof step !== 'number' || step >= 2 ** table.shape.inputBits) return null;
  const { level, leaf } = table.walk(step);
  if (leaf === undefined) return null;
  if (typeof leaf !== 'object' || Array.isArray(leaf)) return { kind: 'value', value: { level, leaf } };
  const { attributes = {}, ...rest } = leaf as { readonly attributes?: object };
  return { kind: 'value', value: { level, ...rest, ...attributes } };
}

const VM_WORDS = ['stage2', 'dead', 'vcpu0'];

/** What may stand below; nothing below a table or null, where any address and any absence is a fact. */
function namesBelow(place: Place): readonly string[] {
  switch (place.kind) {
    case 'vm':
      return [...VM_WORDS, ...Object.keys(place.vm)];
    case 'device':
      return [...place.device.description.regions.map(({ name }) => name), ...Object.keys(place.device)];
    case 'region': {
      const region = place.device.description.regions.find(({ index }) => index === place.index);
      return [...(region?.registers ?? []).map(({ name }) => name), ...Object.keys(place.region)];
    }
    case 'value': {
      const { value } = place;
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
      return value instanceof TranslationTable ? ['leafCount'] : Object.keys(value);
    }
  }
}

function held(place: Place): unknown {
  switch (place.kind) {
    case 'value':
      return place.value;
    case 'vm':
      return place.vm;
    case 'device':
      return place.device;
    case 'region':
      return place.region;
  }
}
