// How a fault ended, as the host decides it and as the trace shows it, in the same few words; and whether the two
// agree as far as the trace can show.

import type { MachineEvent } from '../../../machine/events.ts';
import type { TraceFault } from './fault.ts';
import type { Verdict } from './report.ts';
import { PREDICTED, surprising, unknown } from './report.ts';
import type { VmWorld, WorldSlot } from './world.ts';

export type Outcome =
  /** The guest runs on: mapped, retried, skipped, or with an abort of its own; the trace shows one kvm_entry. */
  | { readonly kind: 'reentered' }
  | { readonly kind: 'mmio'; readonly inKernel: boolean; readonly gpa: number; readonly write: boolean }
  /** KVM_RUN returns -errno. */
  | { readonly kind: 'failed'; readonly errno: number }
  | { readonly kind: 'exited'; readonly reason: number }
  /** The trace ends, or has no event that would show it. */
  | { readonly kind: 'unseen' };

const KVM_EXIT_ARM_NISV = 28;
const KVM_EXIT_ARM_SEA = 41;

export const REENTERED: Outcome = { kind: 'reentered' };
export const UNSEEN: Outcome = { kind: 'unseen' };

/** What an event of the host ends a fault with; null for an event on the way. */
export function outcomeOf(event: MachineEvent): Outcome | null {
  switch (event.type) {
    case 'guest-reentered':
    case 'instruction-skipped':
    case 'abort-injected':
    case 'serror-injected':
      return REENTERED;
    case 'mmio-exited':
    case 'mmio-handled':
      return { kind: 'mmio', inKernel: event.type === 'mmio-handled', gpa: event.gpa, write: event.write };
    case 'run-failed':
      return { kind: 'failed', errno: event.errno };
    case 'nisv-exited':
      return { kind: 'exited', reason: KVM_EXIT_ARM_NISV };
    case 'sea-exited':
      return { kind: 'exited', reason: KVM_EXIT_ARM_SEA };
    default:
      return null;
  }
}

/** Which kinds of events the trace has shown so far, anywhere: an event that is not recorded proves nothing. */
export interface Recorded {
  mmio: boolean;
  userspaceExit: boolean;
}

export interface Comparison {
  readonly vm: VmWorld;
  readonly fault: TraceFault;
  readonly slot: WorldSlot | undefined;
  readonly recorded: Recorded;
}

export function compareOutcomes(predicted: Outcome, seen: Outcome, facts: Comparison): Verdict {
  if (seen.kind === 'unseen') return PREDICTED;
  if (predicted.kind === 'mmio' && seen.kind === 'mmio') return compareMmio(predicted, seen, facts.vm);
  if (predicted.kind === 'failed' && seen.kind === 'failed' && predicted.errno === seen.errno) return PREDICTED;
  if (predicted.kind === 'exited' && seen.kind === 'exited' && predicted.reason === seen.reason) return PREDICTED;
  if (predicted.kind === 'reentered' && seen.kind === 'reentered') return PREDICTED;
  const { vm, slot, recorded } = facts;
  if (slot === undefined ? !vm.facts.slotsComplete : slot.backing === null) return unknown('no-slot-given');
  const silent =
    (predicted.kind === 'mmio' && !recorded.mmio) ||
    (predicted.kind !== 'reentered' && predicted.kind !== 'mmio' && !recorded.userspaceExit);
  if (seen.kind === 'reentered' && silent) return unknown('outcome-not-traced');
  if (slot !== undefined && seen.kind === 'failed' && wasNotified(vm, slot, facts.fault)) {
    return unknown('vma-may-have-changed');
  }
  return surprising('other-outcome', describeOutcome(predicted));
}

function compareMmio(predicted: Outcome, seen: Outcome, vm: VmWorld): Verdict {
  if (predicted.kind !== 'mmio' || seen.kind !== 'mmio' || predicted.inKernel === seen.inKernel) return PREDICTED;
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

const ERRNO: Readonly<Record<number, string>> = { 4: 'EINTR', 12: 'ENOMEM', 14: 'EFAULT', 22: 'EINVAL', 38: 'ENOSYS' };

export function describeOutcome(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'reentered':
      return 'the guest re-enters';
    case 'mmio':
      return outcome.inKernel ? 'the kernel emulates the access' : 'KVM_EXIT_MMIO: the VMM emulates the access';
    case 'failed':
      return `KVM_RUN fails with ${ERRNO[outcome.errno] ?? `errno ${outcome.errno}`}`;
    case 'exited':
      return `KVM_RUN ends with exit reason ${outcome.reason}`;
    case 'unseen':
      return 'nothing shows how it ended';
  }
}
