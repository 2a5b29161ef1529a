// Replaying a trace: each fault is held against the simulated stage 2 as it is met, handled by the simulated host when
// the trace shows how it ended, and each notifier changes the table where the trace has it.

import type { TraceMachine } from '../../machine-file/machine.ts';
import { valueAt } from '../fields.ts';
import type { Line, RejectReason } from '../line.ts';
import { commOf, emptyLine, readLine, timeOf } from '../line.ts';
import { createLineSplitter } from '../lines.ts';
import { examine } from './examine.ts';
import type { TraceFault } from './fault.ts';
import { faultOf } from './fault.ts';
import type { Outcome } from './host-outcome.ts';
import { REENTERED, UNSEEN } from './host-outcome.ts';
import { age, rangesOf, remember, setSpte, unmap } from './notify.ts';
import type { Recorded } from './outcome.ts';
import { repair } from './repair.ts';
import type { FirstSurprise, TraceReport, Verdict } from './report.ts';
import { unknown } from './report.ts';
import { settle } from './settle.ts';
import { storyOf } from './story.ts';
import { createTally } from './tally.ts';
import type { VcpuWorld } from './tasks.ts';
import { createTasks } from './tasks.ts';
import type { VmWorld, World } from './world.ts';
import { createWorld, stateOf, windowOf } from './world.ts';

export interface TraceReplay {
  /** Feeds the next bytes of the trace; they are not kept. */
  push(chunk: Uint8Array): void;
  /** Ends the trace. @param damage why the input ended before its end */
  end(damage?: string | null): TraceReport;
}

/** A fault between its line and the line that shows how it ended. */
interface Pending {
  readonly fault: TraceFault;
  readonly verdict: Verdict;
  seen: Outcome | null;
  notified: boolean;
}

interface VcpuRun {
  readonly vcpu: VcpuWorld;
  pending: Pending | null;
  /** Line of the last fault before the one at hand. */
  lastFault: number;
}

interface Replay {
  readonly world: World;
  readonly runs: Map<number, VcpuRun | null>;
  readonly tasks: ReturnType<typeof createTasks>;
  readonly tally: ReturnType<typeof createTally>;
  readonly recorded: Recorded;
  readonly notifiers: { seen: number; applied: number; ofNoVm: number };
  line: number;
  lost: number;
  faults: number;
  firstSurprise: FirstSurprise | null;
}

export function createTraceReplay(machine: TraceMachine): TraceReplay {
  const world = createWorld(machine);
  const replay: Replay = {
    world,
    runs: new Map(),
    tasks: createTasks(world),
    tally: createTally(),
    recorded: { mmio: false, userspaceExit: false },
    notifiers: { seen: 0, applied: 0, ofNoVm: 0 },
    line: 0,
    lost: 0,
    faults: 0,
    firstSurprise: null,
  };
  const line = emptyLine();
  const reject = (reason: RejectReason): void => replay.tally.rejected(reason, replay.line);
  const splitter = createLineSplitter({
    line(bytes, start, end, ended) {
      replay.line += 1;
      readLine(line, bytes, start, end);
      if (!ended && line.outcome === 'rejected') line.reject = 'cut-short';
      replay.tally.line(line, replay.line, start, end);
      if (line.event !== null) take(replay, line);
      else if (line.skip === 'events-lost') replay.lost += 1;
      else if (line.skip === 'header') readHeader(replay, bytes, start, end);
    },
    tooLong() {
      replay.line += 1;
      reject('longer-than-64-KiB');
    },
  });
  return {
    push: (chunk) => splitter.push(chunk),
    end(damage = null) {
      splitter.end();
      for (const run of replay.runs.values()) if (run !== null) finish(replay, run, UNSEEN);
      return reportOf(replay, damage);
    },
  };
}

/** `# entries-in-buffer/entries-written: 205/400`: what was overwritten is lost. */
function readHeader(replay: Replay, bytes: Uint8Array, start: number, end: number): void {
  if (end - start > 200) return;
  const text = String.fromCharCode(...bytes.subarray(start, end));
  const counts = /entries-in-buffer\/entries-written: (\d{1,15})\/(\d{1,15}) /.exec(text);
  if (counts !== null && Number(counts[1]) < Number(counts[2])) replay.lost += 1;
}

function take(replay: Replay, line: Line): void {
  const { event, prefix, values } = line;
  switch (event?.spec.name) {
    case 'kvm_unmap_hva_range':
    case 'kvm_unmap_hva':
    case 'kvm_age_hva':
    case 'kvm_set_spte_hva':
      notified(replay, line);
      return;
    case 'kvm_test_age_hva':
    case undefined:
      return;
    default:
  }
  const run = runOf(replay, prefix.pid, line);
  if (event?.spec.name === 'kvm_guest_fault') {
    beginFault(replay, run, line);
    return;
  }
  if (run === null) return;
  switch (event?.spec.name) {
    case 'kvm_entry':
      enter(replay, run);
      return;
    case 'kvm_mmio': {
      replay.recorded.mmio = true;
      const type = valueAt(values, 0);
      // A read is traced twice, before and after; the second belongs to the next KVM_RUN.
      if (run.pending === null || type === 1) return;
      run.pending.seen ??= { kind: 'mmio', inKernel: true, gpa: valueAt(values, 2), write: type === 2 };
      return;
    }
    case 'kvm_userspace_exit':
      replay.recorded.userspaceExit = true;
      if (run.pending !== null) exited(run.pending, line);
      return;
    default:
      return;
  }
}

