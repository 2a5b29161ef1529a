// What a scenario can expect of a run, as checks: each says what it looks at, what it wants and what it found. A
// check that fails is an answer like any other; nothing here throws.

import type {
  AccessOutcome,
  DeviceReport,
  RegionReport,
  ScenarioRun,
  VcpuReport,
  VmReport,
} from './report.ts';

/** A run before its expectations are judged. */
export type RunFacts = Omit<ScenarioRun, 'expectations' | 'ok'>;

export interface Found {
  readonly expected: string;
  readonly actual: string;
  readonly ok: boolean;
}

/** One question to a run. */
export interface Check {
  /** Whom and what it concerns: `guest died`. */
  readonly what: string;
  evaluate(run: RunFacts): Found;
}

export interface DiedWanted {
  /** As in errno.h, such as EFAULT. */
  readonly errno?: string;
  /** Matches some line of the host's or the VMM's log. */
  readonly log?: RegExp;
  /** Rule of the host, as in `why`. */
  readonly because?: string;
}

export interface SawWanted {
  /** `instruction` is a prefetch abort, EC 0x20 or 0x21; `serror` is EC 0x2f. */
  readonly abort: 'instruction' | 'data' | 'serror';
  /** ESR_EL1, all 64 bits. */
  readonly esr?: bigint;
  /** The guest's own stage 1, or injected by the host. */
  readonly from?: 'stage-1' | 'host';
  readonly because?: string;
}

export interface ReceivedWanted {
  readonly writes?: number;
  readonly reads?: number;
  /** Bytes of all writes and reads together. */
  readonly bytes?: number;
  /** Bytes of each write, in order. */
  readonly writeSizes?: readonly number[];
  /** What each write did, in the device's words, in order; null for one that only stored. */
  readonly writeEffects?: readonly (string | null)[];
}

export interface LeafWanted {
  /** In the manual's words: `Device-nGnRE`, `Normal Non-cacheable`. */
  readonly type?: string;
  readonly memAttr?: number;
  readonly because?: string;
  readonly sizeBecause?: string | null;
  readonly level?: number;
  readonly write?: boolean;
}

/** A check of your own: `actual` is compared with `expected` by their words. */
export function check(what: string, expected: unknown, actual: (run: RunFacts) => unknown): Check {
  return {
    what,
    evaluate(run) {
      const found = words(actual(run));
      return { expected: words(expected), actual: found, ok: found === words(expected) };
    },
  };
}

/** KVM_RUN failed and the VMM gave up. */
export const died = (vm: string, wanted: DiedWanted): Check => ({
  what: `${vm} died`,
  evaluate(run) {
    const dead = vmIn(run, vm)?.dead ?? null;
    const { errno, log, because } = wanted;
    const ok =
      dead !== null &&
      (errno === undefined || dead.errnoName === errno) &&
      (log === undefined || dead.log.some((line) => log.test(line))) &&
      (because === undefined || dead.because === because);
    return { expected: `died ${wantedWords(wanted)}`.trim(), actual: fateOf(vmIn(run, vm)), ok };
  },
});

export const survived = (vm: string): Check => ({
  what: `${vm} survived`,
  evaluate(run) {
    const found = vmIn(run, vm);
    return { expected: 'alive', actual: fateOf(found), ok: found !== undefined && found.dead === null };
  },
});

/** Some vCPU of the VM took such an exception at EL1. */
export const saw = (vm: string, wanted: SawWanted): Check => ({
  what: `${vm} saw an abort`,
  evaluate(run) {
    const aborts = (vmIn(run, vm)?.vcpus ?? []).flatMap(abortsOf);
    const ok = aborts.some(
      (seen) =>
        seen.abort === wanted.abort &&
        (wanted.esr === undefined || seen.esr === wanted.esr) &&
        (wanted.from === undefined || seen.from === wanted.from) &&
        (wanted.because === undefined || seen.because === wanted.because),
    );
    const actual = aborts.length === 0 ? 'no abort' : aborts.map(wantedWords).join('; ');
    return { expected: wantedWords(wanted), actual, ok };
  },
});

