// Memory types as the Arm manual names them: four Device types, and Normal with a cacheability for the inner
// and the outer domain (DDI0487 B2.10). Also the two strictness orders that combining is built on (D8.6).

/** Device memory types, strictest first: Gathering, Reordering, Early write acknowledgement. */
export type DeviceType = 'nGnRnE' | 'nGnRE' | 'nGRE' | 'GRE';

/** Cacheability without hints: Non-cacheable, Write-Through, Write-Back. */
export type CachePolicy = 'NC' | 'WT' | 'WB';

/** A cacheable half of a Normal type; transient and the allocation hints never change what is permitted. */
export type Cacheable = {
  readonly policy: 'WT' | 'WB';
  readonly transient: boolean;
  readonly readAllocate: boolean;
  readonly writeAllocate: boolean;
};

export type Cacheability = { readonly policy: 'NC' } | Cacheable;

export type DeviceMemory = {
  readonly type: 'Device';
  readonly device: DeviceType;
  /** FEAT_XS: present where the XS attribute is 0; absent where it is 1 or the feature is not implemented. */
  readonly xs?: 0;
};

export type NormalMemory = {
  readonly type: 'Normal';
  readonly inner: Cacheability;
  readonly outer: Cacheability;
  /** FEAT_MTE2: Allocation Tags are accessible. Only ever true for iWB-oWB RWA non-transient. */
  readonly tagged: boolean;
  /** FEAT_MTE_PERM: stage 2 forbids tag accesses to this Tagged memory. */
  readonly noTagAccess?: true;
  /** As for Device. iWB-oWB has XS = 0 by definition and does not carry it; ask {@link xsOf}. */
  readonly xs?: 0;
};

export type MemoryType = DeviceMemory | NormalMemory;

/** Optional features that give meaning to otherwise reserved encodings; absent means not implemented. */
export type MemoryFeatures = {
  readonly xs?: boolean;
  readonly mte2?: boolean;
  readonly mtePerm?: boolean;
};

/** What remains when an encoding leaves a choice: at least one, in the order the module documents. */
export type NonEmpty<T> = readonly [T, ...T[]];

/** Encoding order 0b00 to 0b11, which is also strictness: nGnRnE < nGnRE < nGRE < GRE (R_TNHFM). */
export const DEVICE_TYPES: readonly DeviceType[] = ['nGnRnE', 'nGnRE', 'nGRE', 'GRE'];

/** Order in which the lower wins when two Normal types meet: NC < WT < WB (R_GQFSF). */
export const CACHE_POLICIES: readonly CachePolicy[] = ['NC', 'WT', 'WB'];

export const DEVICE_nGnRnE: DeviceMemory = { type: 'Device', device: 'nGnRnE' };
export const DEVICE_nGnRE: DeviceMemory = { type: 'Device', device: 'nGnRE' };
export const DEVICE_nGRE: DeviceMemory = { type: 'Device', device: 'nGRE' };
export const DEVICE_GRE: DeviceMemory = { type: 'Device', device: 'GRE' };

export const NON_CACHEABLE: Cacheability = { policy: 'NC' };

/** Write-Back, Read-Allocate Write-Allocate, non-transient: what FWB and HCR_EL2.DC force. */
export const WRITE_BACK_RWA: Cacheable = {
  policy: 'WB',
  transient: false,
  readAllocate: true,
  writeAllocate: true,
};

/** Write-Through, Read-Allocate, non-transient: fetches with stage 1 off, and the one WT type with XS = 0. */
export const WRITE_THROUGH_RA: Cacheable = {
  policy: 'WT',
  transient: false,
  readAllocate: true,
  writeAllocate: false,
};
const WRITE_THROUGH_RWA: Cacheable = { ...WRITE_BACK_RWA, policy: 'WT' };

