// A simulated host in the field's own words, for tests: boot a kernel, map and slot memory, let the guest access it,
// and look at the leaf that answered. Guests run with stage 1 on and flat, everything Normal Write-Back.

import type { Access, AccessKind } from '../../src/arch/access.ts';
import { isCacheMaintenance, isWrite } from '../../src/arch/access.ts';
import type { Hva, Ipa, Pa, Va } from '../../src/arch/addresses.ts';
import { alignDown } from '../../src/arch/addresses.ts';
import type { CpuFeatures } from '../../src/arch/cpu.ts';
import { ARCHITECTURAL } from '../../src/arch/cpu.ts';
import { encodeLeaf } from '../../src/arch/descriptor.ts';
import type { InstructionSyndrome } from '../../src/arch/esr.ts';
import { encodeAbort, NO_SYNDROME } from '../../src/arch/esr.ts';
import type { FaultStatus } from '../../src/arch/fault-status.ts';
import type { Granule, Level } from '../../src/arch/geometry.ts';
import { levelSize, stage2Geometry } from '../../src/arch/geometry.ts';
import { STAGE_1_ON } from '../../src/arch/stage1.ts';
import type { Because } from '../../src/host/because.ts';
import type { Vgic, VmmCall } from '../../src/host/calls.ts';
import type { KernelFeatures } from '../../src/host/kernel-features.ts';
import { kernelPreset } from '../../src/host/kernels.ts';
import type { VmState } from '../../src/host/state.ts';
import type { Prot, VmaBacking } from '../../src/host/vma.ts';
import type { Recorded } from '../../src/machine/events.ts';
import type { Hold, Simulation } from '../../src/machine/simulation.ts';
import { createSimulation } from '../../src/machine/simulation.ts';

export const K = 2 ** 10;
export const M = 2 ** 20;
export const G = 2 ** 30;

/** Where tests put a BAR, its mapping in the VMM, and the guest's view of it, unless alignment is the point. */
export const BAR_PA = 0x60_0000_0000;
export const BAR_HVA = 0x7f80_0000_0000;
export const RAM_HVA = 0x7f00_0000_0000;
export const RAM_IPA = 0x8000_0000;

export interface MachineOptions {
  readonly kernel?: string;
  /** Features that differ from the preset. */
  readonly features?: Partial<KernelFeatures>;
  readonly cpu?: Partial<CpuFeatures>;
  readonly pageSize?: Granule;
  readonly ipaBits?: number;
  readonly thp?: 'always' | 'madvise' | 'never';
  readonly gicv?: { readonly pa: number; readonly size: number } | null;
  readonly vms?: number;
  readonly vcpus?: number;
  readonly capabilities?: Readonly<Record<string, number>>;
  readonly hold?: Hold;
  readonly state?: 'immer' | 'plain';
}

/** FEAT_S2FWB, CTR_EL0.DIC, hardware access flag, no LPA2. */
const CPU: CpuFeatures = {
  model: 'test',
  fwb: true,
  dic: true,
  lpa2: false,
  hardwareAccessFlag: true,
  vhe: true,
  ipaLimitBits: 48,
  departures: ARCHITECTURAL,
};

export function featuresOf(kernel: string): KernelFeatures {
  const preset = kernelPreset(kernel);
  if (preset === undefined) throw new Error(`no preset for kernel ${kernel}`);
  return preset.features;
}

