// Whether what the host does with a fault agrees with what followed in the trace, as far as the trace can show it.

import type { TraceFault } from './fault.ts';
import type { Outcome } from './host-outcome.ts';
import { describeOutcome } from './host-outcome.ts';
import type { Verdict } from './report.ts';
import { PREDICTED, surprising, unknown } from './report.ts';
import type { WorldSlot } from './slots.ts';
import type { VmWorld } from './world.ts';

/** Which kinds of events the trace has shown so far, anywhere: an event that is not recorded proves nothing. */
export interface Recorded {
  mmio: boolean;
  userspaceExit: boolean;
}

export interface Comparison {
  readonly vm: VmWorld;
  readonly fault: TraceFault;
  readonly recorded: Recorded;
}

export function compareOutcomes(
  predicted: Outcome,
  seen: Outcome,
  facts: Comparison,
  slot: WorldSlot | undefined,
): Verdict {
  if (seen.kind === 'unseen') return PREDICTED;
  if (predicted.kind === 'mmio' && seen.kind === 'mmio') return compareMmio(predicted, seen, facts.vm);
  if (predicted.kind === 'failed' && seen.kind === 'failed') {
    if (seen.errno === null || predicted.errno === seen.errno) return PREDICTED;
  }
  if (predicted.kind === 'exited' && seen.kind === 'exited' && predicted.reason === seen.reason)
    return PREDICTED;
  if (predicted.kind === 'reentered' && seen.kind === 'reentered') return PREDICTED;
  const { vm, recorded } = facts;
  if (slot === undefined ? !vm.facts.slotsComplete : slot.backing === null) return unknown('no-slot-given');
  const silent =
    (predicted.kind === 'mmio' && !recorded.mmio) ||
    (predicted.kind !== 'reentered' && predicted.kind !== 'mmio' && !recorded.userspaceExit);
  if (seen.kind === 'reentered' && silent) return unknown('outcome-not-traced');
  const mayHaveChanged = slot !== undefined && !vm.facts.callsComplete;
  if (mayHaveChanged && seen.kind === 'failed' && wasNotified(vm, slot, facts.fault)) {
    return unknown('vma-may-have-changed');
  }
  return surprising('other-outcome', describeOutcome(predicted));
}

function compareMmio(predicted: Outcome, seen: Outcome, vm: VmWorld): Verdict {
  if (predicted.kind !== 'mmio' || seen.kind !== 'mmio' || predicted.inKernel === seen.inKernel)
    return PREDICTED;
  if (predicted.inKernel) return surprising('other-outcome', describeOutcome(predicted));
  const key = seen.gpa * 2 + (seen.write ? 1 : 0);
  if (vm.inKernel.has(key)) return PREDICTED;
  if (vm.inKernel.size > MAX_REMEMBERED) vm.inKernel.clear();
  vm.inKernel.add(key);
  return unknown('in-kernel-device');
}

/** More registers than any machine has: what a trace makes the replay remember stays bounded. */
const MAX_REMEMBERED = 2 ** 18;

const wasNotified = (vm: VmWorld, slot: WorldSlot, { fault }: TraceFault): boolean => {
  const hva = slot.hva + fault.ipa - slot.ipa;
  return vm.notified.some(({ start, end }) => hva >= start && hva < end);
};
