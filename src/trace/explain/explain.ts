// One pasted line, explained: fields, story, each kernel, and the facts that would settle it with where to get them.

import type { Abort } from '../../arch/esr.ts';
import { decodeEsr } from '../../arch/esr.ts';
import { describeEsr } from '../../arch/esr-words.ts';
import { describeFaultStatus } from '../../arch/fault-status.ts';
import type { Pasted } from './input.ts';
import { readPasted } from './input.ts';
import type { OnKernels } from './on-kernels.ts';
import { onKernels } from './on-kernels.ts';
import { tell } from './tell.ts';

export interface ExplainedField {
  readonly name: string;
  readonly value: string;
  readonly meaning: string;
}

export interface MissingFact {
  readonly what: string;
  /** Where to look or what to run. */
  readonly how: string;
}

export interface Explanation {
  readonly title: string;
  readonly fields: readonly ExplainedField[];
  readonly story: readonly string[];
  readonly perKernel: readonly OnKernels[];
  readonly missing: readonly MissingFact[];
}

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

/**
 * @param text a kvm_guest_fault line (ftrace, trace-cmd, perf, or only its fields), a host log line, or an ESR_EL2
 * @throws InputError if the text holds none of these
 */
export function explain(text: string): Explanation {
  const pasted = readPasted(text);
  const decoded = decodeEsr(pasted.esr);
  const fields = [...addressFields(pasted), ...esrFields(pasted.esr)];
  if (decoded.kind === 'other') {
    return {
      title: `ESR_EL2 ${hex(pasted.esr)}: EC ${hex(decoded.ec)} is no abort`,
      fields,
      story: ['This exception is no fault of stage 2: memory types and memslots have no part in it.'],
      perKernel: [],
      missing: [],
    };
  }
  if (!decoded.fromLowerEl) {
    return {
      title: `ESR ${hex(pasted.esr)}: an abort without a change of Exception level`,
      fields,
      story: [
        'EC 0x21 and 0x25 are taken at the level where they arise: this is an ESR_EL1 that the guest ' +
          'saw, or a fault of the hypervisor itself, and no stage-2 fault.',
        ...(decoded.status.kind === 'sync-external'
          ? [
              'FSC 0x10 is what KVM injects: a fetch or walk without a memslot, a fetch from device ' +
                'memory, or an IPA beyond the size of the VM.',
            ]
          : []),
      ],
      perKernel: [],
      missing: [],
    };
  }
  return {
    title: titleOf(decoded, pasted),
    fields,
    story: tell(decoded),
    perKernel: onKernels(decoded),
    missing: missingFacts(decoded, pasted),
  };
}

function titleOf(abort: Abort, { ipa }: Pasted): string {
  const side = abort.kind === 'instruction-abort' ? 'Instruction abort' : 'Data abort';
  const where = ipa === null ? '' : ` at IPA ${hex(ipa)}`;
  return `${side} from the guest${where}: ${describeFaultStatus(abort.status)}`;
}

/** Lines of `describeEsr` are name, value and words. */
function esrFields(esr: number): ExplainedField[] {
  return describeEsr(esr).map((line) => {
    const [name = '', value = '', ...words] = line.split(' ');
    return { name, value, meaning: words.join(' ') };
  });
}

function addressFields({ ipa, far, pc, esr, kind }: Pasted): ExplainedField[] {
  const fields: ExplainedField[] = [];
  const add = (name: string, value: number | bigint | null, meaning: string): void => {
    if (value !== null) fields.push({ name, value: hex(value), meaning });
  };
  add('ipa', ipa, 'HPFAR_EL2: the page; its low 12 bits are always 0');
  add('far', far, 'FAR_EL2: the virtual address of the access; its low 12 bits are those of the IPA too');
  if (ipa !== null && far !== null)
    add('address', ipa + Number(far & 0xfffn), 'IPA with the offset of FAR_EL2');
  add('pc', pc, 'the instruction');
  add('ESR_EL2', esr, kind === 'guest-fault' ? 'hsr of the event' : 'the syndrome');
  return fields;
}

function missingFacts(abort: Abort, { kind, ipa }: Pasted): MissingFact[] {
  const { status } = abort;
  const facts: MissingFact[] = [];
  const isTableFault =
    status.kind === 'translation' || status.kind === 'permission' || status.kind === 'access-flag';
  if (kind === 'host-log' || kind === 'esr') {
    facts.push({
      what: 'IPA, FAR and PC of the access',
      how: 'trace-cmd record -e kvm:kvm_guest_fault -e kvm:kvm_userspace_exit, then paste the line',
    });
  }
  if (!isTableFault && status.kind !== 'alignment') return facts;
  const at = ipa === null ? 'the IPA' : hex(ipa);
  facts.push(
    {
      what: `the memslot at ${at}`,
      how: "the VMM's memory map: QEMU monitor `info mtree -f`; others log their slots",
    },
    { what: 'the VMA behind it', how: '/proc/PID/smaps of the VMM at hva = slot hva + (IPA - slot IPA)' },
    {
      what: 'VM_ALLOW_ANY_UNCACHED',
      how: '`VmFlags` of that VMA: `??`, the flag that smaps cannot name, says it is set (with `pf`, `io`)',
    },
    {
      what: 'the kernel and its backports',
      how: '`uname -r` on the host; a distribution may have 6.9 changes in 6.6',
    },
  );
  if (isTableFault)
    facts.push({
      what: 'the page size',
      how: '`getconf PAGESIZE` on the host: it decides what a level spans',
    });
  if (status.kind === 'alignment') {
    facts.push({
      what: 'how the guest maps it',
      how: 'ioremap_wc and pgprot_writecombine are Normal-NC, ioremap is Device',
    });
  }
  return facts;
}
