// A kvm_guest_fault line as the fault that the host handles: ESR_EL2 decides kind, size and status of the access, the
// syndrome of the instruction comes with it.

import type { Access, AccessKind } from '../../../arch/access.ts';
import type { Ipa, Va } from '../../../arch/addresses.ts';
import type { Abort, DataAbort, OtherException } from '../../../arch/esr.ts';
import { decodeEsr } from '../../../arch/esr.ts';
import { encodeFaultStatus } from '../../../arch/fault-status.ts';
import type { Stage2Fault } from '../../../arch/stage2-fault.ts';
import type { Values } from '../fields.ts';
import { valueAt } from '../fields.ts';

export interface TraceFault {
  readonly access: Access;
  readonly fault: Stage2Fault;
  /** What the access needs of the leaf. */
  readonly needs: 'read' | 'write' | 'execute' | 'walk';
  /** FAR_EL2 and the PC in halves of 32 bits. */
  readonly far: readonly [hi: number, lo: number];
  readonly pc: readonly [hi: number, lo: number];
  readonly line: number;
  readonly time: string;
}

const IPA = 0;
const ESR = 1;
const FAR = 2;
const PC = 3;

/** Virtual addresses of a guest kernel do not fit a number: its low 52 bits do, and KVM looks at 12 of them. */
const LOW_20 = 0xf_ffff;

export const hex64 = ([hi, lo]: readonly [hi: number, lo: number]): string =>
  `0x${((BigInt(hi) << 32n) | BigInt(lo)).toString(16)}`;

/** Null if ESR_EL2 is no abort from a lower exception level, which KVM never traces as a fault. */
export function faultOf(values: Values, id: number, line: number, time: string): TraceFault | null {
  const esr = valueAt(values, ESR);
  const abort = decoded(esr);
  if (abort.kind === 'other') return null;
  const [farHi, farLo] = [values.hi[FAR] as number, values.lo[FAR] as number];
  const far = (farHi & LOW_20) * 2 ** 32 + farLo;
  const ipa = valueAt(values, IPA) as Ipa;
  return {
    access: accessOf(abort, id, far, ipa),
    fault: { ipa, far, esr, status: abort.status },
    needs: needsOf(abort),
    far: [farHi, farLo],
    pc: [values.hi[PC] as number, values.lo[PC] as number],
    line,
    time,
  };
}

/** Few syndromes are different: a trace repeats those of its drivers. */
const MAX_DECODED = 4096;
const syndromes = new Map<number, Abort | OtherException>();

function decoded(esr: number): Abort | OtherException {
  const known = syndromes.get(esr);
  if (known !== undefined) return known;
  if (syndromes.size >= MAX_DECODED) syndromes.clear();
  const abort = decodeEsr(esr);
  syndromes.set(esr, abort);
  return abort;
}

function kindOf(abort: Abort): AccessKind {
  if (abort.s1ptw) return 's1-walk';
  if (abort.kind === 'instruction-abort') return 'fetch';
  if (abort.syndrome.cm) return 'dc-civac';
  return abort.syndrome.wnr ? 'write' : 'read';
}

/** A permission fault on a walk is a hardware update of the access flag, or a walk into Device memory. */
function needsOf(abort: Abort): TraceFault['needs'] {
  if (abort.s1ptw) return 'walk';
  if (abort.kind === 'instruction-abort') return 'execute';
  return abort.syndrome.wnr ? 'write' : 'read';
}

function accessOf(abort: Abort, id: number, far: number, ipa: Ipa): Access {
  const syndrome = abort.kind === 'data-abort' ? abort.syndrome : null;
  const level = 'level' in abort.status ? abort.status.level : 0;
  return {
    id,
    kind: kindOf(abort),
    size: syndrome?.isv === true ? 2 ** syndrome.sas : 1,
    va: far as Va,
    ipa: (ipa + (far % 4096)) as Ipa,
    stage1: null,
    syndrome,
    ...(abort.s1ptw ? { walk: { level, purpose: purposeOf(abort) } } : {}),
  };
}

const purposeOf = (abort: Abort): 'fetch' | 'read' | 'write' => {
  if (abort.kind === 'instruction-abort') return 'fetch';
  return (abort satisfies DataAbort).syndrome.wnr ? 'write' : 'read';
};

const SIDES = { execute: 'fetch', walk: 'walk', read: 'read', write: 'write' } as const;

/** One number for each `kindName`. */
export const kindKey = ({ fault, needs }: TraceFault): number =>
  (fault.esr % 64) * 4 + (needs === 'read' ? 0 : needs === 'write' ? 1 : needs === 'execute' ? 2 : 3);

/** `write translation 3`: the class in which the report counts it. */
export function kindName({ fault, needs }: TraceFault): string {
  const { status } = fault;
  if (!('level' in status)) {
    return (
      `${SIDES[needs]} ` +
      `${status.kind === 'reserved' ? `0x${encodeFaultStatus(status).toString(16)}` : status.kind}`
    );
  }
  return `${SIDES[needs]} ${status.kind} ${status.level}`;
}
