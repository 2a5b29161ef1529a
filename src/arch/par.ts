// PAR_EL1, the result of an AT instruction, both ways (DDI0487 PAR_EL1; AArch64.EncodePAR). The 64-bit form
// with a 52-bit PA; the forms of FEAT_D128 and of 56-bit addresses are not covered.

import type { Pa } from './addresses.ts';
import { pa } from './addresses.ts';

/** F = 0: the translation succeeded. */
export type ParSuccess = {
  readonly fault: false;
  /** ATTR [63:56], a MAIR byte or 0xE0; see decodeParAttr. */
  readonly attr: number;
  /** PA [51:12]; a multiple of 4096. */
  readonly pa: Pa;
  /** SH [8:7], 0b10 for Device and iNC-oNC. */
  readonly sh: number;
  /** NS, bit 9. */
  readonly ns: boolean;
  /** Bit 10, IMPLEMENTATION DEFINED. */
  readonly implementationDefined: boolean;
  /** Bit 11: NSE with FEAT_RME, else RES1. */
  readonly nse: boolean;
};

/** F = 1: the translation faulted. */
export type ParFault = {
  readonly fault: true;
  /** FST [6:1], the fault status code as in ESR_ELx. */
  readonly fst: number;
  /** PTW, bit 8: a stage 2 fault on a stage 1 walk. */
  readonly ptw: boolean;
  /** S, bit 9: the stage that faulted. */
  readonly stage: 1 | 2;
  /** Bits 12 to 15, each 0 without its feature. */
  readonly assuredOnly: boolean;
  readonly topLevel: boolean;
  readonly overlay: boolean;
  readonly dirtyBit: boolean;
  /** [63:48], IMPLEMENTATION DEFINED. */
  readonly implementationDefined: number;
};

export type Par = ParSuccess | ParFault;

const FAULT = 1n;
const RES1 = 1n << 11n;
const PAGE = 4096;

function checkedField(name: string, value: number, width: number): bigint {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** width) {
    throw new RangeError(`PAR_EL1.${name} ${value} is not a whole number of ${width} bits`);
  }
  return BigInt(value);
}

function bit(set: boolean, position: bigint): bigint {
  return set ? 1n << position : 0n;
}

/**
 * The 64-bit value of PAR_EL1.
 * @throws RangeError for a field that does not fit or a PA that is no multiple of 4096
 */
export function encodePar(par: Par): bigint {
  if (par.fault) {
    const implementationDefined = checkedField('IMPLEMENTATION DEFINED', par.implementationDefined, 16);
    return (
      FAULT |
      (checkedField('FST', par.fst, 6) << 1n) |
      bit(par.ptw, 8n) |
      bit(par.stage === 2, 9n) |
      RES1 |
      bit(par.assuredOnly, 12n) |
      bit(par.topLevel, 13n) |
      bit(par.overlay, 14n) |
      bit(par.dirtyBit, 15n) |
      (implementationDefined << 48n)
    );
  }
  if (par.pa % PAGE !== 0) throw new RangeError(`PAR_EL1.PA ${par.pa} is not a multiple of ${PAGE}`);
  return (
    (checkedField('SH', par.sh, 2) << 7n) |
    bit(par.ns, 9n) |
    bit(par.implementationDefined, 10n) |
    bit(par.nse, 11n) |
    checkedField('PA', par.pa, 52) |
    (checkedField('ATTR', par.attr, 8) << 56n)
  );
}

/**
 * The fields of PAR_EL1. RES0 and RES1 bits are not looked at.
 * @throws RangeError when the value does not fit 64 bits
 */
export function decodePar(value: bigint): Par {
  if (value < 0n || value >= 1n << 64n) throw new RangeError(`PAR_EL1 ${value} does not fit 64 bits`);
  const field = (position: bigint, width: number): number => Number(BigInt.asUintN(width, value >> position));
  const flag = (position: bigint): boolean => field(position, 1) === 1;
  if (flag(0n)) {
    return {
      fault: true,
      fst: field(1n, 6),
      ptw: flag(8n),
      stage: flag(9n) ? 2 : 1,
      assuredOnly: flag(12n),
      topLevel: flag(13n),
      overlay: flag(14n),
      dirtyBit: flag(15n),
      implementationDefined: field(48n, 16),
    };
  }
  return {
    fault: false,
    attr: field(56n, 8),
    pa: pa(field(12n, 40) * PAGE),
    sh: field(7n, 2),
    ns: flag(9n),
    implementationDefined: flag(10n),
    nse: flag(11n),
  };
}
