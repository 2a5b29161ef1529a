// Why something is as it is: the last event that changed a fact, and the chain of causes behind it, down to what came
// from outside, each with the rule by which it was decided.

import type { Present } from '../arch/table-page.ts';
import { TranslationTable } from '../arch/translation-table.ts';
import type { Recorded } from '../machine/events.ts';
import type { MachineState } from '../machine/state.ts';
import { differences } from './difference.ts';
import type { Deaths } from './fact.ts';
import { checkPath, deathsIn, pathText, readFact } from './fact.ts';
import type { FactPath } from './fact-path.ts';
import { parsePath } from './fact-path.ts';
import type { History } from './history.ts';

export interface Link {
  readonly event: Recorded;
  /** Rules by which it was decided: that of its type and that of its size; none for what is no decision. */
  readonly because: readonly string[];
}

export interface Why {
  readonly path: string;
  /** The moment of the question. */
  readonly at: number;
  /** Then; null for nothing. */
  readonly value: unknown;
  /** The event that made it so; null if it was so from the beginning. */
  readonly changed: { readonly seq: number; readonly before: unknown; readonly after: unknown } | null;
  /** From that event to what came from outside. */
  readonly chain: readonly Link[];
}

/** @throws RangeError for text that is no path, or a path that names nothing */
export function why(history: History, text: string, at: number): Why {
  const path = parsePath(text);
  const deaths = deathsIn(history);
  const state = history.snapshotAt(at);
  checkPath({ state, seq: at, deaths }, path);
  const value = readFact({ state, seq: at, deaths }, path);
  const changed = lastChange(history, path, at, deaths);
  const chain = changed === null ? [] : chainOf(history, changed.seq);
  return { path: pathText(path), at, value, changed, chain };
}

/** From an event to what came from outside. */
export function chainOf(history: Pick<History, 'event'>, seq: number): readonly Link[] {
  const chain: Link[] = [];
  for (let at: number | null = seq; at !== null; ) {
    const event: Recorded = history.event(at);
    chain.push({ event, because: rulesOf(event) });
    at = event.cause;
  }
  return chain;
}

/** The rules that an event carries, in any of its fields. */
export function rulesOf(event: Recorded): readonly string[] {
  const plan = 'plan' in event ? event.plan : null;
  const rules: unknown[] = [
    'because' in event ? event.because : plan?.because,
    'sizeBecause' in event ? event.sizeBecause : plan?.sizeBecause,
  ];
  return rules.filter((rule) => typeof rule === 'string');
}

/** Looks backwards from keyframe to keyframe, so that a recent change is found soon. */
function lastChange(history: History, path: FactPath, at: number, deaths: Deaths): Why['changed'] {
  for (let to = at; to >= 0; ) {
    const from = history.keyframeBefore(to);
    if (isUntouched(history, path, from, to)) {
      to = from;
      continue;
    }
    let changed: Why['changed'] = null;
    let before: unknown;
    history.walk(from, to, (state, seq) => {
      const after = kept(readFact({ state, seq, deaths }, path));
      if (seq > from && differs(before, after)) changed = { seq, before, after };
      before = after;
      return false;
    });
    if (changed !== null) return changed;
    to = from;
  }
  return null;
}

/** Whether the ends alone show that no event between changed the fact: a leaf whose page both states share. */
function isUntouched({ failures, snapshotAt }: History, path: FactPath, from: number, to: number): boolean {
  if (isDeath(path)) return !failures.some(({ seq }) => seq > from && seq <= to);
  const before = snapshotAt(from);
  const after = snapshotAt(to);
  return path.some((address, step) => {
    if (typeof address !== 'number') return false;
    const old = tableIn(before, path.slice(0, step));
    return old !== null && tableIn(after, path.slice(0, step))?.sharesPageAt(address, old) === true;
  });
}

const isDeath = (path: FactPath): boolean => path.length === 2 && path[1] === 'dead';

function tableIn(state: MachineState, path: FactPath): TranslationTable<Present> | null {
  const table = readFact({ state, seq: 0, deaths: () => null }, path);
  return table instanceof TranslationTable ? table : null;
}

const differs = (before: unknown, after: unknown): boolean =>
  !Object.is(before, after) && differences(before, after).length > 0;

/** A copy of what changes in place: tables, slices and records, also those in a list of slices. */
function kept(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null || depth > MOST_DEPTH) return value;
  if (value instanceof TranslationTable) return value.snapshot();
  if (Array.isArray(value)) return depth === 0 ? value.map((item) => kept(item, 1)) : value;
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, kept(field, depth + 1)]));
}

/** A device, its regions, one of them, its registers: nothing that changes in place lies deeper. */
const MOST_DEPTH = 4;
