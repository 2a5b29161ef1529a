// What the law of memory types (traffic-law.ts) keeps of a run while it watches: the accesses of the program, what
// arrived of them, and in which order.

import type { Access } from '../../src/arch/access.ts';

/** Classes of behaviour, as the device and the program can tell them. */
export type Class =
  | 'speculated'
  | 'widened'
  | 'read-again'
  | 'answered-early'
  | 'loads-gathered'
  | 'merged'
  | 'replaced'
  | 'forwarded'
  | 'reordered'
  | 'acknowledged-early'
  | 'exclusive-refused'
  | 'simd-window'
  | 'split'
  | 'joined'
  | 'pieces-reordered'
  | 'pieces-repeated';

/** One access of the program, as the law sees it. */
export interface Op {
  readonly id: number;
  readonly access: Access;
  readonly pa: number;
  readonly size: number;
  readonly isStore: boolean;
  /** Several registers, or a vector register. */
  readonly isMultiple: boolean;
  /** Bytes of a register. */
  readonly register: number;
  /** Least bytes that arrive together. */
  readonly atom: number;
  /** DMB and DSB before it. */
  readonly epoch: number;
  /** Value of each byte of a store. */
  readonly mark: number;
}

/** What the law finds in a run. */
export interface Verdict {
  readonly shown: Set<Class>;
  readonly broken: string[];
}

/** Everything that happened so far. */
export interface Court extends Verdict {
  readonly letters: string;
  readonly ops: ReadonlyMap<number, Op>;
  /** Of each address the number of the newest store in program order. */
  readonly newest: Map<number, number>;
  /** `address * 4096 + store`: when that byte of that store arrived. */
  readonly arrived: Map<number, number>;
  readonly refused: Set<number>;
  readonly state: { time: number; latest: number; epoch: number; release: number; since: number };
  may(letter: string, what: Class, where: string): void;
}

export const keyOf = (address: number, store: number): number => address * 4096 + store;

/** Program order of arrival at one peripheral, barriers and store-releases. */
export function checkOrder(court: Court, op: Op, where: string): void {
  const { latest, epoch, release } = court.state;
  if (op.id < latest) court.may('R', 'reordered', where);
  if (op.epoch < epoch) court.broken.push(`behind a barrier that it stands before: ${where}`);
  if (op.id < release) court.broken.push(`behind a store-release that it stands before: ${where}`);
}

export function moveOn({ state }: Court, op: Op): void {
  state.latest = Math.max(state.latest, op.id);
  state.epoch = Math.max(state.epoch, op.epoch);
  if (op.access.kind === 'write' && op.access.syndrome?.ar) state.release = Math.max(state.release, op.id);
}
