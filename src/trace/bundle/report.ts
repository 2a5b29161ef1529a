// The result of replaying one bundle, complete: what `--json` prints and what the summary is made from.

import type { KernelPreset } from '../../host/kernels.ts';
import type { Simulation } from '../../machine/simulation.ts';
import type { Divergence, DumpCheck, DumpResult, Tally } from './check.ts';
import { checkCall, checkDump, checkFaults, checkOutcome } from './check.ts';
import type { Bundle } from './load.ts';
import { replayBundle } from './replay.ts';

export interface ReplayReport {
  readonly bundle: string;
  readonly kernel: string;
  readonly accesses: number;
  readonly faults: Tally & { unexpected: number };
  readonly outcomes: Tally;
  readonly operations: Tally;
  readonly dumps: readonly DumpResult[];
  readonly firstDivergence: Divergence | null;
  readonly divergences: number;
  /** False for a bundle without expected.json: replayed, not checked. */
  readonly checked: boolean;
  readonly events: number;
}

/** Replays and, where the bundle has answers, checks every prediction in the order of the timeline. */
export function reportOf(
  bundle: Bundle,
  kernel?: string | KernelPreset,
  onSimulation?: (simulation: Simulation) => void,
): ReplayReport {
  const { machine, expected } = bundle;
  const dumps: DumpCheck[] = [];
  const replay = replayBundle(
    machine,
    bundle.directory,
    (name, vm, simulation) => {
      const state = simulation.state.vms[vm];
      const answer = state === undefined ? undefined : expected?.dumps[name]?.[state.name];
      const { host } = simulation.state;
      if (state === undefined || host === null || answer === undefined) return;
      dumps.push(checkDump(name, state, host.cpu, answer));
    },
    kernel,
    onSimulation,
  );
  const { accesses } = replay.observer;
  const faults = { expected: 0, matched: 0, unexpected: 0 };
  const outcomes = { expected: 0, matched: 0 };
  const operations = { expected: 0, matched: 0 };
  const found: Divergence[] = [];
  const pendingDumps = dumps[Symbol.iterator]();
  machine.timeline.forEach((entry, index) => {
    if (expected === null) return;
    if (entry.op === 'dump') {
      const { divergence = null } = pendingDumps.next().value ?? {};
      if (divergence !== null) found.push(divergence);
      return;
    }
    if (entry.op === 'access') {
      const answer = expected.accesses[String(entry.id)];
      if (answer === undefined) return;
      const predicted = accesses.get(entry.id);
      const check = checkFaults(entry.id, answer, predicted);
      faults.expected += answer.faults.length;
      faults.matched += check.matched;
      faults.unexpected += check.unexpected;
      const outcome = checkOutcome(entry.id, answer, predicted);
      outcomes.expected += 1;
      outcomes.matched += outcome === null ? 1 : 0;
      found.push(...[check.divergence, outcome].filter((d) => d !== null));
      return;
    }
    const answer = expected.operations[String(index)];
    if (answer === undefined) return;
    const divergence = checkCall(machine, index, answer, replay.calls.get(index));
    operations.expected += 1;
    operations.matched += divergence === null ? 1 : 0;
    if (divergence !== null) found.push(divergence);
  });
  return {
    bundle: machine.name,
    kernel: replay.kernel,
    accesses: accesses.size,
    faults,
    outcomes,
    operations,
    dumps: dumps.map(({ result }) => result),
    firstDivergence: found[0] ?? null,
    divergences: found.length,
    checked: expected !== null,
    events: replay.simulation.length,
  };
}