/** Normal Non-cacheable in both domains, MAIR byte 0x44: Linux MT_NORMAL_NC, pgprot_writecombine. */
export const NORMAL_NC: NormalMemory = normal(NON_CACHEABLE);
/** Normal Write-Through RWA in both domains, MAIR byte 0xBB. */
export const NORMAL_WT: NormalMemory = normal(WRITE_THROUGH_RWA);
/** Normal Write-Back RWA in both domains, MAIR byte 0xFF: Linux MT_NORMAL. */
export const NORMAL_WB: NormalMemory = normal(WRITE_BACK_RWA);

/** An Untagged Normal type; the outer cacheability is that of the inner unless given. */
export function normal(inner: Cacheability, outer: Cacheability = inner): NormalMemory {
  return { type: 'Normal', inner, outer, tagged: false };
}

/** The stricter of two Device types (R_TNHFM, S2CombineS1Device). */
export function stricterDevice(a: DeviceType, b: DeviceType): DeviceType {
  return DEVICE_TYPES.indexOf(a) <= DEVICE_TYPES.indexOf(b) ? a : b;
}

/** The less cacheable of two policies (R_GQFSF, S2CombineS1AttrHints). */
export function lowerPolicy(a: CachePolicy, b: CachePolicy): CachePolicy {
  return CACHE_POLICIES.indexOf(a) <= CACHE_POLICIES.indexOf(b) ? a : b;
}

/**
 * True for Normal memory that is Non-cacheable in both domains, which like Device is always Outer Shareable.
 */
export function isNonCacheable(memory: MemoryType): boolean {
  return memory.type === 'Normal' && memory.inner.policy === 'NC' && memory.outer.policy === 'NC';
}

/** True for iWB-oWB, whatever its hints. */
export function isWriteBack(memory: MemoryType): boolean {
  return memory.type === 'Normal' && memory.inner.policy === 'WB' && memory.outer.policy === 'WB';
}

/**
 * True for Write-Back RWA non-transient, the only cacheability that exclusives and Allocation Tags can count
 * on.
 */
export function isWriteBackRwa(half: Cacheability): boolean {
  return half.policy === 'WB' && half.readAllocate && half.writeAllocate && !half.transient;
}

/** The XS attribute of FEAT_XS: 0 for iWB-oWB and for the types encoded or marked so, else 1 (D8.7.4). */
export function xsOf(memory: MemoryType): 0 | 1 {
  return isWriteBack(memory) ? 0 : (memory.xs ?? 1);
}

function hints(half: Cacheability): string {
  if (half.policy === 'NC') return '';
  const allocate = `${half.readAllocate ? 'R' : ''}${half.writeAllocate ? 'W' : ''}`;
  return `${allocate === '' ? '' : ` ${allocate}A`}${half.transient ? ' transient' : ''}`;
}

function describeNormal({ inner, outer }: NormalMemory): string {
  if (inner.policy === 'NC' && outer.policy === 'NC') return 'Normal Non-cacheable';
  // Hints are written once where they cannot be misread: both halves agree, or only one can have any.
  const shared = hints(inner) === hints(outer) || inner.policy === 'NC' || outer.policy === 'NC';
  if (shared)
    return `Normal i${inner.policy}-o${outer.policy}${hints(inner.policy === 'NC' ? outer : inner)}`;
  const spelled = (half: Cacheability): string => hints(half) || ' no-allocate';
  return `Normal i${inner.policy}${spelled(inner)}, o${outer.policy}${spelled(outer)}`;
}

/** The manual's spelling, short enough for a table cell: 'Device-nGnRE', 'Normal iWB-oWB RWA'. */
export function describeMemoryType(memory: MemoryType): string {
  const xs = memory.xs === 0 ? ' XS=0' : '';
  if (memory.type === 'Device') return `Device-${memory.device}${xs}`;
  const tags = memory.noTagAccess ? ' NoTagAccess' : memory.tagged ? ' Tagged' : '';
  return `${describeNormal(memory)}${tags}${xs}`;
}
