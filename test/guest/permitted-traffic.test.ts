// What each memory type lets reach a device, for one small program: the rows are DDI0487 B2.10.1 and B2.10.2.

import { describe, expect, it } from 'vitest';
import { PERMIT_RULES } from '../../src/arch/permits.ts';
import type { TypeName } from '../helpers/device-memory.ts';
import { DEVICE, shape, traffic } from '../helpers/device-memory.ts';
import { accessAt } from '../helpers/machine.ts';

const store = (offset: number, value: bigint, size = 8) =>
  accessAt('write', DEVICE + offset, { size, value });

/** memset of one 64-byte line with eight stores of one register. */
const EIGHT_STORES = Array.from({ length: 8 }, (_, index) => store(index * 8, BigInt(index)));
const PAIR = [accessAt('write-pair', DEVICE + 0x100, { size: 16, value: 0x2222n * 2n ** 64n + 0x1111n })];
const UNALIGNED = [store(0x204, 0x0807_0605_0403_0201n)];
/** A doorbell rung twice. */
const SAME_REGISTER = [store(0x300, 1n, 4), store(0x300, 2n, 4)];

const NORMAL = PERMIT_RULES['normal-is-memory'];
const G = PERMIT_RULES.gathering;
const NG = PERMIT_RULES['non-gathering'];

interface Row {
  readonly type: TypeName;
  readonly eight: readonly string[];
  readonly pair: readonly string[];
  /** Null where the store takes an Alignment fault and nothing leaves. */
  readonly unaligned: readonly string[] | null;
  readonly same: readonly string[];
  readonly because: string;
}

const ALL_SINGLE = EIGHT_STORES.map((_, index) => `W8@${(index * 8).toString(16)}`);
const MERGED = { eight: ['W64@0'], pair: ['W16@100'], same: ['W4@300', 'W4@300'] };
const KEPT = { eight: ALL_SINGLE, pair: ['W8@100', 'W8@108'], same: ['W4@300', 'W4@300'] };

const ROWS: readonly Row[] = [
  { type: 'Normal-WB', ...MERGED, unaligned: ['W8@204'], because: NORMAL },
  { type: 'Normal-WT', ...MERGED, unaligned: ['W8@204'], because: NORMAL },
  { type: 'Normal-NC', ...MERGED, unaligned: ['W8@204'], because: NORMAL },
  { type: 'Device-GRE', ...MERGED, unaligned: null, because: G },
  { type: 'Device-nGRE', ...KEPT, unaligned: null, because: NG },
  { type: 'Device-nGnRE', ...KEPT, unaligned: null, because: NG },
  { type: 'Device-nGnRnE', ...KEPT, unaligned: null, because: NG },
];

describe.each(ROWS)('a device behind $type memory ($because)', ({ type, ...row }) => {
  it('receives eight 8-byte stores to one line', () => {
    const { transactions } = traffic(type, [...EIGHT_STORES, 'end']);
    expect(transactions.map(shape)).toEqual(row.eight);
    expect(transactions.flatMap(({ bytes }) => bytes)).toEqual(
      EIGHT_STORES.flatMap((_, index) => [index, 0, 0, 0, 0, 0, 0, 0]),
    );
    expect(transactions.reduce((sum, { stores }) => sum + stores, 0)).toBe(8);
  });

  it('receives a store pair', () => {
    const { transactions } = traffic(type, [...PAIR, 'end']);
    expect(transactions.map(shape)).toEqual(row.pair);
  });

  it(row.unaligned === null ? 'never sees an unaligned store' : 'receives an unaligned store', () => {
    const { transactions, events } = traffic(type, [...UNALIGNED, 'end']);
    expect(transactions.map(shape)).toEqual(row.unaligned ?? []);
    const faults = events.flatMap((event) => (event.type === 'stage2-faulted' ? [event.fault] : []));
    expect(faults.map(({ status }) => status.kind)).toEqual(row.unaligned === null ? ['alignment'] : []);
  });

  it('receives two stores to one register', () => {
    const { transactions } = traffic(type, [...SAME_REGISTER, 'end']);
    expect(transactions.map(shape)).toEqual(row.same);
    expect(transactions.at(-1)?.bytes).toEqual([2, 0, 0, 0]);
  });

  it('receives two stores to one register with a DMB between them as two, whatever the type', () => {
    const [first, second] = [store(0x300, 1n, 4), store(0x300, 2n, 4)];
    const { transactions } = traffic(type, [first, 'DMB', second, 'end']);
    expect(transactions.map(({ bytes }) => bytes?.[0])).toEqual([1, 2]);
  });
});

describe('a store to Device-nGnRnE memory', () => {
  it('waits for the endpoint, because only that acknowledges it', () => {
    const { transactions, events } = traffic('Device-nGnRnE', [store(0, 1n)]);
    expect(transactions[0]?.access).toBe(0);
    expect(events.map(({ type }) => type)).toEqual([
      'access-translated',
      'transaction-issued',
      'access-completed',
    ]);
  });

  it.each(['Device-nGnRE', 'Device-nGRE', 'Device-GRE', 'Normal-NC'] as const)(
    'is acknowledged early as %s: nothing waits',
    (type) => {
      const { transactions, events } = traffic(type, [store(0, 1n), 'end']);
      expect(transactions.map(({ access }) => access)).toEqual([null]);
      expect(events.map(({ type: event }) => event)).not.toContain('access-translated');
    },
  );
});

describe('a prefetch', () => {
  const prefetch = accessAt('prefetch', DEVICE, { size: 8 });

  it.each(['Normal-WB', 'Normal-WT', 'Normal-NC'] as const)('reads from %s memory (B2.10.1)', (type) => {
    expect(traffic(type, [prefetch]).transactions.map(shape)).toEqual(['R8@0']);
  });

  it.each(['Device-GRE', 'Device-nGRE', 'Device-nGnRE', 'Device-nGnRnE'] as const)(
    'never reaches %s memory (B2.10.2: no speculative data reads)',
    (type) => {
      expect(traffic(type, [prefetch]).transactions).toEqual([]);
    },
  );
});
