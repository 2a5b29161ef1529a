// What a resulting memory type permits a processor and an interconnect to do with an access, each answer
// under its rule, and when an access takes an Alignment fault (DDI0487 B2.10.1, B2.10.2; S1HasAlignmentFault,
// S2HasAlignmentFault). An implementation may treat a type as a stricter one, never as a weaker one.

import type { Access, AccessKind } from './access.ts';
import type { DeviceType, MemoryType } from './memory-type.ts';
import { isNonCacheable, isWriteBackRwa } from './memory-type.ts';
import type { Shareability } from './shareability.ts';

/** Where each answer comes from. */
export const PERMIT_RULES = {
  'normal-is-memory':
    'B2.10.1: Normal memory has no side effects; reads and writes may be repeated and merged',
  'normal-cacheability': 'B2.10.1: allocated in a cache as its inner and outer cacheability say',
  'normal-non-cacheable': 'B2.10.1: Non-cacheable, never allocated; speculation and merging remain permitted',
  'exclusives-write-back':
    'B2.2.6: guaranteed for ISH or OSH iWB-oWB, read and write allocate, non-transient',
  'exclusives-elsewhere':
    'B2.2.6: IMPLEMENTATION DEFINED: works, external abort, FSC 0b110101, NOP or not atomic',
  'device-no-speculation': 'B2.10.2: no speculative data reads from any Device type',
  'device-never-cached': 'B2.10.2: Device memory is never allocated in a cache',
  'device-unaligned': 'B2.10.2: an unaligned access to any Device type is an Alignment fault',
  'device-dc-zva': 'B2.10.2: DC ZVA to any Device type is an Alignment fault, however aligned',
  'device-fetch': 'B2.10.2: a fetch is a Permission fault or treated as Normal Non-cacheable',
  gathering: 'B2.10.2 G: accesses may be merged, as for Normal Non-cacheable',
  'non-gathering': 'B2.10.2 nG: number, size and bytes of single accesses are kept',
  'gathering-forwards': 'B2.10.2 G: a read may be satisfied from a store buffer if no barrier is between',
  'non-gathering-endpoint': 'B2.10.2 nG: a read gets its data from the endpoint only',
  reordering: 'B2.10.2 R: accesses may be reordered under the same rules as Normal Non-cacheable',
  'non-reordering': 'B2.10.2 nR: accesses to one peripheral arrive in program order',
  'simd-window':
    'B2.10.2: a SIMD&FP load may read the aligned 16 bytes that hold what it asks for, of any Device type',
  'multiple-accesses':
    'B2.10.2: LDP, STP, SIMD&FP: order and sizes of the pieces are not given, an exception may repeat them',
  'early-write-acknowledgement': 'B2.10.2 E: a write may be acknowledged before it reaches the endpoint',
  'no-early-write-acknowledgement': 'B2.10.2 nE: only the endpoint acknowledges a write',
} as const;

export type PermitRule = keyof typeof PERMIT_RULES;

export type Permission<Value = boolean> = { readonly value: Value; readonly because: PermitRule };

export type Permissions = {
  readonly unalignedAccess: Permission<'yes' | 'alignment-fault'>;
  readonly dcZva: Permission<'yes' | 'alignment-fault'>;
  /** Merging of accesses, and write combining. Barriers forbid it across them even where true. */
  readonly gathering: Permission;
  /** Order of accesses to the same peripheral. */
  readonly reordering: Permission;
  readonly earlyWriteAcknowledgement: Permission;
  readonly speculativeReads: Permission;
  /** SIMD&FP loads read neighbours of what they ask for, in the aligned 16 bytes around it. */
  readonly simdWindowReads: Permission;
  /** The pieces of pairs and of vector accesses go in any order, joined or one by one, and may start over. */
  readonly piecesAsTheyCome: Permission;
  /** Reads satisfied from an earlier write in a store or merge buffer. */
  readonly storeBufferForwarding: Permission<'yes' | 'if-no-barrier-between' | 'no'>;
  /** 'by-cacheability': inner and outer caches as the type says. */
  readonly caching: Permission<'by-cacheability' | 'never'>;
  readonly instructionFetch: Permission<'yes' | 'permission-fault-or-non-cacheable'>;
  readonly exclusives: Permission<'guaranteed' | 'implementation-defined'>;
  /** A single access reaches the endpoint once, with its size. Pairs and SIMD may be split in any order. */
  readonly sizeAndCountKept: Permission;
};

type Attribute = 'G' | 'R' | 'E';