/** Linux 6.9 with 4K pages and a 40-bit VM of two vCPUs, unless the options say otherwise. */
export function machine(options: MachineOptions = {}) {
  const { kernel = '6.9', pageSize = 4096, ipaBits = 40, vms = 1, vcpus = 2 } = options;
  const features = { ...featuresOf(kernel), ...options.features };
  const cpu = { ...CPU, ...options.cpu };
  const geometry = stage2Geometry({ granule: pageSize, ipaBits, lpa2: cpu.lpa2 && features.lpa2 });
  const simulation = createSimulation({
    ...(options.hold === undefined ? {} : { hold: options.hold }),
    ...(options.state === undefined ? {} : { state: options.state }),
  });
  const log: Recorded[] = [];
  simulation.bus.all.subscribe((event) => log.push(event));
  simulation.bus.on('mmio-exited').subscribe(({ vm, vcpu, write }) => {
    simulation.dispatch({ type: 'mmio-answered', vm, vcpu, value: write ? null : 0n });
  });
  const { thp = 'always', gicv = null, capabilities = {} } = options;
  const frame = gicv === null ? null : { pa: gicv.pa as Pa, size: gicv.size };
  simulation.dispatch({ type: 'host-booted', kernel, features, cpu, pageSize, thp, gicv: frame });
  const stage1 = { controls: STAGE_1_ON, paBits: 48 };
  for (let vm = 0; vm < vms; vm++) {
    simulation.dispatch({ type: 'vm-created', vm, name: `vm${vm}`, geometry, vcpus, capabilities });
    for (let index = 0; index < vcpus; index++)
      simulation.dispatch({ type: 'vcpu-created', vm, vcpu: vm * vcpus + index, index, stage1 });
  }
  const handles = Array.from({ length: vms }, (_, id) => vmHandle(simulation, log, id, vcpus));
  return {
    simulation,
    features,
    log,
    vm: handles[0] as VmHandle,
    vms: handles,
    /** Bit 1 of the command register is memory decoding. */
    pciCommand: (value: number, device = GPU) =>
      simulation.dispatch({ type: 'pci-command-written', device, value }),
    /** A VFIO PCI BAR mapping as this kernel's vfio-pci makes it. */
    bar: (pa = BAR_PA, device = GPU): VmaBacking =>
      pfnmap('vfio-pci', pa, { device, allowAnyUncached: features.vfioPciAllowsAnyUncached }),
  };
}

export type TestMachine = ReturnType<typeof machine>;
export type VmHandle = ReturnType<typeof vmHandle>;

/** The PCI function that tests assign unless they say which. */
export const GPU = '0000:01:00.0';

export const anon = (thp: 'nohugepage' | 'hugepage' | 'default' = 'nohugepage'): VmaBacking => ({
  kind: 'anon',
  thp,
});

export const hugetlb = (pageSize: number): VmaBacking => ({ kind: 'hugetlb', pageSize });

export type Pfnmap = VmaBacking & { kind: 'pfnmap' };

export const pfnmap = (driver: Pfnmap['driver'], pa = BAR_PA, more: Partial<Pfnmap> = {}): Pfnmap => ({
  kind: 'pfnmap',
  driver,
  device: null,
  pa: pa as Pa,
  allowAnyUncached: false,
  cacheable: false,
  fileOffset: 0,
  ...more,
});

export interface AccessOptions {
  readonly vcpu?: number;
  readonly size?: number;
  /** The guest's VA: flat unless given. */
  readonly va?: number;
  /** MAIR_EL1 byte of the location: 0xff is Write-Back, 0x44 Non-cacheable, 0x04 Device-nGnRE. */
  readonly attr?: number;
  /** The syndrome is not valid: pairs, writeback, SIMD. */
  readonly noSyndrome?: boolean;
}

/** MAIR_EL1 bytes that Linux uses. */
export const NORMAL = 0xff;
export const NORMAL_NC = 0x44;
export const DEVICE_nGnRE = 0x04;

/** How an access ended, with everything that happened on the way. */
export interface Outcome {
  readonly kind: Ending;
  readonly because: string | null;
  readonly errno: number | null;
  readonly log: string | null;
  readonly end: Recorded;
  /** Fault status codes of the stage-2 faults, in order: ESR_EL2[5:0]. */
  readonly faults: readonly number[];
  readonly events: readonly Recorded[];
}

const ENDINGS = [
  'access-completed',
  'mmio-exited',
  'mmio-handled',
  'gicv-trapped',
  'nisv-exited',
  'run-failed',
  'abort-injected',
  'instruction-skipped',
  'stage1-faulted',
  'sea-exited',
  'serror-injected',
] as const;

export type Ending = (typeof ENDINGS)[number];

const isEnding = (type: string): type is Ending => (ENDINGS as readonly string[]).includes(type);

export interface LeafSeen {
  readonly level: Level;
  readonly pa: number;
  readonly write: boolean;
  /** The descriptor without its address, as dumps print it: `400000000007d7`. */
  readonly bits: string;
  readonly descriptor: bigint;
  readonly because: Because | null;
  readonly sizeBecause: Because | null;
}

