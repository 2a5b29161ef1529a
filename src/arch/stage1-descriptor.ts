// Stage 1 descriptors of the EL1&0 regime, both ways (DDI0487 D8.3, VMSAv8-64): what a guest's own tables hold in its
// memory, 64 bits each. Addresses of 48 bits, without FEAT_LPA2; bigint at this edge and in the walk alone.

import type { Ipa } from './addresses.ts';
import { ipa } from './addresses.ts';
import type { Granule, Level } from './geometry.ts';
import { entriesPerTable, granuleShift, kvmMinBlockLevel, levelSize } from './geometry.ts';

/** What stage 1 makes of a page, in the spelling of the Arm ARM. */
export interface Stage1Leaf {
  readonly output: Ipa;
  /** AttrIndx[2:0], bits [4:2]: which byte of MAIR_EL1. */
  readonly attrIndx: number;
  /** AP[1], bit 6: EL0 has access. */
  readonly el0: boolean;
  /** AP[2], bit 7: read-only. */
  readonly readOnly: boolean;
  /** SH[1:0], bits [9:8]. */
  readonly sh: number;
  /** Access flag, bit 10. */
  readonly af: boolean;
  /** DBM, bit 51: hardware may clear AP[2] (FEAT_HAFDBS). */
  readonly dbm: boolean;
  /** PXN and UXN, bits 53 and 54: execute-never at EL1, at EL0. */
  readonly pxn: boolean;
  readonly uxn: boolean;
}

export type Stage1Descriptor =
  /** Invalid, or bits[1:0] = 0b01 where no block may stand: a Translation fault. */
  | { readonly kind: 'invalid' }
  /** Restrictions on everything below: APTable[1] (bit 62) and PXNTable (bit 59). */
  | { readonly kind: 'table'; readonly next: Ipa; readonly readOnly: boolean; readonly pxn: boolean }
  | { readonly kind: 'leaf'; readonly leaf: Stage1Leaf };

const VALID = 1n;
const TABLE_OR_PAGE = 2n;
const PAGE: Level = 3;
const ADDRESS_BITS = 48;

const AF = 10;
const READ_ONLY = 7;

const bit = (at: number): bigint => 1n << BigInt(at);
const has = (descriptor: bigint, at: number): boolean => (descriptor & bit(at)) !== 0n;
const flagAt = (value: boolean, at: number): bigint => (value ? bit(at) : 0n);

/** Level at which a walk of `inputBits` (64 - TCR_EL1.T0SZ, 25 to 48) starts. */
export function stage1StartLevel(granule: Granule, inputBits: number): Level {
  const shift = granuleShift(granule);
  return (4 - Math.ceil((inputBits - shift) / (shift - 3))) as Level;
}

/** Address of the entry for `va` in a table of that level at `table`. */
export function stage1EntryAddress(granule: Granule, level: Level, table: Ipa, va: number): Ipa {
  const index = Math.floor(va / levelSize(granule, level)) % entriesPerTable(granule);
  return ipa(table + index * 8);
}

/** Whether a block or page may stand at that level: from 1 with 4K, from 2 with 16K and 64K, without FEAT_LPA2. */
export const isStage1LeafLevel = (granule: Granule, level: Level): boolean =>
  level >= kvmMinBlockLevel(granule);

/** @throws RangeError for an output that is no multiple of what the entry spans, or has more than 48 bits */
export function encodeStage1Leaf(granule: Granule, level: Level, leaf: Stage1Leaf): bigint {
  const size = levelSize(granule, level);
  if (!isStage1LeafLevel(granule, level) || leaf.output % size !== 0 || leaf.output >= 2 ** ADDRESS_BITS) {
    throw new RangeError(`stage 1 cannot map 0x${leaf.output.toString(16)} by a leaf of level ${level}`);
  }
  return (
    BigInt(leaf.output) |
    VALID |
    (level === PAGE ? TABLE_OR_PAGE : 0n) |
    (BigInt(leaf.attrIndx & 7) << 2n) |
    flagAt(leaf.el0, 6) |
    flagAt(leaf.readOnly, READ_ONLY) |
    (BigInt(leaf.sh & 3) << 8n) |
    flagAt(leaf.af, AF) |
    flagAt(leaf.dbm, 51) |
    flagAt(leaf.pxn, 53) |
    flagAt(leaf.uxn, 54)
  );
}

/** The descriptor that points to the next-level table. @throws RangeError for a misaligned address */
export function encodeStage1Table(granule: Granule, next: Ipa): bigint {
  if (next % granule !== 0)
    throw new RangeError(`table 0x${next.toString(16)} is not aligned to its granule`);
  return BigInt(next) | VALID | TABLE_OR_PAGE;
}

/** What hardware makes of 64 bits found at `level`. */
export function decodeStage1(granule: Granule, level: Level, descriptor: bigint): Stage1Descriptor {
  if ((descriptor & VALID) === 0n) return { kind: 'invalid' };
  const tableOrPage = (descriptor & TABLE_OR_PAGE) !== 0n;
  const address = Number(BigInt.asUintN(ADDRESS_BITS, descriptor));
  if (level < PAGE && tableOrPage) {
    const next = ipa(address - (address % granule));
    return { kind: 'table', next, readOnly: has(descriptor, 62), pxn: has(descriptor, 59) };
  }
  if (tableOrPage !== (level === PAGE) || !isStage1LeafLevel(granule, level)) return { kind: 'invalid' };
  const leaf: Stage1Leaf = {
    output: ipa(address - (address % levelSize(granule, level))),
    attrIndx: Number((descriptor >> 2n) & 7n),
    el0: has(descriptor, 6),
    readOnly: has(descriptor, READ_ONLY),
    sh: Number((descriptor >> 8n) & 3n),
    af: has(descriptor, AF),
    dbm: has(descriptor, 51),
    pxn: has(descriptor, 53),
    uxn: has(descriptor, 54),
  };
  return { kind: 'leaf', leaf };
}

/** The descriptor as hardware writes it back: access flag set and, for a write, AP[2] clear (FEAT_HAFDBS). */
export const updatedStage1 = (descriptor: bigint, clearReadOnly: boolean): bigint =>
  (descriptor | bit(AF)) & ~(clearReadOnly ? bit(READ_ONLY) : 0n);
