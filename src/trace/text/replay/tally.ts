// Counting: each line and each fault once, in one class. Names of events come from the trace, so their number is kept
// within bounds.

import { textOf } from '../bytes.ts';
import { CATALOGUE } from '../catalogue.ts';
import type { Line, RejectReason, SkipReason } from '../line.ts';
import { eventNameOf } from '../line.ts';
import type { TraceFault } from './fault.ts';
import { kindKey, kindName } from './fault.ts';
import type { Counts, SurpriseReason, TraceReport, UnknownReason, Verdict } from './report.ts';

const MAX_NAMES = 512;
const OTHERS = '(others)';
/** A line that is shown to a person. */
const SHOWN = 160;

interface Named {
  readonly name: string;
}

interface NameCount extends Named {
  count: number;
}

interface KindCount extends Named {
  seen: number;
  predicted: number;
}

export interface Tally extends LineTally, FaultTally {
  lines(): TraceReport['lines'];
  events(): TraceReport['events'];
  faults(): TraceReport['faults'];
}

interface LineTally {
  line(line: Line, number: number, start: number, end: number): void;
  rejected(reason: RejectReason, number: number): void;
}

interface FaultTally {
  fault(fault: TraceFault | null, verdict: Verdict): void;
}

export function createTally(): Tally {
  const names = createNames();
  const lines = createLines(names.count);
  const faults = createFaults();
  return {
    line: lines.line,
    rejected: lines.rejected,
    fault: faults.fault,
    lines: lines.result,
    events: names.result,
    faults: faults.result,
  };
}

/** By hash, which may collide for names that a trace makes up: then their lengths are compared. */
function createNames(): { count(line: Line): void; result(): TraceReport['events'] } {
  const names = new Map<number, NameCount>();
  const understood = CATALOGUE.map(() => 0);
  return {
    count(line) {
      if (line.event !== null) {
        understood[line.event.index] = (understood[line.event.index] ?? 0) + 1;
        return;
      }
      if (line.nameStart === line.nameEnd) return;
      const known = names.get(line.nameHash);
      if (known !== undefined && known.name.length === line.nameEnd - line.nameStart) known.count += 1;
      else if (known === undefined && names.size < MAX_NAMES) {
        names.set(line.nameHash, { name: eventNameOf(line), count: 1 });
      } else {
        const others = names.get(0) ?? { name: OTHERS, count: 0 };
        others.count += 1;
        names.set(0, others);
      }
    },
    result: () => eventCounts(names, understood),
  };
}

function createLines(countName: (line: Line) => void): LineTally & { result(): TraceReport['lines'] } {
  const counts = { read: 0, understood: 0, skipped: 0, rejected: 0 };
  const skippedBecause: Counts<SkipReason> = {};
  const rejectedBecause: Counts<RejectReason> = {};
  let firstRejected: TraceReport['lines']['firstRejected'] = null;
  const reject = (reason: RejectReason, number: number, text: string): void => {
    counts.rejected += 1;
    rejectedBecause[reason] = (rejectedBecause[reason] ?? 0) + 1;
    firstRejected ??= { line: number, reason, text };
  };
  return {
    line(line, number, start, end) {
      counts.read += 1;
      countName(line);
      if (line.outcome === 'understood') counts.understood += 1;
      else if (line.skip !== null) {
        counts.skipped += 1;
        skippedBecause[line.skip] = (skippedBecause[line.skip] ?? 0) + 1;
      } else if (line.reject !== null) {
        reject(line.reject, number, firstRejected === null ? shown(line.bytes, start, end) : '');
      }
    },
    rejected(reason, number) {
      counts.read += 1;
      reject(reason, number, '');
    },
    result: () => ({ ...counts, skippedBecause, rejectedBecause, firstRejected }),
  };
}

function createFaults(): FaultTally & { result(): TraceReport['faults'] } {
  const counts = { seen: 0, predicted: 0, surprising: 0, unknown: 0 };
  const unknownBecause: Counts<UnknownReason> = {};
  const surprisingBecause: Counts<SurpriseReason> = {};
  const kinds = new Map<number, KindCount>();
  return {
    fault(fault, verdict) {
      counts.seen += 1;
      counts[verdict.class] += 1;
      if (verdict.class === 'unknown') {
        unknownBecause[verdict.reason] = (unknownBecause[verdict.reason] ?? 0) + 1;
      } else if (verdict.class === 'surprising') {
        surprisingBecause[verdict.reason] = (surprisingBecause[verdict.reason] ?? 0) + 1;
      }
      if (fault === null) return;
      const key = kindKey(fault);
      let kind = kinds.get(key);
      if (kind === undefined) {
        kind = { name: kindName(fault), seen: 0, predicted: 0 };
        kinds.set(key, kind);
      }
      kind.seen += 1;
      if (verdict.class === 'predicted') kind.predicted += 1;
    },
    result() {
      const sorted = [...kinds.values()].sort(byName);
      const named = sorted.map(({ name, seen, predicted }) => [name, { seen, predicted }] as const);
      return { ...counts, unknownBecause, surprisingBecause, kinds: Object.fromEntries(named) };
    },
  };
}

/** Rejected lines of a known event are among the names; the two are added. */
function eventCounts(
  names: ReadonlyMap<number, NameCount>,
  understood: readonly number[],
): TraceReport['events'] {
  const counts = new Map<string, number>();
  for (const { name, count } of names.values()) counts.set(name, (counts.get(name) ?? 0) + count);
  CATALOGUE.forEach(({ name }, index) => {
    const count = understood[index] ?? 0;
    if (count > 0) counts.set(name, (counts.get(name) ?? 0) + count);
  });
  const sorted = [...counts].map(([name, count]) => ({ name, count })).sort(byName);
  return Object.fromEntries(sorted.map(({ name, count }) => [name, count]));
}

const byName = (a: Named, b: Named): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

/** The start of a line, printable. */
function shown(bytes: Uint8Array, start: number, end: number): string {
  const text = textOf(bytes, start, Math.min(end, start + SHOWN));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ').trim();
}
