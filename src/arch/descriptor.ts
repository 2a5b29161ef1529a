// Stage 2 descriptors of the VMSAv8-64, both ways (DDI0487 D8.3): what the table holds as data on one side,
// the 64 bits that hardware reads and dumps show on the other. bigint is used here and nowhere further in.

import type { Pa } from './addresses.ts';
import { pa } from './addresses.ts';
import { field, flag } from './bits.ts';
import type { Granule, Level, Stage2Geometry } from './geometry.ts';
import { isLeafLevel, levelSize } from './geometry.ts';

/** The attribute fields of a stage 2 block or page descriptor, in the spelling of the Arm ARM. */
export interface LeafAttributes {
  /** MemAttr[3:0], bits [5:2]: 0 to 15; what it means depends on HCR_EL2.FWB. */
  readonly memAttr: number;
  /** S2AP[0], bit 6. */
  readonly read: boolean;
  /** S2AP[1], bit 7. */
  readonly write: boolean;
  /** XN[1:0], bits [54:53]; 0b10, execute never, is all that KVM writes besides 0 without FEAT_XNX. */
  readonly xn: 0 | 1 | 2 | 3;
  /**
   * SH[1:0], bits [9:8]. No such field with LPA2: VTCR_EL2.SH0 rules, which KVM sets to 3, Inner Shareable.
   */
  readonly sh: 0 | 1 | 2 | 3;
  /** Access flag, bit 10. */
  readonly af: boolean;
  /** FnXS, bit 11 (FEAT_XS). */
  readonly fnXS: boolean;
  /** nT, bit 16 of a block (FEAT_BBM); a page has an address bit there. */
  readonly nT: boolean;
  /** DBM, bit 51. */
  readonly dbm: boolean;
  /** Contiguous, bit 52. */
  readonly contiguous: boolean;
  /** Bits [58:55], 0 to 15, which hardware ignores: KVM_PGTABLE_PROT_SW0 to SW3. */
  readonly software: number;
}

/** A valid block or page: where it leads and how. */
export interface Stage2Leaf {
  readonly outputAddress: Pa;
  readonly attributes: LeafAttributes;
}

export type Descriptor =
  | { readonly kind: 'invalid' }
  | { readonly kind: 'reserved' }
  | { readonly kind: 'table'; readonly next: Pa }
  | { readonly kind: 'leaf'; readonly leaf: Stage2Leaf };

const VALID = 1;
const TABLE_OR_PAGE = 1 << 1;
const INNER_SHAREABLE = 3;
// The upper attribute fields start here; they are put together as one number before they become a bigint.
const UPPER = 51;

/**
 * The block or page descriptor for `leaf` at `level`.
 * @throws RangeError if no leaf may stand at that level, the output address is no multiple of what the entry
 * spans or has more bits than the format holds, or a field does not fit
 */
export function encodeLeaf(geometry: Stage2Geometry, level: Level, leaf: Stage2Leaf): bigint {
  const { attributes, outputAddress } = leaf;
  if (level < geometry.startLevel || !isLeafLevel(geometry, level)) {
    throw new RangeError(`no block may stand at level ${level} of the ${geometry.granule / 1024}K granule`);
  }
  if (attributes.nT && level === 3) {
    throw new RangeError('nT is a field of blocks; bit 16 of a page descriptor belongs to its address');
  }
  const low =
    VALID +
    flag(level === 3, 1) +
    field('MemAttr', attributes.memAttr, 4) * 2 ** 2 +
    flag(attributes.read, 6) +
    flag(attributes.write, 7) +
    (geometry.lpa2 ? 0 : field('SH', attributes.sh, 2) * 2 ** 8) +
    flag(attributes.af, 10) +
    flag(attributes.fnXS, 11) +
    flag(attributes.nT, 16);
  const high =
    flag(attributes.dbm, 51 - UPPER) +
    flag(attributes.contiguous, 52 - UPPER) +
    field('XN', attributes.xn, 2) * 2 ** (53 - UPPER) +
    field('software', attributes.software, 4) * 2 ** (55 - UPPER);
  const address = addressBits(geometry, outputAddress, levelSize(geometry.granule, level));
  return address + BigInt(low) + (BigInt(high) << BigInt(UPPER));
}

