// What the simulated kernel and processors did with each access and call, gathered from the events as they pass:
// the predictions that are compared with a capture, and nothing else.

import type { Because } from '../../host/because.ts';
import type { MachineEvent, Recorded } from '../../machine/events.ts';
import type { Simulation } from '../../machine/simulation.ts';

export interface PredictedFault {
  readonly ipa: number;
  readonly esr: number;
  readonly far: number;
  /** The kernel answers before its trace point: an IPA beyond the VM's size. */
  traced: boolean;
}

export type Outcome =
  | 'completed'
  | 'mmio-exit'
  | 'mmio-in-kernel'
  | 'nisv-exit'
  | 'kvm-run-error'
  | 'guest-abort'
  | 'guest-stage1-fault';

export interface PredictedAccess {
  readonly faults: PredictedFault[];
  outcome: Outcome | null;
  errno: number | null;
  /** ESR_EL1 as the guest reads it. */
  guestEsr: bigint | null;
  guestFar: number | null;
  /** The last rule that decided something about the access. */
  because: string | null;
}

export interface PredictedNotifier {
  readonly kind: 'unmap-range' | 'age';
  readonly start: number;
  readonly end: number;
}

export interface PredictedCall {
  errno: number;
  dirtyPages: readonly number[] | null;
  /** Notifiers that hit a memslot, in order. */
  readonly notifiers: PredictedNotifier[];
  because: Because | null;
}

export interface Observer {
  readonly accesses: Map<number, PredictedAccess>;
  /** Starts gathering for a new call of the VMM. */
  beginCall(): PredictedCall;
}

export function observe(simulation: Simulation): Observer {
  const accesses = new Map<number, PredictedAccess>();
  const current = new Map<number, PredictedAccess>();
  let call = newCall();
  simulation.bus.all.subscribe((event) => {
    if (event.type === 'access-issued') {
      const fresh: PredictedAccess = {
        faults: [],
        outcome: null,
        errno: null,
        guestEsr: null,
        guestFar: null,
        because: null,
      };
      accesses.set(event.access.id, fresh);
      current.set(event.vcpu, fresh);
    } else if ('vcpu' in event) {
      const access = current.get(event.vcpu);
      if (access !== undefined) observeAccess(access, event);
    } else {
      observeCall(call, event);
    }
  });
  return {
    accesses,
    beginCall() {
      call = newCall();
      return call;
    },
  };
}

const newCall = (): PredictedCall => ({ errno: 0, dirtyPages: null, notifiers: [], because: null });

function observeCall(call: PredictedCall, event: MachineEvent): void {
  if (event.type === 'notifier-invalidated' || event.type === 'notifier-aged') {
    if (event.slots.length === 0) return;
    const kind = event.type === 'notifier-aged' ? 'age' : 'unmap-range';
    call.notifiers.push({ kind, start: event.start, end: event.end });
    if (event.type === 'notifier-invalidated') call.because = event.because;
  } else if (event.type === 'vmm-call-returned') {
    call.errno = event.errno;
    call.dirtyPages = event.dirtyPages ?? null;
  }
}

function observeAccess(access: PredictedAccess, event: Recorded): void {
  // What the guest re-enters after was decided before: the leaf's own rule says more than that it is in place.
  if ('because' in event && event.because !== null && event.type !== 'guest-reentered')
    access.because = event.because;
  switch (event.type) {
    case 'stage2-faulted':
      access.faults.push({ ipa: event.fault.ipa, esr: event.fault.esr, far: event.fault.far, traced: true });
      return;
    case 'access-completed':
      access.outcome ??= 'completed';
      return;
    case 'mmio-exited':
      access.outcome = 'mmio-exit';
      return;
    case 'mmio-handled':
      access.outcome = 'mmio-in-kernel';
      return;
    case 'nisv-exited':
      access.outcome = 'nisv-exit';
      return;
    case 'run-failed':
      access.outcome = 'kvm-run-error';
      access.errno = event.errno;
      return;
    case 'abort-injected':
      access.outcome = 'guest-abort';
      access.guestEsr = BigInt.asUintN(
        64,
        event.signExtended ? BigInt.asIntN(32, BigInt(event.esr)) : BigInt(event.esr),
      );
      access.guestFar = event.far;
      markUntraced(access, event.because);
      return;
    case 'stage1-faulted':
      access.outcome = 'guest-stage1-fault';
      access.guestEsr = event.esr === null ? null : BigInt(event.esr);
      access.guestFar = event.far;
      return;
    default:
      return;
  }
}

function markUntraced(access: PredictedAccess, because: Because): void {
  const last = access.faults.at(-1);
  if (last !== undefined && (because === 'ipa-beyond-vm' || because === 'ipa-beyond-host'))
    last.traced = false;
}
