// What replaying a trace comes to: every line and every fault in exactly one class, with the rule that put it there.

import type { RejectReason, SkipReason } from '../line.ts';

/** Why a fault could not be predicted: the fact that neither trace nor machine file tells. */
export const UNKNOWN = {
  'no-slot-given': 'the machine file does not say what is at this IPA',
  'leaf-size': 'whether the host backs the window with a block or pages is not in a trace',
  'page-state': 'whether the page behind an earlier read was the zero page is not in a trace',
  'mapped-before-trace': 'the trace begins after the VM did: what was mapped before is not in it',
  'events-lost': 'the trace says that events were lost before this fault',
  raced: 'another task changed the same window while this fault was under way',
  'hva-not-given': 'without the hva of the slot no notifier can be placed',
  'notifier-of-no-vm': 'a notifier before it could belong to more than one VM',
  'vma-may-have-changed': 'a notifier before it may stand for a change of the VMA, which no event tells',
  'in-kernel-device': 'which devices are on the MMIO bus of the kernel (vGIC, ioeventfd) is not in a trace',
  'outcome-not-traced': 'the event that would tell the outcome was not recorded',
  'stage-1-not-traced': 'this fault depends on the type at stage 1, which is not in a trace',
  'task-of-no-vm': 'the machine file does not say to which VM this task belongs',
} as const;

/** What contradicts the simulated host. */
export const SURPRISE = {
  'table-permits': 'stage 2 translates and permits this access: no fault was expected',
  'other-level': 'the walk ends at another level',
  'other-type': 'a fault of another type was expected',
  'other-outcome': 'the host was expected to end the fault otherwise',
  'ipa-beyond-vm': 'the IPA is beyond the size of the VM: this kernel answers before the event',
} as const;

export type UnknownReason = keyof typeof UNKNOWN;
export type SurpriseReason = keyof typeof SURPRISE;

export type Verdict =
  | { readonly class: 'predicted' }
  | { readonly class: 'unknown'; readonly reason: UnknownReason }
  | { readonly class: 'surprising'; readonly reason: SurpriseReason; readonly expected: string };

export const PREDICTED: Verdict = { class: 'predicted' };
export const unknown = (reason: UnknownReason): Verdict => ({ class: 'unknown', reason });
export const surprising = (reason: SurpriseReason, expected: string): Verdict => ({
  class: 'surprising',
  reason,
  expected,
});

export type Counts<Reason extends string> = Partial<Record<Reason, number>>;

export interface FirstSurprise {
  readonly line: number;
  readonly time: string;
  readonly task: string;
  readonly vm: string;
  readonly ipa: string;
  readonly esr: string;
  readonly far: string;
  readonly pc: string;
  readonly reason: SurpriseReason;
  /** What happened, what was expected, and what can be behind it. */
  readonly story: readonly string[];
}

export interface TraceReport {
  readonly machine: string;
  readonly kernel: string;
  /** understood + skipped + rejected = read. */
  readonly lines: {
    readonly read: number;
    readonly understood: number;
    readonly skipped: number;
    readonly rejected: number;
    readonly skippedBecause: Counts<SkipReason>;
    readonly rejectedBecause: Counts<RejectReason>;
    readonly firstRejected: {
      readonly line: number;
      readonly reason: RejectReason;
      readonly text: string;
    } | null;
  };
  /** Lines by event, those that are passed by too. */
  readonly events: Readonly<Record<string, number>>;
  /** predicted + surprising + unknown = seen. */
  readonly faults: {
    readonly seen: number;
    readonly predicted: number;
    readonly surprising: number;
    readonly unknown: number;
    readonly unknownBecause: Counts<UnknownReason>;
    readonly surprisingBecause: Counts<SurpriseReason>;
    /** By kind, such as `data translation 3`: seen and predicted. */
    readonly kinds: Readonly<Record<string, { readonly seen: number; readonly predicted: number }>>;
  };
  readonly notifiers: { readonly seen: number; readonly applied: number; readonly ofNoVm: number };
  /** Later calls of the VMM: in the machine file, reached by the trace, refused by the simulated host. */
  readonly calls: { readonly given: number; readonly applied: number; readonly refused: number };
  /** Lines that say that events were lost. */
  readonly lost: number;
  readonly vms: readonly {
    readonly name: string;
    /** Threads that ran its vCPUs. */
    readonly vcpuTasks: number;
    /** The trace begins with the VM's first fault; null before any fault. */
    readonly fromStart: boolean | null;
    readonly leaves: number;
  }[];
  readonly firstSurprise: FirstSurprise | null;
  /** Why the input ended early; null if it is whole. */
  readonly damage: string | null;
}
