// What a replay carries from line to line: its world, the vCPUs by task, the fault of each that is under way, and the
// counts.

import type { TraceFault } from './fault.ts';
import type { Outcome } from './host-outcome.ts';
import type { Recorded } from './outcome.ts';
import type { FirstSurprise, Verdict } from './report.ts';
import type { Tally } from './tally.ts';
import type { Tasks, VcpuWorld } from './tasks.ts';
import type { VmWorld, World } from './world.ts';

/** A fault between its line and the line that shows how it ended. */
export interface Pending {
  readonly fault: TraceFault;
  readonly verdict: Verdict;
  seen: Outcome | null;
  notified: boolean;
}

export interface VcpuRun {
  readonly vcpu: VcpuWorld;
  pending: Pending | null;
  /** Line of the last fault before the one at hand. */
  lastFault: number;
}

/** How many calls the machine file gives, how many the trace reached, and of those how many the host refused. */
interface CallCounts {
  given: number;
  applied: number;
  refused: number;
}

export interface Replay {
  readonly world: World;
  readonly runs: Map<number, VcpuRun | null>;
  readonly tasks: Tasks;
  readonly tally: Tally;
  readonly recorded: Recorded;
  readonly notifiers: { seen: number; applied: number; ofNoVm: number };
  readonly calls: CallCounts;
  /** VMs with calls that the trace has not reached yet. */
  waiting: readonly VmWorld[];
  line: number;
  lost: number;
  faults: number;
  firstSurprise: FirstSurprise | null;
}
