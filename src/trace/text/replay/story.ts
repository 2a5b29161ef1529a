// The first surprise in words: what the trace shows, what was expected and why, and what can be behind it that leaves
// no event.

import type { FaultStatus } from '../../../arch/fault-status.ts';
import { describeFaultStatus } from '../../../arch/fault-status.ts';
import { levelSize } from '../../../arch/geometry.ts';
import type { TraceFault } from './fault.ts';
import { hex64 } from './fault.ts';
import type { Outcome } from './host-outcome.ts';
import { describeOutcome } from './host-outcome.ts';
import type { FirstSurprise, SurpriseReason, Verdict } from './report.ts';
import { SURPRISE } from './report.ts';
import type { VcpuWorld } from './tasks.ts';
import type { World } from './world.ts';
import { slotOf } from './world.ts';

const hex = (value: number): string => `0x${value.toString(16)}`;

const ACCESS: Readonly<Record<TraceFault['needs'], string>> = {
  read: 'a load',
  write: 'a store',
  execute: 'an instruction fetch',
  walk: 'a walk of the stage-1 tables',
};

/** What leaves no event of its own (measured), by what it looks like in the faults that follow. */
const BEHIND: Readonly<Record<SurpriseReason, string>> = {
  'table-permits':
    'What would explain it leaves no event: dirty logging (KVM_MEM_LOG_DIRTY_PAGES, ' +
    'KVM_CLEAR_DIRTY_LOG) write-protects, deleting a memslot unmaps. `calls` of the machine file take them.',
  'other-level':
    'A table that became empty is freed, so the next fault is one level higher: look for a notifier ' +
    'or a memslot call that the trace does not have.',
  'other-type':
    'Either the machine file has another host page or VMA here than the real host, or the mapping is ' +
    'not the one that the simulation knows.',
  'other-outcome':
    'A memslot that the VMM deleted, moved or made since, or a VMA that it remapped, leaves no ' +
    'event; compare the slots of the machine file with the VMM at that time, and add its `calls`.',
  'ipa-beyond-vm': 'The IPA size in the machine file is smaller than that of the VM.',
};

export function storyOf(
  world: World,
  vcpu: VcpuWorld,
  fault: TraceFault,
  verdict: Verdict & { readonly class: 'surprising' },
  seen: Outcome | null,
): FirstSurprise {
  const { ipa, esr } = fault.fault;
  const status = describeFaultStatus(fault.fault.status as FaultStatus);
  const slot = slotOf(vcpu.vm, ipa);
  const where =
    slot === undefined
      ? 'no memslot of the machine file is there'
      : `that is slot ${slot.slot}, offset ${hex(ipa - slot.ipa)}, ` +
        `${slot.backing?.vma.kind ?? 'backing not given'}`;
  const window = levelSize(vcpu.vm.facts.geometry.granule, 2);
  const story = [
    `${ACCESS[fault.needs]} of ${vcpu.name} (VM ${vcpu.vm.facts.name}) to IPA ${hex(ipa)} faults: ` +
      `${status}; ${where}`,
    `expected under kernel ${world.machine.kernel.name}: ${verdict.expected} (${SURPRISE[verdict.reason]})`,
    ...(seen === null || seen.kind === 'unseen'
      ? []
      : [`what followed in the trace: ${describeOutcome(seen)}`]),
    BEHIND[verdict.reason],
    `Look at the lines before it for the ${hex(window)} bytes around ${hex(ipa)}.`,
  ];
  return {
    line: fault.line,
    time: fault.time,
    task: vcpu.name,
    vm: vcpu.vm.facts.name,
    ipa: hex(ipa),
    esr: hex(esr),
    far: hex64(fault.far),
    pc: hex64(fault.pc),
    reason: verdict.reason,
    story,
  };
}