function vmHandle(simulation: Simulation, log: readonly Recorded[], vm: number, vcpus: number) {
  const state = (): VmState => simulation.state.vms[vm] as VmState;
  const vcpuId = (index = 0): number => vm * vcpus + index;

  function call(request: VmmCall): number {
    const from = log.length;
    simulation.dispatch({ type: 'vmm-called', vm, call: request });
    const returned = log.slice(from).find((event) => event.type === 'vmm-call-returned');
    return returned?.type === 'vmm-call-returned' ? returned.errno : -1;
  }

  function outcomeSince(from: number, vcpu: number): Outcome {
    const events = log.slice(from);
    const own = events.filter((event) => 'vcpu' in event && event.vcpu === vcpu);
    const end = own.find(({ type }) => isEnding(type));
    if (end === undefined || !isEnding(end.type)) throw new Error('the access has not ended: is it held?');
    return {
      kind: end.type,
      because: 'because' in end ? end.because : null,
      errno: end.type === 'run-failed' ? end.errno : null,
      log: end.type === 'run-failed' ? end.log : null,
      end,
      faults: own.flatMap((event) => (event.type === 'stage2-faulted' ? [event.fault.esr % 64] : [])),
      events,
    };
  }

  /** Issues without waiting: for accesses that a test holds. */
  function issue(kind: AccessKind, ipa: number, options: AccessOptions = {}, walk?: Access['walk']): number {
    const from = log.length;
    const access = accessOf(log.length, kind, ipa, options, walk);
    simulation.dispatch({ type: 'access-issued', vm, vcpu: vcpuId(options.vcpu), access });
    return from;
  }

  const does =
    (kind: AccessKind, walk?: Access['walk']) =>
    (ipa: number, options: AccessOptions = {}): Outcome =>
      outcomeSince(issue(kind, ipa, options, walk), vcpuId(options.vcpu));

  return {
    state,
    call,
    issue,
    outcomeSince,
    mmap: (hva: number, size: number, backing: VmaBacking, prot: Prot = 'read-write') =>
      call({ kind: 'mmap', hva: hva as Hva, size, prot, backing }),
    munmap: (hva: number, size: number) => call({ kind: 'munmap', hva: hva as Hva, size }),
    mprotect: (hva: number, size: number, prot: Prot) =>
      call({ kind: 'mprotect', hva: hva as Hva, size, prot }),
    dontneed: (hva: number, size: number) =>
      call({ kind: 'madvise', hva: hva as Hva, size, advice: 'dontneed', reclaim: [] }),
    /** Reclaim takes the whole range. */
    pageout: (hva: number, size: number, kind: 'age' | 'unmap-range' = 'unmap-range') => {
      const reclaim = [{ kind, start: hva as Hva, end: (hva + size) as Hva }];
      return call({ kind: 'madvise', hva: hva as Hva, size, advice: 'pageout', reclaim });
    },
    hostWrite: (hva: number, size: number, stride: number | null = null) =>
      call({ kind: 'host-write', hva: hva as Hva, size, stride }),
    hostRead: (hva: number, size: number) => call({ kind: 'host-read', hva: hva as Hva, size }),
    slot: (
      slot: number,
      at: { readonly ipa: number; readonly size: number; readonly hva: number },
      flags: { readonly readonly?: boolean; readonly logDirty?: boolean } = {},
    ) => {
      const { readonly = false, logDirty = false } = flags;
      const where = { ipa: at.ipa as Ipa, size: at.size, hva: at.hva as Hva };
      return call({ kind: 'set-memslot', slot, ...where, readonly, logDirty });
    },
    deleteSlot: (slot: number) => {
      const nowhere = { ipa: 0 as Ipa, size: 0, hva: 0 as Hva };
      return call({ kind: 'set-memslot', slot, ...nowhere, readonly: false, logDirty: false });
    },
    enable: (cap: string, argument = 0) => call({ kind: 'enable-cap', cap, argument }),
    vgic: (vgic: Vgic) => call({ kind: 'create-vgic', vgic }),
    clearDirtyLog: (slot: number, firstPage: number, pages: number) =>
      call({ kind: 'dirty-log-clear', slot, firstPage, pages }),
    /** Page numbers, or the errno. */
    dirtyLog: (slot: number): readonly number[] | number => {
      const errno = call({ kind: 'dirty-log-get', slot });
      const returned = log.findLast((event) => event.type === 'vmm-call-returned');
      return errno === 0 && returned?.type === 'vmm-call-returned' ? (returned.dirtyPages ?? []) : errno;
    },
    /** KVM_RUN for the first time. */
    run: (vcpu = 0) => simulation.dispatch({ type: 'vcpu-run', vm, vcpu: vcpuId(vcpu) }),
    release: (vcpu = 0) => simulation.release(vcpuId(vcpu)),
    read: does('read'),
    write: does('write'),
    fetch: does('fetch'),
    readPair: does('read-pair'),
    writePair: does('write-pair'),
    dcZva: does('dc-zva'),
    dcCivac: does('dc-civac'),
    ldxr: does('exclusive-load'),
    stxr: does('exclusive-store'),
    /** A hardware walk of stage-1 tables at this IPA. */
    walk: (ipa: number, purpose: 'fetch' | 'read' | 'write' = 'read') =>
      does('s1-walk', { level: 3, purpose })(ipa, { va: 0x1000 }),
    /** A fault that no simulated instruction causes, as EL2 would see it. */
    fault: (ipa: number, status: FaultStatus): Outcome => {
      const from = log.length;
      const esr = encodeAbort({ kind: 'data-abort', status });
      const access = accessOf(from, 'read', ipa, { noSyndrome: true });
      const fault = { ipa: alignDown(ipa, 4096) as Ipa, far: ipa, esr, status };
      simulation.dispatch({ type: 'stage2-faulted', vm, vcpu: vcpuId(), access, attempt: 0, fault });
      return outcomeSince(from, vcpuId());
    },
    /** What stands at this IPA; undefined if nothing is mapped. */
    leafAt: (ipa: number): LeafSeen | undefined => leafAt(state(), log, vm, ipa),
    /** IPAs and levels of all leaves. */
    leaves: () => [...state().table.leaves()].map(({ address, level }) => ({ ipa: address, level })),
    /** Notifiers that the events since `from` sent, as [start, end). */
    notifiers: (from: number): readonly (readonly [number, number])[] =>
      log
        .slice(from)
        .flatMap((event) =>
          event.type === 'notifier-invalidated' ? [[event.start, event.end] as const] : [],
        ),
  };
}

