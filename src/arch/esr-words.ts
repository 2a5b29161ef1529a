// ESR_ELx in words, for people who read a trace: one line a field, in the order of the bits, only the fields
// that mean something for that exception (DDI0487, ESR_EL2).

import type { Abort, DataAbort, InstructionSyndrome } from './esr.ts';
import { decodeEsr, decodeIss2 } from './esr.ts';
import { describeFaultStatus, encodeFaultStatus } from './fault-status.ts';

// The classes a host of KVM guests meets; names as in the Arm ARM.
const CLASS_NAMES: { readonly [ec: number]: string } = {
  0: 'Unknown reason',
  1: 'Trapped WF* instruction',
  7: 'Access to SVE, Advanced SIMD or floating-point',
  21: 'SVC in AArch64 state',
  22: 'HVC in AArch64 state',
  23: 'SMC in AArch64 state',
  24: 'Trapped MSR, MRS or System instruction',
  26: 'Trapped ERET',
  32: 'Instruction Abort from a lower Exception level',
  33: 'Instruction Abort without a change of Exception level',
  34: 'PC alignment fault',
  36: 'Data Abort from a lower Exception level',
  37: 'Data Abort without a change of Exception level',
  38: 'SP alignment fault',
  47: 'SError exception',
  60: 'BRK instruction',
};

const SIZES = ['byte', 'halfword', 'word', 'doubleword'];

/**
 * The fields of an ESR value in words, e.g. `DFSC 0x05 Translation fault, level 1 (ESR_ELx_FSC_FAULT)`.
 * @throws RangeError as `decodeEsr`
 */
export function describeEsr(esr: number): readonly string[] {
  const decoded = decodeEsr(esr);
  const ec = Math.floor((esr % 2 ** 32) / 2 ** 26);
  const lines = [`EC ${hex(ec)} ${CLASS_NAMES[ec] ?? 'see the Arm ARM, ESR_ELx.EC'}`];
  const il = Math.floor((esr % 2 ** 32) / 2 ** 25) % 2;
  lines.push(`IL ${il} ${il === 1 ? '32-bit instruction, or not told' : '16-bit instruction'}`);
  if (decoded.kind === 'other') {
    return [...lines, `ISS 0x${decoded.iss.toString(16).padStart(7, '0')} not an abort`];
  }
  if (decoded.kind === 'data-abort') {
    lines.push(...syndromeLines(decoded.syndrome));
    if (decoded.vncr) {
      lines.push('VNCR 1 the fault came from a use of VNCR_EL2');
    }
  }
  lines.push(...commonLines(decoded));
  return lines;
}

function syndromeLines(syndrome: InstructionSyndrome): readonly string[] {
  const { isv, sas, sse, srt, sf, ar } = syndrome;
  if (!isv) {
    return ['ISV 0 the syndrome does not describe the instruction'];
  }
  const register = srt === 31 ? 'the zero register' : `${sf ? 'X' : 'W'}${srt}`;
  return [
    'ISV 1 the fields below describe the instruction',
    `SAS ${sas} ${SIZES[sas]}`,
    `SSE ${Number(sse)} ${sse ? 'sign-extended' : 'not sign-extended'}`,
    `SRT ${srt} ${register}`,
    `SF ${Number(sf)} ${sf ? '64' : '32'}-bit register`,
    `AR ${Number(ar)} ${ar ? 'with Acquire/Release semantics' : 'no Acquire/Release semantics'}`,
  ];
}

function commonLines(abort: Abort): readonly string[] {
  const lines: string[] = [];
  if (abort.set !== 0) {
    lines.push(
      abort.status.kind === 'unsupported-exclusive-or-atomic' ? loadStoreType(abort) : errorState(abort),
    );
  }
  if (abort.fnV) {
    lines.push('FnV 1 FAR is not valid');
  }
  if (abort.ea) {
    lines.push('EA 1 IMPLEMENTATION DEFINED kind of External abort');
  }
  if (abort.kind === 'data-abort' && abort.syndrome.cm) {
    lines.push('CM 1 cache maintenance or address translation instruction');
  }
  if (abort.s1ptw) {
    lines.push('S1PTW 1 stage 2 fault on a stage 1 translation table walk');
  }
  if (abort.kind === 'data-abort') {
    lines.push(`WnR ${Number(abort.syndrome.wnr)} ${abort.syndrome.wnr ? 'write' : 'read'}`);
  }
  const name = abort.kind === 'data-abort' ? 'DFSC' : 'IFSC';
  lines.push(`${name} ${hex(encodeFaultStatus(abort.status))} ${describeFaultStatus(abort.status)}`);
  if (abort.kind === 'data-abort' && abort.iss2 !== 0) {
    lines.push(iss2Line(abort));
  }
  return lines;
}

function errorState(abort: Abort): string {
  const names = ['Recoverable (UER)', 'reserved', 'Uncontainable (UC)', 'Restartable (UEO)'];
  return `SET ${abort.set} ${names[abort.set]}`;
}

function loadStoreType(abort: Abort): string {
  const names = ['not specified', 'ST64BV', 'LD64B or ST64B', 'ST64BV0'];
  return `LST ${abort.set} ${names[abort.set]}`;
}

function iss2Line(abort: DataAbort): string {
  const { xs, ...flags } = decodeIss2(abort.iss2);
  const set = Object.entries(flags).filter(([, isSet]) => isSet);
  const names = set.map(([name]) => name[0]?.toUpperCase() + name.slice(1));
  return `ISS2 0x${abort.iss2.toString(16)} ${[`Xs ${xs}`, ...names].join(', ')}`;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(2, '0')}`;
}
