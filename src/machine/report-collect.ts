// Gathers a run's report from the events as they pass: accesses with their faults and outcomes, deaths, leaves of
// regions and what devices received. It reads events and nothing else, so that every report can be checked by them.

import type { Access } from '../arch/access.ts';
import type { Ipa } from '../arch/addresses.ts';
import { describeMemoryType } from '../arch/memory-type.ts';
import type { GuestAbort } from '../guest/operations.ts';
import type { Recorded } from './events.ts';
import { livelocks } from './livelock.ts';
import type {
  AccessOutcome,
  AccessReport,
  Death,
  DeviceReport,
  EventfdReport,
  FaultReport,
  InterruptReport,
  RegionReport,
  VmReport,
} from './report.ts';
import { deviceCollector } from './report-devices.ts';
import { interruptCollector } from './report-interrupts.ts';
import { leafCollector } from './report-leaves.ts';
import type { PlacedRegion } from './scenario-assign.ts';
import type { Setup } from './scenario-setup.ts';
import type { Simulation } from './simulation.ts';

/** An access while it is under way, and after. */
export type OpenAccess = { -readonly [Field in keyof AccessReport]: AccessReport[Field] } & {
  faults: FaultReport[];
  /** The vCPU can go on. */
  ended: boolean;
  /** errno of the KVM_RUN that failed here. */
  errno: number | null;
};

export interface Collector {
  /** The latest access of a vCPU slice. */
  latest(vcpu: number): OpenAccess | undefined;
  /** KVM_RUN failures of a VM, in order. */
  failures(vm: number): readonly Death[];
  accesses(vcpu: number): readonly AccessReport[];
  interrupts(vcpu: number): readonly InterruptReport[];
  eventfds(): readonly EventfdReport[];
  devices(): readonly DeviceReport[];
  regions(): readonly RegionReport[];
}

/** errno.h, as far as KVM_RUN fails, with the words of strerror(). */
const ERRNO: Readonly<Record<number, { readonly name: string; readonly words: string }>> = {
  4: { name: 'EINTR', words: 'Interrupted system call' },
  12: { name: 'ENOMEM', words: 'Cannot allocate memory' },
  14: { name: 'EFAULT', words: 'Bad address' },
  22: { name: 'EINVAL', words: 'Invalid argument' },
  38: { name: 'ENOSYS', words: 'Function not implemented' },
};

/** Where a region is now: a guest may move its BARs. */
type MovableRegion = Omit<PlacedRegion, 'ipa'> & { ipa: Ipa };

const isBar = (
  event: { readonly vm: number; readonly device: number; readonly region: number },
  ...[vm, device, index]: readonly [vm: number, device: number, index: number]
): boolean => event.vm === vm && event.device === device && event.region === index;

/** @param simulation before its first event */
export function collect(simulation: Simulation, initial: Setup): Collector {
  const places = initial.regions.map((region): MovableRegion => ({ ...region }));
  const setup = { ...initial, regions: places };
  const accesses = new Map<number, OpenAccess[]>();
  const failures = new Map<number, Death[]>();
  const leaves = leafCollector(simulation, setup);
  const devices = deviceCollector(setup);
  const interrupts = interruptCollector();
  const latest = (vcpu: number): OpenAccess | undefined => accesses.get(vcpu)?.at(-1);
  simulation.bus.all.subscribe((event) => {
    if (event.type === 'bar-mapped') {
      for (const place of places.filter(({ vm, device, index }) => isBar(event, vm, device, index)))
        place.ipa = event.ipa;
    }
    leaves.hear(event);
    devices.hear(event);
    interrupts.hear(event);
    if (event.type === 'access-issued') {
      const opened = openAccess(event.access, event.seq, setup, event.vm);
      const known = accesses.get(event.vcpu);
      if (known === undefined) accesses.set(event.vcpu, [opened]);
      else known.push(opened);
      return;
    }
    if (event.type === 'run-failed')
      failures.set(event.vm, [...(failures.get(event.vm) ?? []), deathOf(event)]);
    if (event.type === 'host-panicked') {
      for (let vm = 0; vm < simulation.state.vms.length; vm++)
        failures.set(vm, [...(failures.get(vm) ?? []), panicOf(event)]);
    }
    if (!('vcpu' in event)) return;
    const access = latest(event.vcpu);
    if (access !== undefined && (!access.ended || event.type === 'serror-injected'))
      follow(access, event, setup);
  });
  return {
    latest,
    failures: (vm) => failures.get(vm) ?? [],
    accesses: (vcpu) => (accesses.get(vcpu) ?? []).map(({ ended: _e, errno: _n, ...report }) => report),
    interrupts: interrupts.reports,
    eventfds: interrupts.eventfds,
    devices: devices.reports,
    regions: leaves.reports,
  };
}

function openAccess(access: Access, seq: number, setup: Setup, vm: number): OpenAccess {
  const { id, kind, size, va, ipa } = access;
  return {
    id,
    seq,
    kind,
    size,
    va,
    ...placeOf(ipa, setup, vm),
    faults: [],
    outcome: null,
    combined: null,
    value: null,
    aborted: null,
    because: null,
    ended: false,
    errno: null,
  };
}