const HAS: Readonly<Record<DeviceType, readonly Attribute[]>> = {
  nGnRnE: [],
  nGnRE: ['E'],
  nGRE: ['R', 'E'],
  GRE: ['G', 'R', 'E'],
};

function permitsDevice(device: DeviceType): Permissions {
  const [g, r, e] = (['G', 'R', 'E'] as const).map((attribute) => HAS[device].includes(attribute));
  return {
    unalignedAccess: { value: 'alignment-fault', because: 'device-unaligned' },
    dcZva: { value: 'alignment-fault', because: 'device-dc-zva' },
    gathering: g ? { value: true, because: 'gathering' } : { value: false, because: 'non-gathering' },
    reordering: r ? { value: true, because: 'reordering' } : { value: false, because: 'non-reordering' },
    earlyWriteAcknowledgement: e
      ? { value: true, because: 'early-write-acknowledgement' }
      : { value: false, because: 'no-early-write-acknowledgement' },
    speculativeReads: { value: false, because: 'device-no-speculation' },
    simdWindowReads: { value: true, because: 'simd-window' },
    piecesAsTheyCome: { value: true, because: 'multiple-accesses' },
    storeBufferForwarding: g
      ? { value: 'if-no-barrier-between', because: 'gathering-forwards' }
      : { value: 'no', because: 'non-gathering-endpoint' },
    caching: { value: 'never', because: 'device-never-cached' },
    instructionFetch: { value: 'permission-fault-or-non-cacheable', because: 'device-fetch' },
    exclusives: { value: 'implementation-defined', because: 'exclusives-elsewhere' },
    sizeAndCountKept: g ? { value: false, because: 'gathering' } : { value: true, because: 'non-gathering' },
  };
}

const DEVICE_PERMISSIONS: Readonly<Record<DeviceType, Permissions>> = {
  nGnRnE: permitsDevice('nGnRnE'),
  nGnRE: permitsDevice('nGnRE'),
  nGRE: permitsDevice('nGRE'),
  GRE: permitsDevice('GRE'),
};

function normalPermissions(cached: boolean, exclusives: boolean): Permissions {
  const yes = { value: true, because: 'normal-is-memory' } as const;
  const allowed = { value: 'yes', because: 'normal-is-memory' } as const;
  return {
    unalignedAccess: allowed,
    dcZva: allowed,
    gathering: yes,
    reordering: yes,
    earlyWriteAcknowledgement: yes,
    speculativeReads: cached ? yes : { value: true, because: 'normal-non-cacheable' },
    simdWindowReads: yes,
    piecesAsTheyCome: yes,
    storeBufferForwarding: allowed,
    caching: cached
      ? { value: 'by-cacheability', because: 'normal-cacheability' }
      : { value: 'never', because: 'normal-non-cacheable' },
    instructionFetch: allowed,
    exclusives: exclusives
      ? { value: 'guaranteed', because: 'exclusives-write-back' }
      : { value: 'implementation-defined', because: 'exclusives-elsewhere' },
    sizeAndCountKept: { value: false, because: 'normal-is-memory' },
  };
}

const NORMAL_NON_CACHEABLE = normalPermissions(false, false);
const NORMAL_CACHEABLE = normalPermissions(true, false);
const NORMAL_WITH_EXCLUSIVES = normalPermissions(true, true);

/**
 * What a combined type permits. The shareability matters to exclusives alone; Inner Shareable, as Linux maps
 * RAM, unless given. Where MemAttr 0b0110 forced Write-Back over a stage 1 Device, exclusives may also behave
 * as for Device (R_RMTWN). The records are shared: read them, do not change them.
 */
export function permits(memory: MemoryType, shareability: Shareability = 'ISH'): Permissions {
  if (memory.type === 'Device') return DEVICE_PERMISSIONS[memory.device];
  if (isNonCacheable(memory)) return NORMAL_NON_CACHEABLE;
  const guaranteed = isWriteBackRwa(memory.inner) && isWriteBackRwa(memory.outer) && shareability !== 'NSH';
  return guaranteed ? NORMAL_WITH_EXCLUSIVES : NORMAL_CACHEABLE;
}

export type AlignmentRule =
  /** On any memory type, before translation (UnalignedAccessFaults). */
  | 'sctlr-a'
  | 'exclusive-unaligned'
  | 'atomic-unaligned'
  | 'acquire-release-unaligned'
  /** On a Device type of stage 1 or of stage 2. */
  | 'device-unaligned'
  | 'device-dc-zva';

