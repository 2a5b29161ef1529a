// How a fault ended, as the host decides it and as the trace shows it, in the same few words.

import type { MachineEvent } from '../../../machine/events.ts';

export type Outcome =
  /** The guest runs on: mapped, retried, skipped, or with an abort of its own; the trace shows one kvm_entry. */
  | { readonly kind: 'reentered' }
  | { readonly kind: 'mmio'; readonly inKernel: boolean; readonly gpa: number; readonly write: boolean }
  /** KVM_RUN returns -errno; null where the trace does not show which. */
  | { readonly kind: 'failed'; readonly errno: number | null }
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

const ERRNO: Readonly<Record<number, string>> = {
  4: 'EINTR',
  12: 'ENOMEM',
  14: 'EFAULT',
  22: 'EINVAL',
  38: 'ENOSYS',
};

export function describeOutcome(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'reentered':
      return 'the guest re-enters';
    case 'mmio':
      return outcome.inKernel
        ? 'the kernel emulates the access'
        : 'KVM_EXIT_MMIO: the VMM emulates the access';
    case 'failed': {
      const { errno } = outcome;
      return errno === null ? 'KVM_RUN fails' : `KVM_RUN fails with ${ERRNO[errno] ?? `errno ${errno}`}`;
    }
    case 'exited':
      return `KVM_RUN ends with exit reason ${outcome.reason}`;
    case 'unseen':
      return 'nothing shows how it ended';
  }
}
