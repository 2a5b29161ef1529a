// What each memory type lets reach a device, for one small program: the rows are DDI0487 B2.10.1 and B2.10.2.

import { describe, expect, it } from 'vitest';
import { NO_SYNDROME } from '../../src/arch/esr.ts';
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

const LOADS = [
  accessAt('read-pair', DEVICE + 0x400, { id: 0, size: 16 }),
  accessAt('read', DEVICE + 0x410, { id: 1, size: 16 }),
  { ...accessAt('read', DEVICE + 0x420, { id: 2, size: 32 }), element: 8 },
  accessAt('exclusive-load', DEVICE + 0x440, { id: 3, size: 8 }),
];

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
  /** LDP, a vector register, LD1 of two registers, and LDXR. */
  readonly loads: readonly string[];
  /** DC ZVA; null where it takes an Alignment fault. */
  readonly zeroed: readonly string[] | null;
  readonly because: string;
}

const ALL_SINGLE = EIGHT_STORES.map((_, index) => `W8@${(index * 8).toString(16)}`);
const BOTH = {
  same: ['W4@300', 'W4@300'],
  loads: ['R8@400', 'R8@408', 'R16@410', 'R16@420', 'R16@430', 'R8@440'],
};
const MERGED = { ...BOTH, eight: ['W64@0'], pair: ['W16@100'] };
const KEPT = { ...BOTH, eight: ALL_SINGLE, pair: ['W8@100', 'W8@108'], zeroed: null };
const ZEROED = ['W64@500'];

const ROWS: readonly Row[] = [
  { type: 'Normal-WB', ...MERGED, zeroed: ZEROED, unaligned: ['W8@204'], because: NORMAL },
  { type: 'Normal-WT', ...MERGED, zeroed: ZEROED, unaligned: ['W8@204'], because: NORMAL },
  { type: 'Normal-NC', ...MERGED, zeroed: ZEROED, unaligned: ['W8@204'], because: NORMAL },
  { type: 'Device-GRE', ...MERGED, zeroed: null, unaligned: null, because: G },
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

  it('receives loads of several registers register by register, and no byte besides', () => {
    const { transactions } = traffic(type, LOADS);
    expect(transactions.map(shape)).toEqual(row.loads);
  });

  it(row.zeroed === null ? 'never sees a DC ZVA, aligned or not' : 'receives a DC ZVA as one write', () => {
    const { transactions, seen } = traffic(type, [accessAt('dc-zva', DEVICE + 0x500, { size: 64 }), 'end']);
    expect(transactions.map(shape)).toEqual(row.zeroed ?? []);
    expect(seen.some(({ at }) => at === 'fault')).toBe(row.zeroed === null);
  });

  it('has every store before a store-release arrive before it', () => {
    const release = { ...store(0x348, 2n), syndrome: { ...NO_SYNDROME, isv: true, ar: true } };
    const { transactions } = traffic(type, [store(0x340, 1n), release, 'end']);
    expect(transactions.map(shape)).toEqual(['W8@340', 'W8@348']);
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