export type AlignmentFault = {
  readonly stage: 1 | 2;
  /** A guest takes stage 1 faults at EL1 (EC 0x25 or 0x24 from EL0); stage 2 faults go to EL2 (EC 0x24). */
  readonly routedTo: 'EL1' | 'EL2';
  readonly because: AlignmentRule;
};

export type AlignmentAccess = {
  /** 'acquire-release': LDAR, STLR, LDAPR. A vector register counts as one register. */
  readonly kind: AccessKind | 'acquire-release';
  /** Virtual address in bytes; only its low bits matter. */
  readonly address: number | bigint;
  /** Bytes of the whole access, both registers of a pair. */
  readonly size: number;
  /** Bytes of an element where each is aligned by itself (LD1, ST1). */
  readonly element?: number;
};

/** What of an access alignment is about. */
export const alignmentOf = ({ kind, va, size, element }: Access): AlignmentAccess => ({
  kind,
  address: va,
  size,
  ...(element === undefined ? {} : { element }),
});

export type AlignmentCheck = {
  readonly access: AlignmentAccess;
  /** The stage 1 type alone, before stage 2. */
  readonly stage1: MemoryType;
  /**
   * The combined type. S2HasAlignmentFault looks at the stage 2 type with FWB = 0 and at the combined one
   * with FWB = 1; behind a stage 1 that is Normal both are Device in the same cases.
   */
  readonly combined: MemoryType;
  /** SCTLR_EL1.A: alignment checking of every access. */
  readonly sctlrA?: boolean;
  /** FEAT_LSE2: exclusives, atomics and acquire/release may be unaligned within 16 bytes. */
  readonly lse2?: boolean;
};

/** Kinds whose address can be misaligned: not fetches, walks, prefetches, nor maintenance by address. */
const CHECKED: ReadonlySet<AlignmentAccess['kind']> = new Set([
  'read',
  'write',
  'read-pair',
  'write-pair',
  'exclusive-load',
  'exclusive-store',
  'atomic',
  'acquire-release',
]);

const WINDOW = 16;

/** LDP and STP are two accesses, each aligned to one register; LD1 and ST1 one for each element. */
function alignedUnit({ kind, size, element }: AlignmentAccess): number {
  if (element !== undefined) return element;
  return kind === 'read-pair' || kind === 'write-pair' ? size / 2 : size;
}

/** UnalignedAccessFaults: kinds of access that need alignment on any memory type. */
function anyMemoryRule(check: AlignmentCheck, low: number): AlignmentRule | null {
  const { kind, size } = check.access;
  if (check.sctlrA) return 'sctlr-a';
  if (check.lse2 && (low % WINDOW) + size <= WINDOW) return null;
  if (kind === 'exclusive-load' || kind === 'exclusive-store') return 'exclusive-unaligned';
  if (kind === 'atomic') return 'atomic-unaligned';
  return kind === 'acquire-release' ? 'acquire-release-unaligned' : null;
}

/**
 * The Alignment fault (FSC 0b100001) of an access, or null. Faults on any memory and those of a stage 1
 * Device type are stage 1 faults and come first; a Device type that only stage 2 makes is a stage 2 fault. DC
 * ZVA to Device faults whatever its address. Stage 1 Device under FWB = 1 MemAttr 0b0110 faults as in the
 * pseudocode; the text leaves it CONSTRAINED UNPREDICTABLE (R_RMTWN).
 * @throws RangeError for a size that is no power of two (of one register, for a pair)
 */
export function alignmentFault(check: AlignmentCheck): AlignmentFault | null {
  const { access, stage1, combined } = check;
  const unit = alignedUnit(access);
  if (!Number.isInteger(Math.log2(unit)) || unit < 1) {
    throw new RangeError(`access of ${access.size} bytes: give a power of two for each register`);
  }
  const low = Number(BigInt.asUintN(12, BigInt(access.address)));
  const misaligned = CHECKED.has(access.kind) && low % unit !== 0;
  const onAnyMemory = misaligned ? anyMemoryRule(check, low) : null;
  if (onAnyMemory !== null) return { stage: 1, routedTo: 'EL1', because: onAnyMemory };
  if (!misaligned && access.kind !== 'dc-zva') return null;
  const because = access.kind === 'dc-zva' ? 'device-dc-zva' : 'device-unaligned';
  if (stage1.type === 'Device') return { stage: 1, routedTo: 'EL1', because };
  return combined.type === 'Device' ? { stage: 2, routedTo: 'EL2', because } : null;
}