/** Which region an IPA lies in. */
function placeOf(ipa: Ipa | null, setup: Setup, vm: number): Pick<AccessReport, 'ipa' | 'region' | 'offset'> {
  const region = setup.regions.find(
    (it) => it.vm === vm && ipa !== null && ipa >= it.ipa && ipa < it.ipa + it.size,
  );
  const offset = region === undefined || ipa === null ? null : ipa - region.ipa;
  return { ipa, region: region?.name ?? null, offset };
}

/** What an event of the vCPU means for its access. */
function follow(access: OpenAccess, event: Recorded, setup: Setup): void {
  switch (event.type) {
    case 'stage2-faulted': {
      const { ipa, esr, far } = event.fault;
      access.faults.push({ seq: event.seq, ipa, esr, far });
      if (livelocks(event)) {
        access.outcome = 'livelocked';
        access.because = 'fault-repeats';
      }
      return;
    }
    case 'stage1-translated':
      Object.assign(access, placeOf(event.access.ipa, setup, event.vm));
      return;
    case 'stage2-mapped':
      access.because = event.because;
      return;
    case 'mmio-exited':
    case 'mmio-handled':
    case 'gicv-trapped':
    case 'instruction-skipped':
      access.outcome = event.type;
      access.because = event.because;
      return;
    case 'access-completed':
      if (access.outcome === null || access.outcome === 'livelocked') access.outcome = 'completed';
      access.because = event.because ?? access.because;
      access.value = event.value;
      access.combined =
        event.translation === null ? null : describeMemoryType(event.translation.combined.type);
      access.ended = true;
      return;
    case 'run-failed':
      access.errno = event.errno;
      end(access, 'run-failed', event.because);
      return;
    case 'nisv-exited':
    case 'sea-exited':
      end(access, event.type, event.because);
      return;
    case 'serror-injected':
      access.aborted = { esr: SERROR, far: access.va, from: 'host', because: event.because };
      end(access, event.type, event.because);
      return;
    case 'stage1-faulted':
    case 'abort-injected':
      access.aborted = abortOf(event);
      end(access, event.type, event.because);
      return;
    default:
      return;
  }
}

function end(access: OpenAccess, outcome: AccessOutcome, because: string): void {
  access.outcome = outcome;
  access.because = because;
  access.ended = true;
}

/** ESR_EL1 has 64 bits: some kernels sign-extend what they inject. */
function abortOf(event: Recorded & { type: 'stage1-faulted' | 'abort-injected' }): GuestAbort {
  const { far, because } = event;
  if (event.type === 'stage1-faulted') {
    return { esr: event.esr === null ? null : BigInt(event.esr), far, from: 'stage-1', because };
  }
  const low = BigInt(event.esr);
  const esr = event.signExtended ? BigInt.asUintN(64, BigInt.asIntN(32, low)) : low;
  return { esr, far, from: 'host', because };
}

/** ESR_EL1 of the SError that kvm_inject_vabt() pends: EC 0x2f, IL, and IDS of an ISS that says nothing. */
const SERROR = 0xbf00_0000n;

/** The host itself is gone, whatever the VMM does about errors of KVM_RUN. */
export const isPanic = ({ errno }: Death): boolean => errno === 0;

const panicOf = ({ log, because, vcpu, seq }: Recorded & { type: 'host-panicked' }): Death => ({
  errno: 0,
  errnoName: 'none',
  log: [log],
  because,
  vcpu,
  seq,
});

/** The kernel's line, then QEMU's (kvm_cpu_exec). */
function deathOf(event: Recorded & { type: 'run-failed' }): Death {
  const { errno, because, vcpu, seq } = event;
  const known = ERRNO[errno];
  const qemu = `error: kvm run failed ${known?.words ?? `Unknown error ${errno}`}`;
  const log = event.log === null ? [qemu] : [event.log, qemu];
  return { errno, errnoName: known?.name ?? String(errno), log, because, vcpu, seq };
}

/** The VMs of a report. @param finished whether the program of a vCPU slice ran to its end */
export function vmReports(
  setup: Setup,
  vms: readonly { readonly name: string; readonly vcpus: number; readonly stops: boolean }[],
  collector: Collector,
  finished: (vcpu: number) => boolean,
): readonly VmReport[] {
  return vms.map(({ name, vcpus, stops }, vm) => {
    const failures = collector.failures(vm);
    return {
      name,
      vm,
      vcpus: Array.from({ length: vcpus }, (_, index) => {
        const vcpu = (setup.firstVcpu[vm] ?? 0) + index;
        return {
          vcpu,
          index,
          finished: finished(vcpu),
          accesses: collector.accesses(vcpu),
          interrupts: collector.interrupts(vcpu),
        };
      }),
      dead: (stops ? failures[0] : failures.find(isPanic)) ?? null,
      skipped: stops ? [] : failures.filter((death) => !isPanic(death)),
    };
  });
}
