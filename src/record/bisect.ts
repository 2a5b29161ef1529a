// The first event after which a property no longer holds. By halving, where a property that fails once is taken to fail
// for good; or one event after the other, where it may come and go.

import type { Recorded } from '../machine/events.ts';
import type { MachineState } from '../machine/state.ts';
import { parseExpression } from './expression.ts';
import type { Moment } from './fact.ts';
import { deathsIn } from './fact.ts';
import type { History } from './history.ts';

/** Whether all is well in the state after event `seq`. */
export type Property = (state: MachineState, seq: number) => boolean;

export interface BisectOptions {
  /** The property holds there; -1, before the first event, unless given. */
  readonly from?: number;
  /** The last event to look at; the last of all unless given. */
  readonly to?: number;
  /** Look at every state instead of halving. */
  readonly scan?: boolean;
}

export interface Bisection {
  /** `fails-at-start`: it does not even hold after `from`, so that there is no first event to find. */
  readonly kind: 'fails' | 'holds' | 'fails-at-start';
  /** The first event after which it fails; null where there is none. */
  readonly event: Recorded | null;
  readonly from: number;
  readonly to: number;
  /** States that were looked at. */
  readonly examined: number;
}

/** @throws RangeError for an expression that cannot be read, or bounds that are no events */
export function bisect(
  history: History,
  property: string | Property,
  { from = -1, to = history.length - 1, scan = false }: BisectOptions,
): Bisection {
  if (from > to) throw new RangeError(`there is nothing to look at from event ${from} to ${to}`);
  let examined = 0;
  const ask = askOf(history, property);
  const holds: Property = (state, seq) => {
    examined += 1;
    return ask(state, seq);
  };
  const result = (kind: Bisection['kind'], seq: number | null): Bisection => {
    return { kind, event: seq === null ? null : history.event(seq), from, to, examined };
  };
  if (!holds(history.snapshotAt(from), from)) return result('fails-at-start', null);
  const first = scan ? scanned(history, holds, from, to) : halved(history, holds, from, to);
  return result(first === null ? 'holds' : 'fails', first);
}

function askOf(history: History, property: string | Property): Property {
  if (typeof property !== 'string') return property;
  const expression = parseExpression(property);
  const deaths = deathsIn(history);
  const moment = (seq: number): Moment => ({ state: history.snapshotAt(seq), seq, deaths });
  expression.check(moment(history.length - 1));
  return (state, seq) => expression.holds({ state, seq, deaths });
}

function scanned(history: History, holds: Property, from: number, to: number): number | null {
  let first: number | null = null;
  history.walk(from, to, (state, seq) => {
    if (seq === from || holds(state, seq)) return false;
    first = seq;
    return true;
  });
  return first;
}

function halved(history: History, holds: Property, from: number, to: number): number | null {
  if (holds(history.snapshotAt(to), to)) return null;
  let [good, bad] = [from, to];
  while (bad - good > 1) {
    const middle = good + Math.floor((bad - good) / 2);
    if (holds(history.snapshotAt(middle), middle)) good = middle;
    else bad = middle;
  }
  return bad;
}
