// ESR_EL1 and ESR_EL2 of instruction and data aborts, both ways (DDI0487, ESR_EL2; AArch64.FaultSyndrome()
// and ReportException()). The register is a safe integer: its highest field is ISS2[11], bit 43.

import { field, flag } from './bits.ts';
import type { FaultStatus } from './fault-status.ts';
import { decodeFaultStatus, encodeFaultStatus } from './fault-status.ts';

/** What the faulting instruction itself contributes to the syndrome of a data abort. */
export interface InstructionSyndrome {
  /** The fields sas to ar are valid: one general register, no writeback, not exclusive, not a walk. */
  readonly isv: boolean;
  /** Access size: 0 byte, 1 halfword, 2 word, 3 doubleword. */
  readonly sas: 0 | 1 | 2 | 3;
  /** The loaded value is sign-extended. */
  readonly sse: boolean;
  /** Number of the general register, 0 to 31; 31 is XZR. */
  readonly srt: number;
  /** The register is 64 bits wide. */
  readonly sf: boolean;
  /** Acquire/Release semantics. */
  readonly ar: boolean;
  readonly wnr: boolean;
  /** Cache maintenance or address translation instruction. */
  readonly cm: boolean;
}

interface AbortFields {
  /** Taken from a lower Exception level: EC 0x20 and 0x24; otherwise 0x21 and 0x25. */
  readonly fromLowerEl: boolean;
  /** ISS[12:11]: SET, or LST for FEAT_LS64. */
  readonly set: 0 | 1 | 2 | 3;
  /** FAR is not valid. */
  readonly fnV: boolean;
  /** IMPLEMENTATION DEFINED kind of an External abort. */
  readonly ea: boolean;
  /** Stage 2 fault on an access made for a stage 1 walk. */
  readonly s1ptw: boolean;
  readonly status: FaultStatus;
  /** ESR_ELx[43:32] with FEAT_LS64, FEAT_MTE_PERM and others; see `decodeIss2`. */
  readonly iss2: number;
}

export interface InstructionAbort extends AbortFields {
  readonly kind: 'instruction-abort';
}

export interface DataAbort extends AbortFields {
  readonly kind: 'data-abort';
  /** The instruction was 32 bits long. 1 whenever ISV is 0. */
  readonly il: boolean;
  readonly syndrome: InstructionSyndrome;
  /** The fault came from a use of VNCR_EL2 (FEAT_NV2). */
  readonly vncr: boolean;
}

export type Abort = InstructionAbort | DataAbort;

/** An exception that is no abort, in its undecoded parts. */
export interface OtherException {
  readonly kind: 'other';
  readonly ec: number;
  readonly il: boolean;
  /** ISS, bits [24:0]. */
  readonly iss: number;
  readonly iss2: number;
}

/**
 * What a caller has to name: the fault, and whatever differs from a plain abort taken to EL2 from the guest.
 */
export type AbortInput =
  | ({ readonly kind: 'instruction-abort'; readonly status: FaultStatus } & Partial<InstructionAbort>)
  | ({ readonly kind: 'data-abort'; readonly status: FaultStatus } & Partial<DataAbort>);

/** A data abort that says nothing of its instruction, as on a walk, or for a load pair (ISV = 0). */
export const NO_SYNDROME: InstructionSyndrome = {
  isv: false,
  sas: 0,
  sse: false,
  srt: 0,
  sf: false,
  ar: false,
  wnr: false,
  cm: false,
};

const EC_INSTRUCTION_ABORT_LOWER = 0x20;
const EC_INSTRUCTION_ABORT_SAME = 0x21;
const EC_DATA_ABORT_LOWER = 0x24;
const EC_DATA_ABORT_SAME = 0x25;

const LOW_32 = 2 ** 32;
const ISS2_BITS = 12;

/**
 * The register value. What is not named is that of an abort from a lower Exception level on an A64
 * instruction, without syndrome. ISV = 0 clears SAS to AR and sets IL.
 * @throws RangeError if a field does not fit or the fault cannot report its level
 */
export function encodeAbort(abort: AbortInput): number {
  const set = field('SET', abort.set ?? 0, 2) * 2 ** 11;
  const common =
    encodeFaultStatus(abort.status) + flag(abort.s1ptw, 7) + flag(abort.ea, 9) + flag(abort.fnV, 10) + set;
  const iss2 = field('ISS2', abort.iss2 ?? 0, ISS2_BITS) * LOW_32;
  const lower = abort.fromLowerEl ?? true;
  if (abort.kind === 'instruction-abort') {
    return (
      iss2 + exceptionClass(lower ? EC_INSTRUCTION_ABORT_LOWER : EC_INSTRUCTION_ABORT_SAME, true) + common
    );
  }
  const syndrome = abort.syndrome ?? NO_SYNDROME;
  const il = !syndrome.isv || (abort.il ?? true);
  const ec = exceptionClass(lower ? EC_DATA_ABORT_LOWER : EC_DATA_ABORT_SAME, il);
  const access = flag(syndrome.wnr, 6) + flag(syndrome.cm, 8) + flag(abort.vncr, 13);
  return iss2 + ec + common + access + (syndrome.isv ? encodeSyndrome(syndrome) : 0);
}

