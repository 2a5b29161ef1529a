// The fault status code of an abort, ESR_ELx.DFSC and IFSC, both ways (DDI0487, ESR_EL2; EncodeLDFSC()).
// Every one of the 64 codes decodes: those the architecture reserves keep their number.

import type { Level } from './geometry.ts';

/** Lookup level a fault reports; -2 exists only with 56-bit addresses (FEAT_D128). */
export type FaultLevel = -2 | Level;

/** Faults that report a lookup level. */
export type LeveledFaultKind =
  | 'address-size'
  | 'translation'
  | 'access-flag'
  | 'permission'
  | 'sync-external-on-walk'
  | 'parity-on-walk'
  | 'granule-protection-on-walk';

/** Faults without a level. */
export type PlainFaultKind =
  | 'sync-external'
  | 'tag-check'
  | 'parity'
  | 'alignment'
  | 'granule-protection'
  | 'tlb-conflict'
  | 'unsupported-atomic-update'
  | 'lockdown'
  | 'unsupported-exclusive-or-atomic';

export type FaultStatus =
  | { readonly kind: LeveledFaultKind; readonly level: FaultLevel }
  | { readonly kind: PlainFaultKind }
  | { readonly kind: 'reserved'; readonly code: number };

interface LeveledRow {
  readonly kind: LeveledFaultKind;
  /** Code of level 0; levels 1 to 3 follow. */
  readonly base: number;
  /** Codes of the levels below 0, which follow no pattern. */
  readonly below: { readonly [level: number]: number };
  readonly words: string;
  readonly linux?: string;
}

interface PlainRow {
  readonly kind: PlainFaultKind;
  readonly code: number;
  readonly words: string;
  readonly linux?: string;
}

const LEVELED: readonly LeveledRow[] = [
  // Linux's ESR_ELx_FSC_ADDRSZ_L(-1) says 0x25; the architecture says 0b101001.
  row('address-size', 0x00, { [-1]: 0x29, [-2]: 0x2c }, 'Address size fault', 'ESR_ELx_FSC_ADDRSZ'),
  row('translation', 0x04, { [-1]: 0x2b, [-2]: 0x2a }, 'Translation fault', 'ESR_ELx_FSC_FAULT'),
  row('access-flag', 0x08, {}, 'Access flag fault', 'ESR_ELx_FSC_ACCESS'),
  row('permission', 0x0c, {}, 'Permission fault', 'ESR_ELx_FSC_PERM'),
  row(
    'sync-external-on-walk',
    0x14,
    { [-1]: 0x13, [-2]: 0x12 },
    'Synchronous External abort on translation table walk',
    'ESR_ELx_FSC_SEA_TTW',
  ),
  row(
    'parity-on-walk',
    0x1c,
    { [-1]: 0x1b },
    'Synchronous parity or ECC error on translation table walk',
    'ESR_ELx_FSC_SECC_TTW',
  ),
  row('granule-protection-on-walk', 0x24, { [-1]: 0x23, [-2]: 0x22 }, 'Granule Protection Fault on walk'),
];

const PLAIN: readonly PlainRow[] = [
  { kind: 'sync-external', code: 0x10, words: 'Synchronous External abort', linux: 'ESR_ELx_FSC_EXTABT' },
  { kind: 'tag-check', code: 0x11, words: 'Synchronous Tag Check Fault', linux: 'ESR_ELx_FSC_MTE' },
  { kind: 'parity', code: 0x18, words: 'Synchronous parity or ECC error', linux: 'ESR_ELx_FSC_SECC' },
  { kind: 'alignment', code: 0x21, words: 'Alignment fault' },
  { kind: 'granule-protection', code: 0x28, words: 'Granule Protection Fault on the output address' },
  { kind: 'tlb-conflict', code: 0x30, words: 'TLB conflict abort' },
  {
    kind: 'unsupported-atomic-update',
    code: 0x31,
    words: 'Unsupported atomic hardware update fault',
  },
  { kind: 'lockdown', code: 0x34, words: 'IMPLEMENTATION DEFINED fault (Lockdown)' },
  {
    kind: 'unsupported-exclusive-or-atomic',
    code: 0x35,
    words: 'IMPLEMENTATION DEFINED fault (unsupported Exclusive or Atomic access)',
    linux: 'ESR_ELx_FSC_EXCL_ATOMIC',
  },
];

function row(
  kind: LeveledFaultKind,
  base: number,
  below: { readonly [level: number]: number },
  words: string,
  linux?: string,
): LeveledRow {
  return { kind, base, below, words, ...(linux === undefined ? {} : { linux }) };
}

const LEVELS: readonly FaultLevel[] = [-2, -1, 0, 1, 2, 3];

function leveledCode(entry: LeveledRow, level: FaultLevel): number | undefined {
  return level >= 0 ? entry.base + level : entry.below[level];
}

function allCodes(): readonly FaultStatus[] {
  const table: FaultStatus[] = Array.from({ length: 64 }, (_, code) => ({ kind: 'reserved', code }));
  for (const entry of LEVELED) {
    for (const level of LEVELS) {
      const code = leveledCode(entry, level);
      if (code !== undefined) {
        table[code] = { kind: entry.kind, level };
      }
    }
  }
  for (const { kind, code } of PLAIN) {
    table[code] = { kind };
  }
  return table;
}

const BY_CODE = allCodes();

/** The fault that a code names. @throws RangeError unless `code` is a whole number of 6 bits */
export function decodeFaultStatus(code: number): FaultStatus {
  const status = BY_CODE[code];
  if (status === undefined) {
    throw new RangeError(`fault status code ${code} is not a number of 6 bits`);
  }
  return status;
}

/** The 6-bit code of a fault. @throws RangeError for a level that this fault cannot report */
export function encodeFaultStatus(status: FaultStatus): number {
  if (status.kind === 'reserved') {
    return status.code;
  }
  const { row: entry, level } = rowOf(status);
  const code = 'code' in entry ? entry.code : leveledCode(entry, level);
  if (code === undefined) {
    throw new RangeError(`a ${status.kind} fault has no code for level ${level}`);
  }
  return code;
}

/** In the words of the Arm ARM, with the name of Linux's constant where it has one: for people. */
export function describeFaultStatus(status: FaultStatus): string {
  if (status.kind === 'reserved') {
    return `reserved fault status code 0x${status.code.toString(16).padStart(2, '0')}`;
  }
  const { row: entry } = rowOf(status);
  const level = 'level' in status ? `, level ${status.level}` : '';
  return `${entry.words}${level}${entry.linux === undefined ? '' : ` (${entry.linux})`}`;
}

/**
 * Linux's constant for the class of a fault, as arch/arm64/include/asm/esr.h spells it, or undefined where it
 * has none. The two on a walk are macros that take the level.
 */
export function linuxFaultName(status: FaultStatus): string | undefined {
  return status.kind === 'reserved' ? undefined : rowOf(status).row.linux;
}

const LEVELED_BY_KIND = new Map<string, LeveledRow>(LEVELED.map((entry) => [entry.kind, entry]));
const PLAIN_BY_KIND = new Map<string, PlainRow>(PLAIN.map((entry) => [entry.kind, entry]));

function rowOf(status: Exclude<FaultStatus, { kind: 'reserved' }>): {
  readonly row: LeveledRow | PlainRow;
  readonly level: FaultLevel;
} {
  const level = 'level' in status ? status.level : 0;
  const found = LEVELED_BY_KIND.get(status.kind) ?? PLAIN_BY_KIND.get(status.kind);
  if (found === undefined) {
    throw new RangeError(`no fault is called ${status.kind}`);
  }
  return { row: found, level };
}