/**
 * The descriptor that points to the next-level table at `next`.
 * @throws RangeError for a misaligned address
 */
export function encodeTable(geometry: Stage2Geometry, next: Pa): bigint {
  return addressBits(geometry, next, geometry.granule) + BigInt(VALID + TABLE_OR_PAGE);
}

/**
 * What hardware makes of 64 bits found at `level`. `reserved` is bits[1:0] = 0b01 where no block may stand,
 * which faults like an invalid entry. IGNORED bits, [63] and [62:59] (PBHA), are not looked at.
 * @throws RangeError if `descriptor` is not an unsigned 64-bit number
 */
export function decodeDescriptor(geometry: Stage2Geometry, level: Level, descriptor: bigint): Descriptor {
  if (descriptor !== BigInt.asUintN(64, descriptor)) {
    throw new RangeError(`descriptor ${descriptor} is not an unsigned 64-bit number`);
  }
  const low = Number(descriptor & 0x1ffffn);
  if ((low & VALID) === 0) {
    return { kind: 'invalid' };
  }
  const tableOrPage = (low & TABLE_OR_PAGE) !== 0;
  if (level < 3 && tableOrPage) {
    return { kind: 'table', next: outputAddress(geometry, descriptor, geometry.granule) };
  }
  if (!isLeafLevel(geometry, level) || (level === 3 && !tableOrPage)) {
    return { kind: 'reserved' };
  }
  const high = Number(descriptor >> BigInt(UPPER));
  const attributes: LeafAttributes = {
    memAttr: (low >> 2) & 0xf,
    read: (low & (1 << 6)) !== 0,
    write: (low & (1 << 7)) !== 0,
    xn: ((high >> 2) & 3) as 0 | 1 | 2 | 3,
    sh: geometry.lpa2 ? INNER_SHAREABLE : (((low >> 8) & 3) as 0 | 1 | 2 | 3),
    af: (low & (1 << 10)) !== 0,
    fnXS: (low & (1 << 11)) !== 0,
    nT: level < 3 && (low & (1 << 16)) !== 0,
    dbm: (high & 1) !== 0,
    contiguous: (high & 2) !== 0,
    software: (high >> 4) & 0xf,
  };
  const size = levelSize(geometry.granule, level);
  return { kind: 'leaf', leaf: { outputAddress: outputAddress(geometry, descriptor, size), attributes } };
}

// Where an output address beyond 48 bits goes (DDI0487 D8.3.1): OA[49:48] stay in place and OA[51:50] take
// the place of SH with DS = 1; OA[51:48] stand in [15:12] with the 64K granule; elsewhere there are 48 bits.
const TOP_FIELD: Readonly<Record<Granule, { readonly from: number; readonly at: number } | undefined>> = {
  4096: undefined,
  16384: undefined,
  65536: { from: 48, at: 12 },
};
const LPA2_FIELD = { from: 50, at: 8 };

function topField(geometry: Stage2Geometry) {
  return geometry.lpa2 ? LPA2_FIELD : TOP_FIELD[geometry.granule];
}

function addressBits(geometry: Stage2Geometry, address: Pa, size: number): bigint {
  if (address % size !== 0) {
    throw new RangeError(`address 0x${address.toString(16)} is not aligned to 0x${size.toString(16)} bytes`);
  }
  const top = topField(geometry);
  if (top === undefined) {
    if (address >= 2 ** 48) {
      throw new RangeError(
        `address 0x${address.toString(16)} has more than the 48 bits of this descriptor format`,
      );
    }
    return BigInt(address);
  }
  const below = address % 2 ** top.from;
  return BigInt(below) + (BigInt((address - below) / 2 ** top.from) << BigInt(top.at));
}

function outputAddress(geometry: Stage2Geometry, descriptor: bigint, size: number): Pa {
  const top = topField(geometry);
  const from = top?.from ?? 48;
  const inPlace = Number(BigInt.asUintN(from, descriptor));
  const above = top === undefined ? 0 : Number((descriptor >> BigInt(top.at)) & BigInt(2 ** (52 - from) - 1));
  return pa(inPlace - (inPlace % size) + above * 2 ** from);
}