function leafAt(state: VmState, log: readonly Recorded[], vm: number, ipa: number): LeafSeen | undefined {
  const { level, leaf } = state.table.walk(ipa);
  if (leaf === undefined) return undefined;
  const descriptor = encodeLeaf(state.geometry, level, leaf);
  const address = encodeLeaf(state.geometry, level, { ...leaf, outputAddress: 0 as Pa });
  const made = log.findLast(
    (event) =>
      (event.type === 'stage2-mapped' || event.type === 'stage2-set') &&
      event.vm === vm &&
      event.ipa <= ipa &&
      ipa < event.ipa + levelSize(state.geometry.granule, event.level),
  );
  return {
    level,
    pa: leaf.outputAddress,
    write: leaf.attributes.write,
    bits: address.toString(16),
    descriptor,
    because: made?.type === 'stage2-mapped' || made?.type === 'stage2-set' ? made.because : null,
    sizeBecause: made?.type === 'stage2-mapped' ? made.sizeBecause : null,
  };
}

const WITHOUT_SYNDROME: ReadonlySet<AccessKind> = new Set([
  'read-pair',
  'write-pair',
  'exclusive-load',
  'exclusive-store',
  'dc-zva',
]);

/** ESR_ELx.WnR is 1 for cache maintenance too. */
const setsWnr = (kind: AccessKind): boolean => isWrite(kind) || isCacheMaintenance(kind);

function syndromeOf(kind: AccessKind, size: number, noSyndrome: boolean): InstructionSyndrome | null {
  if (kind === 'fetch' || kind === 's1-walk' || kind === 's1-walk-update') return null;
  const wnr = setsWnr(kind);
  const cm = isCacheMaintenance(kind);
  if (noSyndrome || cm || WITHOUT_SYNDROME.has(kind) || size > 8) return { ...NO_SYNDROME, wnr, cm };
  const sas = Math.log2(size) as 0 | 1 | 2 | 3;
  return { ...NO_SYNDROME, isv: true, sas, sf: size === 8, srt: 3, wnr };
}

/** @param id any number that no other access of the run has */
export function accessOf(
  id: number,
  kind: AccessKind,
  ipa: number,
  options: AccessOptions = {},
  walk?: Access['walk'],
): Access {
  const { size = kind === 'fetch' ? 4 : 8, va = ipa, attr = NORMAL, noSyndrome = false } = options;
  return {
    id,
    kind,
    size,
    va: va as Va,
    ipa: ipa as Ipa,
    stage1: { attr, sh: 3 },
    syndrome: syndromeOf(kind, size, noSyndrome),
    ...(walk === undefined ? {} : { walk }),
  };
}
