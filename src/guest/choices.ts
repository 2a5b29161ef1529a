// Where a memory type leaves a processor a choice (DDI0487 B2.10.1, B2.10.2): each choice has a name and a number of
// options, of which 0 is what a typical processor does. Who chooses is handed in, so that the guest stays pure.

import type { Line } from './store-buffer.ts';
import { keepsOrder, overlapsLine, writesOf } from './store-buffer.ts';

export const CHOICES = {
  'speculative-read': 'read Normal memory near the access without a load asking',
  merge: 'merge a store with the neighbours in its line, or keep it apart',
  'merge-same-bytes': 'let a store replace one to the same bytes that has not left yet',
  'early-drain': 'let a line leave the store buffer before anything asks for it',
  'drain-order': 'which line leaves next',
  split: 'cut a gathered write at boundaries of 32, 16 or 8 bytes',
  forward: 'answer a load from the store buffer',
  'earlier-read': 'answer a load from a read that was made before it',
  pieces: 'cut an access of several registers or an unaligned one, or join its pieces',
  'piece-order': 'which piece of an access goes next',
  widen: 'read more bytes than a load asks for',
  repeat: 'read twice, or start an access of several pieces over',
  'early-acknowledgement': 'hold an acknowledged store that may not be reordered',
  exclusive: 'refuse an exclusive where none is guaranteed',
  atomic: 'carry out, refuse or ignore an atomic where none is guaranteed',
  prefetch: 'follow PRFM, or ignore the hint',
  dgh: 'follow DGH, or ignore the hint',
} as const;

export type ChoiceName = keyof typeof CHOICES;

/** One of `options` numbers from 0. @param options at least 2 */
export type Choose = (what: ChoiceName, options: number) => number;

/** What a typical processor does. */
export const TYPICAL: Choose = () => 0;

/** One of a list; the first without asking if it is alone. */
export function chooseFrom<T>(choose: Choose, what: ChoiceName, list: readonly T[]): T | undefined {
  return list[list.length > 1 ? choose(what, list.length) : 0];
}

/** Nothing, which is the first option, or one of a list. */
export function chooseAny<T>(choose: Choose, what: ChoiceName, list: readonly T[]): T | undefined {
  return list.length === 0 ? undefined : list[choose(what, list.length + 1) - 1];
}

/** Lines that may leave next: stores to the same bytes, and those that may not be reordered, in program order. */
export const freeToLeave = (lines: readonly Line[]): Line[] =>
  lines.filter((line) => !lines.some((other) => other.id < line.id && staysBehind(line, other)));

const staysBehind = (line: Line, older: Line): boolean =>
  overlapsLine(older, line) || (keepsOrder(older) && keepsOrder(line));

/** All these lines in an order that the types permit: whatever waits in a store buffer may be reordered (R). */
export function inSomeOrder(lines: readonly Line[], choose: Choose): readonly Line[] {
  if (choose === TYPICAL || lines.length < 2) return lines;
  const order: Line[] = [];
  let rest = [...lines];
  for (;;) {
    const next = chooseFrom(choose, 'drain-order', freeToLeave(rest));
    if (next === undefined) return order;
    order.push(next);
    rest = rest.filter((line) => line !== next);
  }
}

/** Sizes at whose multiples a write may be cut. Below 8 bytes an aligned store would tear (DDI0487 B2.2.1). */
const CUTS: readonly number[] = [32, 16, 8];

/** The boundary at which the writes of a line are cut; null for not at all, as with types that keep the size. */
export function cutOf(line: Line, sizeKept: boolean, choose: Choose): number | null {
  if (choose === TYPICAL || sizeKept) return null;
  const writes = writesOf(line);
  const crossed = CUTS.filter((cut) =>
    writes.some(({ pa, size }) => Math.floor(pa / cut) !== Math.floor((pa + size - 1) / cut)),
  );
  return chooseAny(choose, 'split', crossed) ?? null;
}
