// The law of loads: what may be read that nobody asked for, in which pieces, and where the value of a load may come
// from (DDI0487 B2.2.1, B2.3, B2.10). Part of traffic-law.ts.

import type { Transaction } from '../../src/arch/transaction.ts';
import type { Court, Op } from './traffic-court.ts';
import { checkOrder, keyOf, moveOn } from './traffic-court.ts';

/** A byte as a read found it. */
interface Found {
  readonly time: number;
  readonly byte: number;
  readonly access: number | null;
}

const WINDOW = 16;

/** @param court what happened so far, and the verdict */
export function loadLaw(court: Court) {
  const memory = new Map<number, number>();
  /** What reads found at an address, in order. */
  const found = new Map<number, Found[]>();
  /** Of each address when the value was read that the latest load of it got. */
  const lastRead = new Map<number, number>();
  const byAccess = new Map<number, Transaction[]>();

  const read = (transaction: Transaction): void => {
    const { access, pa, size } = transaction;
    const where = `R${size}@${pa.toString(16)}`;
    for (let at = 0; at < size; at += 1) {
      const address = pa + at;
      const list = found.get(address) ?? [];
      list.push({ time: court.state.time, byte: memory.get(address) ?? 0, access });
      found.set(address, list);
    }
    const op = access === null ? undefined : court.ops.get(access);
    if (op === undefined) {
      court.may('S', 'speculated', where);
      return;
    }
    if (op.isStore) court.broken.push(`a store reads: ${where}`);
    checkExtent(op, transaction, where);
    checkRepeated(op, transaction, where);
    byAccess.set(op.id, [...(byAccess.get(op.id) ?? []), transaction]);
    checkOrder(court, op, where);
    moveOn(court, op);
  };

  const checkExtent = (op: Op, { pa, size }: Transaction, where: string): void => {
    const [start, end, from] = [op.pa, op.pa + op.size, pa + size];
    if (pa >= start && from <= end) {
      if (size % op.atom !== 0 || (pa - start) % op.atom !== 0) court.broken.push(`torn: ${where}`);
      if (size < op.register) {
        court.shown.add('split');
        if (!op.isMultiple && !court.letters.includes('G')) court.broken.push(`split: ${where}`);
      }
      if (op.isMultiple && size > op.register) court.shown.add('joined');
      return;
    }
    const { ahead = 0 } = op.access;
    const windowStart = start - (start % WINDOW);
    const windowEnd = Math.ceil(end / WINDOW) * WINDOW;
    if (ahead > 0 && pa >= start && from <= end + ahead) court.may('G', 'loads-gathered', where);
    else if (op.isMultiple && pa >= windowStart && from <= windowEnd) court.shown.add('simd-window');
    else court.may('S', 'widened', where);
  };

  const checkRepeated = (op: Op, { pa, size }: Transaction, where: string): void => {
    const before = (byAccess.get(op.id) ?? []).map((it) => [it.pa, it.pa + it.size] as const);
    const start = Math.max(pa, op.pa);
    const end = Math.min(pa + size, op.pa + op.size);
    if (before.some(([from, to]) => Math.max(from, start) < Math.min(to, end))) {
      // Windows of a vector load may overlap without a repetition.
      if (op.isMultiple) court.shown.add('pieces-repeated');
      else court.may('S', 'read-again', where);
    }
    if (before.some(([from]) => from > pa) && op.isMultiple) court.shown.add('pieces-reordered');
  };

  /** The newest store of the program to a byte that came before the load. */
  const ownStore = (address: number): number | undefined => {
    const id = court.newest.get(address);
    return id === undefined || court.refused.has(id) ? undefined : id;
  };

  const done = (op: Op, value: bigint | null): void => {
    if (value === null) {
      court.broken.push(`access ${op.id} has no value`);
      return;
    }
    const bytes = Array.from({ length: op.size }, (_, at) => Number((value >> BigInt(at * 8)) & 0xffn));
    const sources = new Set(bytes.map((byte, at) => sourceOf(op, op.pa + at, byte)));
    if (sources.has('store')) {
      court.may('G', 'forwarded', `access ${op.id}`);
      if (sources.has('other')) court.broken.push(`half forwarded: access ${op.id}`);
    }
    if (sources.has('earlier')) {
      const isCertain = court.letters.includes('G') && isFollower(op);
      court.may(isCertain ? 'G' : 'S', 'answered-early', `access ${op.id}`);
      if (op.access.dependent) court.broken.push(`against an address dependency: access ${op.id}`);
      if (op.access.syndrome?.ar) court.broken.push(`an acquire from an earlier read: access ${op.id}`);
    }
    if (op.access.syndrome?.ar) court.state.since = court.state.time;
  };

  /** An earlier load of the same loop made this one certain. */
  const isFollower = (op: Op): boolean =>
    [...court.ops.values()].some(({ id, pa, size, access: { ahead = 0 } }) => {
      return id < op.id && op.pa >= pa + size && op.pa + op.size <= pa + size + ahead;
    });

  /** Where a byte of a load came from; what it came from must be as new as the program has a right to. */
  const sourceOf = (op: Op, address: number, byte: number): 'own' | 'store' | 'earlier' | 'other' => {
    const where = `byte ${address.toString(16)} of access ${op.id}`;
    const list = found.get(address) ?? [];
    const own = list.findLast(({ access }) => access === op.id);
    const store = ownStore(address);
    if (own !== undefined) {
      if (own.byte !== byte) court.broken.push(`not what was read: ${where}`);
      if (store !== undefined && !court.arrived.has(keyOf(address, store)))
        court.broken.push(`older than the program's own store: ${where}`);
      lastRead.set(address, own.time);
      return 'own';
    }
    if (store !== undefined && !court.arrived.has(keyOf(address, store))) {
      const from = court.ops.get(store);
      if (from?.mark !== byte || from.epoch !== op.epoch) court.broken.push(`forwarded wrongly: ${where}`);
      return 'store';
    }
    const notBefore = Math.max(
      court.state.since,
      lastRead.get(address) ?? 0,
      store === undefined ? 0 : (court.arrived.get(keyOf(address, store)) ?? 0),
    );
    const earlier = list.find((it) => it.byte === byte && it.time >= notBefore);
    if (earlier === undefined) {
      court.broken.push(`from nowhere: ${where}`);
      return 'other';
    }
    lastRead.set(address, earlier.time);
    return 'earlier';
  };

  return { memory, read, done };
}