/** No vCPU of the VM took an exception at EL1. */
export const sawNoAbort = (vm: string): Check => ({
  what: `${vm} saw no abort`,
  evaluate(run) {
    const aborts = (vmIn(run, vm)?.vcpus ?? []).flatMap(abortsOf);
    const actual = aborts.length === 0 ? 'no abort' : aborts.map(wantedWords).join('; ');
    return { expected: 'no abort', actual, ok: aborts.length === 0 };
  },
});

/** The program of a vCPU ran to its end. */
export const finished = (vm: string, index: number): Check => ({
  what: `${vm} vcpu ${index} finished`,
  evaluate(run) {
    const vcpu = vmIn(run, vm)?.vcpus.find((it) => it.index === index);
    const ok = vcpu?.finished === true;
    return { expected: 'finished', actual: ok ? 'finished' : 'did not finish', ok };
  },
});

/** Values that the loads of a vCPU gave, in program order. */
export const loaded = (vm: string, index: number, values: readonly (bigint | null)[]): Check => ({
  what: `${vm} vcpu ${index} loaded`,
  evaluate(run) {
    const vcpu = vmIn(run, vm)?.vcpus.find((it) => it.index === index);
    const loads = (vcpu?.accesses ?? []).filter(({ kind }) => LOADS.has(kind)).map(({ value }) => value);
    return { expected: words(values), actual: words(loads), ok: words(loads) === words(values) };
  },
});

/** How the last access of a vCPU ended. */
export const endedAs = (vm: string, index: number, wanted: AccessOutcome): Check => ({
  what: `${vm} vcpu ${index} ended`,
  evaluate(run) {
    const vcpu = vmIn(run, vm)?.vcpus.find((it) => it.index === index);
    const actual = words(vcpu?.accesses.at(-1)?.outcome ?? null);
    return { expected: words(wanted), actual, ok: actual === words(wanted) };
  },
});

/** INTIDs that a vCPU's own loads of IAR or AIAR acknowledged, in order. */
export const acknowledged = (vm: string, index: number, intids: readonly number[]): Check => ({
  what: `${vm} vcpu ${index} acknowledged`,
  evaluate(run) {
    const vcpu = vmIn(run, vm)?.vcpus.find((it) => it.index === index);
    const seen = (vcpu?.interrupts ?? []).filter(({ lost }) => !lost).map(({ intid }) => intid);
    return { expected: words(intids), actual: words(seen), ok: words(seen) === words(intids) };
  },
});

/** How often stores of a VM's guest signalled an eventfd. */
export const signalled = (vm: string, eventfd: string, times: number): Check => ({
  what: `${vm} ${eventfd} signalled`,
  evaluate(run) {
    const count = run.eventfds.find((it) => it.vm === vm && it.eventfd === eventfd)?.signalled ?? 0;
    return { expected: `${times} times`, actual: `${count} times`, ok: count === times };
  },
});

/** How each access of a vCPU ended, in program order; null for one that did not. */
export const outcomes = (vm: string, index: number, wanted: readonly (AccessOutcome | null)[]): Check => ({
  what: `${vm} vcpu ${index} outcomes`,
  evaluate(run) {
    const vcpu = vmIn(run, vm)?.vcpus.find((it) => it.index === index);
    const actual = words((vcpu?.accesses ?? []).map(({ outcome }) => outcome));
    return { expected: words(wanted), actual, ok: actual === words(wanted) };
  },
});

/** What arrived at a device. */
export const received = (device: string, wanted: ReceivedWanted): Check => ({
  what: `${device} received`,
  evaluate(run) {
    const found = run.devices.find(({ name }) => name === device);
    const actual = found === undefined ? null : receipts(found);
    const entries = Object.entries(wanted) as [keyof ReceivedWanted, unknown][];
    const ok = actual !== null && entries.every(([field, value]) => words(actual[field]) === words(value));
    const shown =
      actual === null ? 'no such device' : `${wantedWords(pick(actual, entries))} (${found?.shape})`;
    return { expected: wantedWords(wanted), actual: shown, ok };
  },
});

