// The life of a fault in a replay: from its line, where it is held against the table, to the line that shows how it
// ended, where the host handles it.

import type { Line } from '../line.ts';
import { timeOf } from '../line.ts';
import { examine } from './examine.ts';
import { faultOf } from './fault.ts';
import type { Outcome } from './host-outcome.ts';
import { UNSEEN } from './host-outcome.ts';
import { repair } from './repair.ts';
import { unknown } from './report.ts';
import type { Replay, VcpuRun } from './run.ts';
import { settle } from './settle.ts';
import { storyOf } from './story.ts';
import { windowOf } from './world.ts';

/** The line of a fault: held against the table as it is now. */
export function beginFault(replay: Replay, run: VcpuRun | null, line: Line): void {
  if (run === null) {
    replay.tally.fault(null, unknown('task-of-no-vm'));
    return;
  }
  if (run.pending !== null) finish(replay, run, UNSEEN);
  const fault = faultOf(line.values, replay.faults++, replay.line, timeOf(line));
  if (fault === null) {
    replay.tally.fault(null, unknown('stage-1-not-traced'));
    return;
  }
  const { vm } = run.vcpu;
  const { status, ipa } = fault.fault;
  const { geometry } = vm.facts;
  vm.fromStart ??= status.kind === 'translation' && status.level === geometry.startLevel;
  const around = { raced: isRaced(replay, run, ipa), lost: replay.lost > 0 };
  const verdict = examine(replay.world, vm, fault, around);
  const reachable = ipa < vm.ipaEnd;
  if (verdict.class !== 'predicted' && reachable) repair(replay.world, vm, fault);
  run.pending = { fault, verdict, seen: null, notified: false };
}

/** Another vCPU of the VM is changing the window, or did since this one's fault before. */
function isRaced(replay: Replay, run: VcpuRun, ipa: number): boolean {
  const { vm, id } = run.vcpu;
  if (replay.runs.size === 1 && vm.changes.length === 0) return false;
  const window = windowOf(replay.world, ipa);
  const changed = vm.changes.some((c) => c.window === window && c.vcpu !== id && c.line >= run.lastFault);
  if (changed) return true;
  for (const other of replay.runs.values()) {
    if (other === null || other === run || other.vcpu.vm !== vm || other.pending === null) continue;
    if (windowOf(replay.world, other.pending.fault.fault.ipa) === window) return true;
  }
  return false;
}

const MAX_CHANGES = 256;

/** The fault is over: the host handles it as the trace shows, and it is counted. */
export function finish(replay: Replay, run: VcpuRun, ending: Outcome): void {
  const { pending, vcpu } = run;
  if (pending === null) return;
  run.pending = null;
  vcpu.vm.faultsOver += 1;
  const { fault, notified: hit } = pending;
  const seen = pending.seen ?? ending;
  const { vm } = vcpu;
  const settled = settle(replay.world, {
    vm,
    vcpu: vcpu.id,
    fault,
    seen,
    notified: hit,
    recorded: replay.recorded,
  });
  const verdict = pending.verdict.class === 'predicted' ? settled.verdict : pending.verdict;
  replay.tally.fault(fault, verdict);
  if (verdict.class === 'surprising' && replay.firstSurprise === null) {
    replay.firstSurprise = storyOf(replay.world, vcpu, fault, verdict, seen);
  }
  run.lastFault = fault.line;
  if (seen.kind !== 'reentered' || replay.runs.size === 1) return;
  vm.changes.push({ window: windowOf(replay.world, fault.fault.ipa), vcpu: vcpu.id, line: replay.line });
  if (vm.changes.length > MAX_CHANGES) vm.changes.shift();
}
