// Combines stage 1 and stage 2 memory attributes: `combine` for one access with its reasons,
// `combineAttributes` in PAR_EL1 encoding with every outcome the architecture permits (DDI0487 D8.6; R_QPHXK,
// R_VRJSW, R_NSCNC).

import type { CombineRule } from './combine-rules.ts';
import { combineTypes } from './combine-rules.ts';
import { decodeMair, encodeMair } from './mair.ts';
import type { MemoryFeatures, MemoryType } from './memory-type.ts';
import type { Shareability, ShareabilityRule } from './shareability.ts';
import {
  combineShareability,
  decodeShareability,
  encodeShareability,
  isAlwaysOuterShareable,
} from './shareability.ts';
import { decodeMemAttr } from './stage2-memattr.ts';

/** What stage 1 hands to stage 2: stage1.ts makes one. */
export type Stage1Type = { readonly type: MemoryType; readonly shareability: Shareability };

/** The fields of a stage 2 leaf descriptor that combining looks at. */
export type Stage2Attributes = {
  /** MemAttr[3:0], descriptor bits [5:2]. */
  readonly memAttr: number;
  /** SH[1:0], descriptor bits [9:8]. */
  readonly sh: number;
  /** FnXS, descriptor bit 11, with FEAT_XS. */
  readonly fnXS?: boolean;
};

export type CombineRegime = {
  /** HCR_EL2.FWB. */
  readonly fwb: boolean;
  /** HCR_EL2.CD for data accesses and walks; for a fetch give HCR_EL2.ID, which does the same to it. */
  readonly cd: boolean;
  readonly features?: MemoryFeatures;
  /**
   * R_NSCNC: how stage 1 Device and Non-cacheable enter, IMPLEMENTATION DEFINED. Its SH field unless given.
   */
  readonly deviceEntersAs?: 'sh-field' | 'outer-shareable';
};

export type CombinedType = {
  readonly type: MemoryType;
  readonly shareability: Shareability;
  readonly because: CombineRule;
  readonly shareabilityBecause: ShareabilityRule;
};

/**
 * The memory type of one access and the rules that decided it. Where an encoding is reserved this is one
 * permitted outcome, the first that decodeMemAttr and decodeShareability name; combineAttributes gives all of
 * them.
 * @throws RangeError for a MemAttr or SH value out of range
 */
export function combine(stage1: Stage1Type, stage2: Stage2Attributes, regime: CombineRegime): CombinedType {
  const { fwb, cd, features = {} } = regime;
  const [memAttr] = decodeMemAttr(stage2.memAttr, fwb, features).outcomes;
  const [stage2Shareability] = decodeShareability(stage2.sh);
  const fnXS = stage2.fnXS === true;
  const { type, because } = combineTypes(stage1.type, memAttr, { fwb, cd, xs: features.xs === true, fnXS });
  if (isAlwaysOuterShareable(type)) {
    const shareabilityBecause = 'device-and-non-cacheable-are-outer-shareable';
    return { type, shareability: 'OSH', because, shareabilityBecause };
  }
  const entersAsOsh = regime.deviceEntersAs === 'outer-shareable' && isAlwaysOuterShareable(stage1.type);
  const entering = entersAsOsh ? 'OSH' : stage1.shareability;
  const combined = combineShareability(entering, stage2Shareability);
  return {
    type,
    because,
    shareability: combined.shareability,
    shareabilityBecause: combined.because,
  };
}

/** One result as PAR_EL1 shows it: ATTR [63:56] and SH [8:7]. */
export type AttributeOutcome = { readonly attr: number; readonly sh: number };

export type CombineInput = {
  /** HCR_EL2.FWB. */
  readonly fwb: boolean | 0 | 1;
  /** HCR_EL2.CD. */
  readonly cd: boolean | 0 | 1;
  /** The MAIR byte, 0 to 255, and SH field, 0 to 3, of stage 1. */
  readonly s1: { readonly attr: number; readonly sh: number };
  /** MemAttr[3:0], 0 to 15, and SH field, 0 to 3, of stage 2. */
  readonly s2: { readonly memattr: number; readonly sh: number; readonly fnXS?: boolean };
  readonly features?: MemoryFeatures;
};

/** A combined ATTR before the SH fields are looked at. */
type Cell = {
  readonly attr: number;
  readonly alwaysOsh: boolean;
  /** Stage 1 may enter as Outer Shareable whatever its field says (R_NSCNC). */
  readonly mayEnterAsOsh: boolean;
};

type CellRegime = {
  readonly fwb: boolean;
  readonly cd: boolean;
  readonly fnXS: boolean;
  readonly features: MemoryFeatures;
};

const SH_VALUES = [0, 1, 2, 3] as const;
const OUTER_SHAREABLE = encodeShareability('OSH');

/**
 * Reserved MAIR bytes all have the same outcomes: one of them, reserved under any features, stands for all.
 */
const RESERVED_BYTE = 0x02;

/** Frozen and shared, so that asking for the whole space allocates no outcome twice. */
const OUTCOMES: readonly AttributeOutcome[] = Array.from({ length: 256 * 4 }, (_, index) =>
  Object.freeze({ attr: index >> 2, sh: index & 0b11 }),
);

/**
 * Combined SH values in order, by [stage 1 SH][stage 2 SH]; the first table is without the choice of R_NSCNC.
 */
const COMBINED_SH = [false, true].map((mayEnterAsOsh) =>
  SH_VALUES.map((s1) => SH_VALUES.map((s2) => combinedFields(s1, s2, mayEnterAsOsh))),
);

