// One byte of MAIR_EL1, which is also PAR_EL1.ATTR: decoded and encoded both ways (DDI0487 MAIR_EL1;
// S1DecodeMemAttrs, DecodeLDFAttr, PAREncodeAttrs). Reserved bytes are UNPREDICTABLE and are never given a
// type.

import type { Cacheability, MemoryFeatures, MemoryType } from './memory-type.ts';
import {
  DEVICE_TYPES,
  isNonCacheable,
  NON_CACHEABLE,
  NORMAL_NC,
  NORMAL_WB,
  normal,
  WRITE_BACK_RWA,
  WRITE_THROUGH_RA,
} from './memory-type.ts';

export type MairByte =
  | { readonly encoding: 'allocated'; readonly type: MemoryType }
  /** UNPREDICTABLE: the byte behaves as some allocated byte, so each of their types is an outcome. */
  | { readonly encoding: 'reserved'; readonly outcomes: readonly MemoryType[] };

const TAGGED = 0xf0;
/** Only ever read from PAR_EL1: Tagged memory to which stage 2 forbids tag accesses (FEAT_MTE_PERM). */
const TAGGED_NO_TAG_ACCESS = 0xe0;
const NC_XS0 = 0x40;
const WT_XS0 = 0xa0;
const WT_RA = 0xaa;

/** Bits [3:2] of a cacheable nibble: 00 WT transient, 01 WB transient, 10 WT, 11 WB; [1:0] are R and W. */
function decodeNibble(nibble: number): Cacheability {
  if (nibble === 0b0100) return NON_CACHEABLE;
  return {
    policy: nibble & 0b0100 ? 'WB' : 'WT',
    transient: (nibble & 0b1000) === 0,
    readAllocate: (nibble & 0b0010) !== 0,
    writeAllocate: (nibble & 0b0001) !== 0,
  };
}

function encodeNibble(half: Cacheability): number {
  if (half.policy === 'NC') return 0b0100;
  const allocate = (half.readAllocate ? 0b0010 : 0) | (half.writeAllocate ? 0b0001 : 0);
  if (half.transient && allocate === 0) {
    throw new RangeError(
      `a transient ${half.policy} type needs a read or write allocation hint to be encoded`,
    );
  }
  return (half.transient ? 0 : 0b1000) | (half.policy === 'WB' ? 0b0100 : 0) | allocate;
}

function decodeDevice(byte: number, features: MemoryFeatures): MemoryType | undefined {
  const device = DEVICE_TYPES[byte >> 2];
  if (device === undefined || byte & 0b10) return undefined;
  if (byte & 0b01) return features.xs ? { type: 'Device', device, xs: 0 } : undefined;
  return { type: 'Device', device };
}

function decodeLowNibbleZero(byte: number, features: MemoryFeatures): MemoryType | undefined {
  if (byte === NC_XS0 && features.xs) return { ...NORMAL_NC, xs: 0 };
  if (byte === WT_XS0 && features.xs) return { ...normal(WRITE_THROUGH_RA), xs: 0 };
  if (byte === TAGGED && features.mte2) return { ...NORMAL_WB, tagged: true };
  return undefined;
}

function decodeAllocated(byte: number, features: MemoryFeatures): MemoryType | undefined {
  if (byte >> 4 === 0) return decodeDevice(byte, features);
  if ((byte & 0xf) === 0) return decodeLowNibbleZero(byte, features);
  return normal(decodeNibble(byte & 0xf), decodeNibble(byte >> 4));
}

/** All 256 bytes for each of the features that allocate some, by {@link featureIndex}. */
const DECODED: readonly (readonly MairByte[])[] = [
  {},
  { xs: true },
  { mte2: true },
  { xs: true, mte2: true },
].map((features) => {
  const types = Array.from({ length: 256 }, (_, byte) => decodeAllocated(byte, features));
  const outcomes = types.filter((type) => type !== undefined);
  const reserved: MairByte = { encoding: 'reserved', outcomes };
  return types.map((type) => (type === undefined ? reserved : { encoding: 'allocated', type }));
});

function featureIndex(features: MemoryFeatures): number {
  return (features.xs ? 1 : 0) + (features.mte2 ? 2 : 0);
}

/**
 * Decodes one MAIR_EL1 byte (0 to 255). A reserved byte yields every type that an allocated one can have, in
 * the order of the bytes: 229 without FEAT_XS and FEAT_MTE2, one more with FEAT_MTE2, six more with FEAT_XS.
 * @throws RangeError when the value is no byte
 */
export function decodeMair(byte: number, features: MemoryFeatures = {}): MairByte {
  const decoded = DECODED[featureIndex(features)]?.[byte];
  if (decoded === undefined) throw new RangeError(`MAIR byte ${byte} is not a whole number from 0 to 255`);
  return decoded;
}

/**
 * The byte that MAIR_EL1 or PAR_EL1.ATTR has for a type: the inverse of {@link decodeMair} on allocated
 * bytes. NoTagAccess gives 0xE0, which PAR_EL1 alone may hold; XS = 0 shows only where it has an encoding.
 * @throws RangeError for a transient half without an allocation hint, which no byte can express
 */
export function encodeMair(memory: MemoryType): number {
  if (memory.type === 'Device') return (DEVICE_TYPES.indexOf(memory.device) << 2) | (memory.xs === 0 ? 1 : 0);
  if (memory.tagged) return memory.noTagAccess ? TAGGED_NO_TAG_ACCESS : TAGGED;
  if (memory.xs === 0 && isNonCacheable(memory)) return NC_XS0;
  const byte = (encodeNibble(memory.outer) << 4) | encodeNibble(memory.inner);
  // 0xA0 means Write-Through Read-Allocate: with other hints XS = 0 has no encoding and is not shown.
  if (memory.xs === 0 && byte === WT_RA) return WT_XS0;
  return byte;
}

/**
 * What a PAR_EL1.ATTR value says: as a MAIR byte with every optional encoding, and 0xE0. Undefined when
 * reserved.
 * @throws RangeError when the value is no byte
 */
export function decodeParAttr(attr: number): MemoryType | undefined {
  if (attr === TAGGED_NO_TAG_ACCESS) {
    return { ...normal(WRITE_BACK_RWA), tagged: true, noTagAccess: true };
  }
  const decoded = decodeMair(attr, { xs: true, mte2: true });
  return decoded.encoding === 'allocated' ? decoded.type : undefined;
}
