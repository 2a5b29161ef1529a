// Replaying a trace: each fault is held against the simulated stage 2 as it is met, handled by the simulated host when
// the trace shows how it ended, and each notifier changes the table where the trace has it.

import type { TraceMachine } from '../../machine-file/machine.ts';
import { CATALOGUE } from '../catalogue.ts';
import { valueAt } from '../fields.ts';
import type { Line, RejectReason } from '../line.ts';
import { commOf, emptyLine, readLine } from '../line.ts';
import { createLineSplitter } from '../lines.ts';
import { performDue } from './calls.ts';
import { beginFault, finish } from './faults.ts';
import { REENTERED, UNSEEN } from './host-outcome.ts';
import { notified } from './notified.ts';
import type { TraceReport } from './report.ts';
import type { Pending, Replay, VcpuRun } from './run.ts';
import { createTally } from './tally.ts';
import { createTasks } from './tasks.ts';
import { createWorld, stateOf } from './world.ts';

export interface TraceReplay {
  /** Feeds the next bytes of the trace; they are not kept. */
  push(chunk: Uint8Array): void;
  /** Ends the trace. @param damage why the input ended before its end */
  end(damage?: string | null): TraceReport;
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
    calls: {
      given: world.vms.reduce((sum, { facts }) => sum + facts.calls.length, 0),
      applied: 0,
      refused: 0,
    },
    waiting: world.vms.filter(({ facts }) => facts.calls.length > 0),
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
      if (line.event !== null) {
        if (replay.waiting.length > 0) performDue(replay, line);
        TAKE[line.event.index]?.(replay, line);
      }
      if (line.skip === 'events-lost') replay.lost += 1;
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

/** What an event of the catalogue does, by its position there; most events only show that they were recorded. */
const TAKE: readonly ((replay: Replay, line: Line) => void)[] = CATALOGUE.map(({ name }) => {
  switch (name) {
    case 'kvm_unmap_hva_range':
    case 'kvm_unmap_hva':
    case 'kvm_age_hva':
    case 'kvm_set_spte_hva':
      return notified;
    case 'kvm_guest_fault':
      return (replay, line) => beginFault(replay, runOf(replay, line), line);
    case 'kvm_entry':
      return enter;
    case 'kvm_mmio':
      return mmio;
    case 'kvm_userspace_exit':
      return userspaceExit;
    case 'kvm_test_age_hva':
      return () => {};
    default:
      return runOf;
  }
});

function mmio(replay: Replay, line: Line): void {
  replay.recorded.mmio = true;
  const { values } = line;
  const { pending } = runOf(replay, line) ?? NOT_RUNNING;
  const type = valueAt(values, 0);
  // A read is traced twice, before and after; the second belongs to the next KVM_RUN.
  if (pending === null || type === 1) return;
  pending.seen ??= { kind: 'mmio', inKernel: true, gpa: valueAt(values, 2), write: type === 2 };
}

function userspaceExit(replay: Replay, line: Line): void {
  replay.recorded.userspaceExit = true;
  const { pending } = runOf(replay, line) ?? NOT_RUNNING;
  if (pending !== null) exited(pending, line);
}

const NOT_RUNNING = { pending: null } as const;

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

function runOf(replay: Replay, line: Line): VcpuRun | null {
  const { pid } = line.prefix;
  const known = replay.runs.get(pid);
  if (known !== undefined) return known;
  const vcpu = replay.tasks.vcpuOf(pid, line.prefix.tgid, () => commOf(line));
  const run = vcpu === null ? null : { vcpu, pending: null, lastFault: 0 };
  replay.runs.set(pid, run);
  return run;
}

/** The first KVM_RUN maps the vGIC's resources; every entry ends the fault before it. */
function enter(replay: Replay, line: Line): void {
  const run = runOf(replay, line);
  if (run === null) return;
  const { vm, id } = run.vcpu;
  if (!vm.ran) {
    vm.ran = true;
    replay.world.simulation.dispatch({ type: 'vcpu-run', vm: vm.id, vcpu: id });
  }
  if (run.pending !== null) finish(replay, run, REENTERED);
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
    calls: replay.calls,
    lost: replay.lost,
    vms: world.vms.map((vm) => ({
      name: vm.facts.name,
      vcpuTasks: tasks.vcpus.filter((vcpu) => vcpu.vm === vm).length,
      fromStart: vm.fromStart,
      leaves: stateOf(world.simulation, vm.id).table.leafCount,
    })),
    firstSurprise: replay.firstSurprise,
    damage,
  };
}
