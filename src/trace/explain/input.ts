// What a person pastes: a kvm_guest_fault line in any text form, whole or in part, the host's log line of
// kvm_handle_guest_abort(), or a bare ESR_EL2. Patterns are bounded, so that no text makes them slow.

import { InputError } from '../input-error.ts';
import { parseRecord } from '../text/record.ts';

export interface Pasted {
  readonly kind: 'guest-fault' | 'nisv' | 'host-log' | 'esr';
  readonly esr: number;
  readonly ipa: number | null;
  readonly far: bigint | null;
  readonly pc: bigint | null;
}

/** Longer than any line that a kernel prints. */
const MAX_TEXT = 4096;

/** A line of which only the event's text was pasted. */
const PREFIX = 'pasted-1 [000] 0.000001: ';

const PASTE =
  "paste a kvm_guest_fault line, an 'Unsupported FSC' line of the host's log, or an ESR_EL2 such as " +
  '0x92000061';

/** @throws InputError if there is nothing in the text that is known */
export function readPasted(text: string): Pasted {
  const line = text.slice(0, MAX_TEXT).replace(/\s+/g, ' ').trim();
  if (line === '') throw new InputError('explain', 'there is no text', PASTE);
  return fromEvent(line) ?? fromHostLog(line) ?? fromEsr(line) ?? unknown(line);
}

function unknown(line: string): never {
  throw new InputError('explain', `'${line.slice(0, 60)}' says nothing of a fault`, PASTE);
}

function fromEvent(line: string): Pasted | null {
  const at = line.search(/kvm_(guest_fault|mmio_nisv)/);
  const tail = at === -1 ? `kvm_guest_fault: ${line}` : line.slice(at);
  const record = parseRecord(line) ?? parseRecord(PREFIX + tail) ?? parseRecord(`${PREFIX}${tail} pc 0x0`);
  if (record === null || (record.event !== 'kvm_guest_fault' && record.event !== 'kvm_mmio_nisv'))
    return null;
  const { ipa, esr, far, pc } = record.fields;
  return {
    kind: record.event === 'kvm_guest_fault' ? 'guest-fault' : 'nisv',
    esr: Number(esr),
    ipa: Number(ipa),
    far: far ?? null,
    pc: /(^|[ ,])(vcpu_)?pc[ =:]/i.test(line) ? (pc ?? null) : null,
  };
}

/** `kvm [4242]: Unsupported FSC: EC=0x24 xFSC=0x21 ESR_EL2=0x92000061` */
function fromHostLog(line: string): Pasted | null {
  const found = /ESR_EL2 ?= ?(0x[0-9a-f]{1,16})/i.exec(line);
  if (found === null || !/FSC/i.test(line)) return null;
  return { kind: 'host-log', esr: esrOf(found[1] ?? '0x0'), ipa: null, far: null, pc: null };
}

function fromEsr(line: string): Pasted | null {
  const named = /(?:^| )(?:esr\w{0,8}|hsr)[ :=]{1,3}(0x[0-9a-f]{1,16})(?![0-9a-fx])/i.exec(line);
  const bare = /^(?:0x)?[0-9a-f]{8,16}$/i.exec(line) ?? /^0x[0-9a-f]{1,16}$/i.exec(line);
  const text = named?.[1] ?? bare?.[0];
  if (text === undefined) return null;
  return { kind: 'esr', esr: esrOf(text), ipa: null, far: null, pc: null };
}

const ALL_ONES = 0xffff_ffffn;
const ESR_BITS = 44n;

/** Linux 6.1 prints some values sign-extended to 64 bits. */
function esrOf(text: string): number {
  const value = BigInt(/^0x/i.test(text) ? text : `0x${text}`);
  const cut = value >> 32n === ALL_ONES ? value & ALL_ONES : value;
  if (cut >> ESR_BITS !== 0n) {
    throw new InputError('explain', `${text} has bits above 43, which ESR_EL2 does not`, PASTE);
  }
  return Number(cut);
}