function combinedFields(s1: number, s2: number, mayEnterAsOsh: boolean): readonly number[] {
  const entering: readonly Shareability[] = mayEnterAsOsh
    ? [...decodeShareability(s1), 'OSH']
    : decodeShareability(s1);
  const fields = entering.flatMap((a) =>
    decodeShareability(s2).map((b) => encodeShareability(combineShareability(a, b).shareability)),
  );
  return [...new Set(fields)].sort((a, b) => a - b);
}

function computeCells(types: readonly MemoryType[], memattr: number, regime: CellRegime): readonly Cell[] {
  const { fwb, cd, fnXS, features } = regime;
  const cells = new Map<number, Cell>();
  for (const stage1 of types) {
    const entersAsOsh = isAlwaysOuterShareable(stage1);
    for (const stage2 of decodeMemAttr(memattr, fwb, features).outcomes) {
      const { type } = combineTypes(stage1, stage2, { fwb, cd, fnXS, xs: features.xs === true });
      const attr = encodeMair(type);
      cells.set(attr, {
        attr,
        alwaysOsh: isAlwaysOuterShareable(type),
        mayEnterAsOsh: entersAsOsh || cells.get(attr)?.mayEnterAsOsh === true,
      });
    }
  }
  return [...cells.values()].sort((a, b) => a.attr - b.attr);
}

/** A memo of a pure function over at most 256 x 16 encodings in each regime. */
const cellMemo = new Map<number, readonly Cell[]>();

function bits(...flags: readonly (boolean | undefined)[]): number {
  return flags.reduce((value, flag) => (value << 1) | (flag ? 1 : 0), 0);
}

function cellsOf(attr: number, memattr: number, regime: CellRegime): readonly Cell[] {
  const { fwb, cd, fnXS, features } = regime;
  const flags = bits(fwb, cd, fnXS, features.xs, features.mte2, features.mtePerm);
  const key = (flags << 12) | (memattr << 8) | attr;
  const known = cellMemo.get(key);
  if (known !== undefined) return known;
  const decoded = decodeMair(attr, features);
  const shared = decoded.encoding === 'reserved' && attr !== RESERVED_BYTE;
  const types = decoded.encoding === 'reserved' ? decoded.outcomes : [decoded.type];
  const cells = shared ? cellsOf(RESERVED_BYTE, memattr, regime) : computeCells(types, memattr, regime);
  cellMemo.set(key, cells);
  return cells;
}

function checkField(name: string, value: unknown, last: number): void {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > last) {
    throw new RangeError(`${name} is ${String(value)}: give a whole number from 0 to ${last}`);
  }
}

function checkFlag(name: string, value: unknown): boolean {
  if (value === true || value === 1) return true;
  if (value === false || value === 0) return false;
  throw new RangeError(`${name} is ${String(value)}: give true or false, 1 or 0`);
}

/**
 * Every result the architecture permits for a MAIR byte and SH field of stage 1 under a MemAttr and SH field
 * of stage 2, in PAR_EL1 encoding, sorted by attr, then sh, without duplicates. One where the architecture
 * leaves no choice. Choices come from reserved encodings (SH 0b01, FWB = 0 MemAttr 0b0100, 0b1000, 0b1100,
 * reserved MAIR bytes) and from R_NSCNC. Reserved MemAttr encodings of FWB = 1 give what the pseudocode
 * gives.
 * @throws RangeError for a value out of range
 */
export function combineAttributes(input: CombineInput): { outcomes: AttributeOutcome[] } {
  const { s1, s2, features = {} } = input;
  checkField('s1.attr', s1?.attr, 0xff);
  checkField('s1.sh', s1?.sh, 0b11);
  checkField('s2.memattr', s2?.memattr, 0b1111);
  checkField('s2.sh', s2?.sh, 0b11);
  const fwb = checkFlag('fwb', input.fwb);
  const cd = checkFlag('cd', input.cd);
  const cells = cellsOf(s1.attr, s2.memattr, { fwb, cd, fnXS: s2.fnXS === true, features });
  const outcomes: AttributeOutcome[] = [];
  for (const { attr, alwaysOsh, mayEnterAsOsh } of cells) {
    const fields = alwaysOsh ? [OUTER_SHAREABLE] : COMBINED_SH[mayEnterAsOsh ? 1 : 0]?.[s1.sh]?.[s2.sh];
    for (const sh of fields ?? []) {
      const outcome = OUTCOMES[(attr << 2) | sh];
      if (outcome !== undefined) outcomes.push(outcome);
    }
  }
  return { outcomes };
}

/** How much freedom the architecture leaves for one combination. */
export type Latitude =
  | 'defined'
  | 'constrained-unpredictable'
  | 'implementation-defined'
  | 'unpredictable-mair-byte';

/**
 * Names the source of a choice: 'defined' when there is one outcome, however reserved its encoding; else a
 * reserved SH or MemAttr field (CONSTRAINED UNPREDICTABLE) or, with none, R_NSCNC (IMPLEMENTATION DEFINED). A
 * reserved MAIR byte is UNPREDICTABLE whatever follows.
 * @throws RangeError for a value out of range
 */
export function latitudeOf(input: CombineInput): Latitude {
  const { outcomes } = combineAttributes(input);
  const { s1, s2, features = {} } = input;
  if (decodeMair(s1.attr, features).encoding === 'reserved') return 'unpredictable-mair-byte';
  if (outcomes.length === 1) return 'defined';
  const reservedMemAttr = decodeMemAttr(s2.memattr, input.fwb === true || input.fwb === 1, features).outcomes;
  const reserved = s1.sh === 0b01 || s2.sh === 0b01 || reservedMemAttr.length > 1;
  return reserved ? 'constrained-unpredictable' : 'implementation-defined';
}