const KVM_EXIT_UNKNOWN = 0;
const KVM_EXIT_MMIO = 6;
const KVM_EXIT_ARM_NISV = 28;
const KVM_EXIT_ARM_SEA = 41;
const EINTR = 4;

function exited(pending: Pending, { values }: Line): void {
  const hasErrno = (values.present & 2) !== 0;
  const errno = hasErrno ? Math.abs(valueAt(values, 1)) : 0;
  const reason = (values.present & 1) !== 0 ? valueAt(values, 0) : -1;
  if (errno !== 0) {
    if (errno !== EINTR) pending.seen ??= { kind: 'failed', errno };
  } else if (reason === KVM_EXIT_UNKNOWN) {
    // KVM_RUN sets it first of all, so the run failed; trace-cmd report prints it instead of the errno.
    pending.seen ??= { kind: 'failed', errno: null };
  } else if (reason === KVM_EXIT_MMIO && pending.seen?.kind === 'mmio') {
    pending.seen = { ...pending.seen, inKernel: false };
  } else if (reason === KVM_EXIT_MMIO) {
    const { access, fault } = pending.fault;
    pending.seen = {
      kind: 'mmio',
      inKernel: false,
      gpa: access.ipa ?? fault.ipa,
      write: access.kind === 'write',
    };
  } else if (reason === KVM_EXIT_ARM_NISV || reason === KVM_EXIT_ARM_SEA) {
    pending.seen ??= { kind: 'exited', reason };
  }
}

function runOf(replay: Replay, pid: number, line: Line): VcpuRun | null {
  const known = replay.runs.get(pid);
  if (known !== undefined) return known;
  const vcpu = replay.tasks.vcpuOf(pid, line.prefix.tgid, () => commOf(line));
  const run = vcpu === null ? null : { vcpu, pending: null, lastFault: 0 };
  replay.runs.set(pid, run);
  return run;
}

/** The first KVM_RUN maps the vGIC's resources; every entry ends the fault before it. */
function enter(replay: Replay, run: VcpuRun): void {
  const { vm, id } = run.vcpu;
  if (!vm.ran) {
    vm.ran = true;
    replay.world.simulation.dispatch({ type: 'vcpu-run', vm: vm.id, vcpu: id });
  }
  if (run.pending !== null) finish(replay, run, REENTERED);
}

function beginFault(replay: Replay, run: VcpuRun | null, line: Line): void {
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
  const reachable = ipa < 2 ** geometry.ipaBits;
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

function finish(replay: Replay, run: VcpuRun, ending: Outcome): void {
  const { pending, vcpu } = run;
  if (pending === null) return;
  run.pending = null;
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

/** A notifier belongs to the VM of its task; of a kernel thread, to the one VM whose slots it hits. */
function notified(replay: Replay, line: Line): void {
  const { prefix, values, event } = line;
  const { world, notifiers } = replay;
  notifiers.seen += 1;
  const start = valueAt(values, 0);
  const single = event?.spec.second === undefined;
  const end = single ? start + world.machine.pageSize : valueAt(values, 1);
  const own = replay.tasks.vmOf(prefix.pid, prefix.tgid);
  const hit = own === null ? world.vms.filter((vm) => rangesOf(vm, start, end).length > 0) : [own];
  const [vm, other] = hit;
  if (vm === undefined) return;
  if (other !== undefined) {
    notifiers.ofNoVm += 1;
    for (const one of hit) remember(one.maybe, { start, end });
    return;
  }
  const applied =
    event?.spec.name === 'kvm_age_hva'
      ? age(world, vm, start, end)
      : event?.spec.name === 'kvm_set_spte_hva'
        ? setSpte(world, vm, start)
        : unmap(world, vm, start, end);
  if (!applied) return;
  notifiers.applied += 1;
  if (event?.spec.name === 'kvm_age_hva') return;
  noteInterrupted(replay, vm, prefix.pid, start, end);
}

/** Every fault of the VM that is under way has seen mmu_invalidate_seq move; of another task, nobody knows when. */
function noteInterrupted(replay: Replay, vm: VmWorld, pid: number, start: number, end: number): void {
  for (const [task, run] of replay.runs) {
    if (run === null || run.vcpu.vm !== vm || run.pending === null) continue;
    if (task === pid) {
      run.pending.notified = true;
      continue;
    }
    for (const { ipa, size } of rangesOf(vm, start, end)) {
      const { ipa: at } = run.pending.fault.fault;
      if (at >= ipa && at < ipa + size) run.pending.notified = true;
    }
    vm.changes.push({
      window: windowOf(replay.world, run.pending.fault.fault.ipa),
      vcpu: -1,
      line: replay.line,
    });
  }
}

function reportOf(replay: Replay, damage: string | null): TraceReport {
  const { world, tally, tasks } = replay;
  return {
    machine: world.machine.name,
    kernel: world.machine.kernel.name,
    lines: tally.lines(),
    events: tally.events(),
    faults: tally.faults(),
    notifiers: replay.notifiers,
    lost: replay.lost,
    vms: world.vms.map((vm) => ({
      name: vm.facts.name,
      vcpus: tasks.vcpus.filter((vcpu) => vcpu.vm === vm).length,
      fromStart: vm.fromStart,
      leaves: stateOf(world.simulation, vm.id).table.leafCount,
    })),
    firstSurprise: replay.firstSurprise,
    damage,
  };
}