/** Every leaf that stage 2 ever had in the region is like that, and there was one. */
export const leaf = (vm: string, region: string, wanted: LeafWanted): Check => ({
  what: `${vm} ${region} leaf`,
  evaluate(run) {
    const leaves = regionIn(run, vm, region)?.leaves ?? [];
    const entries = Object.entries(wanted) as [keyof LeafWanted, unknown][];
    const ok =
      leaves.length > 0 && leaves.every((it) => entries.every(([field, value]) => it[field] === value));
    const actual = leaves.map((it) => wantedWords(pick(it, entries))).join('; ');
    return { expected: wantedWords(wanted), actual: actual === '' ? 'nothing mapped' : actual, ok };
  },
});

/** Stage 2 never had a leaf in the region. */
export const neverMapped = (vm: string, region: string): Check => ({
  what: `${vm} ${region} never mapped`,
  evaluate(run) {
    const leaves = regionIn(run, vm, region)?.leaves ?? [];
    const actual = leaves.map(({ type }) => type).join('; ');
    return {
      expected: 'nothing mapped',
      actual: actual === '' ? 'nothing mapped' : actual,
      ok: actual === '',
    };
  },
});

const LOADS: ReadonlySet<string> = new Set(['read', 'read-pair', 'exclusive-load']);

const vmIn = (run: RunFacts, name: string): VmReport | undefined => run.vms.find((vm) => vm.name === name);

const regionIn = (run: RunFacts, vm: string, name: string): RegionReport | undefined =>
  run.regions.find((it) => it.vm === vm && it.region === name);

function fateOf(vm: VmReport | undefined): string {
  if (vm === undefined) return 'no such VM';
  if (vm.dead === null) return 'alive';
  const { errnoName, because, log } = vm.dead;
  return `died errno ${errnoName}, because ${because}, log ${log.join(' / ')}`;
}

interface Seen extends Required<SawWanted> {}

/** Exception classes of instruction aborts end in 0x20 and 0x21. */
function abortsOf(vcpu: VcpuReport): Seen[] {
  return vcpu.accesses.flatMap(({ aborted, kind }): Seen[] => {
    if (aborted === null) return [];
    const { esr, from, because } = aborted;
    const ec = esr === null ? null : Number((esr >> 26n) & 0x3fn);
    const instruction = ec === null ? kind === 'fetch' : ec === 0x20 || ec === 0x21;
    const kindOf = ec === 0x2f ? 'serror' : instruction ? 'instruction' : 'data';
    return [{ abort: kindOf, esr: esr ?? 0n, from, because }];
  });
}

function receipts(found: DeviceReport): Required<ReceivedWanted> {
  const writes = found.transactions.filter(({ kind }) => kind === 'write');
  return {
    writes: found.writes,
    reads: found.reads,
    bytes: found.bytesWritten + found.bytesRead,
    writeSizes: writes.map(({ size }) => size),
    writeEffects: writes.map(({ effect }) => effect),
  };
}

function pick<T extends object>(from: T, entries: readonly (readonly [keyof T, unknown])[]): Partial<T> {
  return Object.fromEntries(entries.map(([field]) => [field, from[field]])) as Partial<T>;
}

const wantedWords = (wanted: object): string =>
  Object.entries(wanted)
    .map(([field, value]) => `${field} ${field === 'esr' ? hex(value) : words(value)}`)
    .join(', ');

const hex = (value: unknown): string =>
  typeof value === 'bigint' ? `0x${value.toString(16)}` : words(value);

function words(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(words).join(', ')}]`;
  if (value === null || value === undefined) return 'none';
  return String(value);
}