function encodeSyndrome(syndrome: InstructionSyndrome): number {
  return (
    flag(true, 24) +
    field('SAS', syndrome.sas, 2) * 2 ** 22 +
    flag(syndrome.sse, 21) +
    field('SRT', syndrome.srt, 5) * 2 ** 16 +
    flag(syndrome.sf, 15) +
    flag(syndrome.ar, 14)
  );
}

function exceptionClass(ec: number, il: boolean): number {
  return ec * 2 ** 26 + flag(il, 25);
}

/**
 * The fields of a register value, the inverse of `encodeAbort`.
 * @throws RangeError unless `esr` is a whole number of at most 44 bits; a value that Linux 6.1 printed
 * sign-extended has to be cut to its low 32 bits first
 */
export function decodeEsr(esr: number): Abort | OtherException {
  if (!Number.isSafeInteger(esr) || esr < 0 || esr >= 2 ** (32 + ISS2_BITS)) {
    throw new RangeError(`ESR value ${esr} is not a whole number of at most 44 bits`);
  }
  const iss2 = Math.floor(esr / LOW_32);
  const low = esr % LOW_32;
  const ec = Math.floor(low / 2 ** 26);
  const iss = low % 2 ** 25;
  const bit = (at: number): boolean => (iss & (1 << at)) !== 0;
  const il = low % 2 ** 26 >= 2 ** 25;
  const fields = {
    set: ((iss >> 11) & 3) as 0 | 1 | 2 | 3,
    fnV: bit(10),
    ea: bit(9),
    s1ptw: bit(7),
    iss2,
  };
  switch (ec) {
    case EC_INSTRUCTION_ABORT_LOWER:
    case EC_INSTRUCTION_ABORT_SAME: {
      const fromLowerEl = ec === EC_INSTRUCTION_ABORT_LOWER;
      return { kind: 'instruction-abort', fromLowerEl, ...fields, status: decodeFaultStatus(iss & 0x3f) };
    }
    case EC_DATA_ABORT_LOWER:
    case EC_DATA_ABORT_SAME: {
      const fromLowerEl = ec === EC_DATA_ABORT_LOWER;
      const syndrome = decodeSyndrome(iss);
      const status = decodeFaultStatus(iss & 0x3f);
      return { kind: 'data-abort', fromLowerEl, il, syndrome, vncr: bit(13), ...fields, status };
    }
    default:
      return { kind: 'other', ec, il, iss, iss2 };
  }
}

function decodeSyndrome(iss: number): InstructionSyndrome {
  const bit = (at: number): boolean => (iss & (1 << at)) !== 0;
  const access = { wnr: bit(6), cm: bit(8) };
  if (!bit(24)) {
    return { ...NO_SYNDROME, ...access };
  }
  return {
    isv: true,
    sas: ((iss >> 22) & 3) as 0 | 1 | 2 | 3,
    sse: bit(21),
    srt: (iss >> 16) & 0x1f,
    sf: bit(15),
    ar: bit(14),
    ...access,
  };
}

/** The fields of ISS2 of a data abort, ESR_ELx[43:32] (DDI0487, ESR_EL2). */
export interface Iss2 {
  /** Register that holds the data of an ST64BV or ST64BV0 that faulted (FEAT_LS64_V). */
  readonly xs: number;
  readonly dirtyBit: boolean;
  readonly overlay: boolean;
  readonly assuredOnly: boolean;
  readonly gcs: boolean;
  readonly tagAccess: boolean;
  readonly tnD: boolean;
  readonly hdbssf: boolean;
}

/** The named fields of `iss2`, 0 to 0xfff. */
export function decodeIss2(iss2: number): Iss2 {
  const bit = (at: number): boolean => (iss2 & (1 << at)) !== 0;
  return {
    xs: iss2 & 0x1f,
    dirtyBit: bit(5),
    overlay: bit(6),
    assuredOnly: bit(7),
    gcs: bit(8),
    tagAccess: bit(9),
    tnD: bit(10),
    hdbssf: bit(11),
  };
}

/** The inverse of `decodeIss2`. @throws RangeError if xs is no register number */
export function encodeIss2(fields: Iss2): number {
  return (
    field('Xs', fields.xs, 5) +
    flag(fields.dirtyBit, 5) +
    flag(fields.overlay, 6) +
    flag(fields.assuredOnly, 7) +
    flag(fields.gcs, 8) +
    flag(fields.tagAccess, 9) +
    flag(fields.tnD, 10) +
    flag(fields.hdbssf, 11)
  );
}
