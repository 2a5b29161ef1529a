// Where two runs of one scenario part: the first event that differs once numbers, times and what was set up
// differently on purpose are left aside, and the rules by which the two hosts then decided differently.

import type { MachineEvent, Recorded } from '../machine/events.ts';
import type { ScenarioRun } from '../machine/report.ts';

export interface Parting {
  /** The first event of each run that the other does not have; null where a run had ended. */
  readonly first: Recorded | null;
  readonly second: Recorded | null;
  /** First rules by which they decided differently; null where the run decided nothing more. */
  readonly because: { readonly first: string | null; readonly second: string | null } | null;
}

/** Machine and devices are what was varied; the story starts behind them. */
const SETUP: ReadonlySet<MachineEvent['type']> = new Set(['host-booted', 'device-plugged', 'vm-created']);

/** Null where the two runs went the same way. */
export function partingOf(a: Pick<ScenarioRun, 'events'>, b: Pick<ScenarioRun, 'events'>): Parting | null {
  const left = a.events.filter(({ type }) => !SETUP.has(type));
  const right = b.events.filter(({ type }) => !SETUP.has(type));
  const length = Math.max(left.length, right.length);
  let at = 0;
  while (at < length && contentOf(left[at]) === contentOf(right[at])) at += 1;
  if (at === length) return null;
  return {
    first: left[at] ?? null,
    second: right[at] ?? null,
    because: rulesThatDiffer(left.slice(at), right.slice(at)),
  };
}

/** An event without its envelope. */
function contentOf(event: Recorded | undefined): string {
  if (event === undefined) return '';
  const { seq: _seq, cause: _cause, at: _at, ...content } = event;
  return JSON.stringify(content, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}

function rulesThatDiffer(left: readonly Recorded[], right: readonly Recorded[]): Parting['because'] {
  const [first, second] = [rulesOf(left), rulesOf(right)];
  const length = Math.max(first.length, second.length);
  for (let at = 0; at < length; at++) {
    if (first[at] !== second[at]) return { first: first[at] ?? null, second: second[at] ?? null };
  }
  return null;
}

/** Of a leaf both rules count, that of its type and that of its size; of an access, how the stages combined. */
function rulesOf(events: readonly Recorded[]): string[] {
  return events.flatMap((event) => [
    ...('because' in event && event.because !== null ? [event.because] : []),
    ...('translation' in event && event.translation !== null ? [event.translation.combined.because] : []),
    ...('sizeBecause' in event ? [event.sizeBecause ?? 'page of RAM'] : []),
  ]);
}
