// Who takes the choices that memory types leave: that every choice is taken, repeats from its list, and that a law
// which watches the adversary would notice if it went too far.

import { describe, expect, it } from 'vitest';
import { CHOICES } from '../../src/guest/choices.ts';
import { chooserFor } from '../../src/machine/adversary.ts';
import { ROWS } from '../helpers/adversary-campaign.ts';
import type { Seen, Step, TypeName } from '../helpers/device-memory.ts';
import { DEVICE, MEM_ATTR, traffic } from '../helpers/device-memory.ts';
import { accessAt } from '../helpers/machine.ts';
import { randomProgram } from '../helpers/random-program.ts';
import { judge } from '../helpers/traffic-law.ts';

/** Random programs have none: the law of memory types says nothing of atomics but that anything may become of them. */
const ATOMIC: Step = { ...accessAt('atomic', DEVICE, { value: 1n }), atomic: { op: 'LDADD' } };

describe('an adversary', () => {
  it('answers a load from a read that nobody asked for, as a driver without dma_rmb() meets it', () => {
    const status = accessAt('read', DEVICE + 0x40, { id: 1, size: 4 });
    const steps: Step[] = [
      accessAt('read', DEVICE, { id: 0, size: 4 }),
      { outside: DEVICE + 0x40, byte: 1 },
      status,
      'end',
    ];
    // The line behind the first load is read with it, and answers the second.
    const choose = (what: string): number => ({ 'speculative-read': 2, 'earlier-read': 1 })[what] ?? 0;
    const { seen } = traffic('Normal-NC', steps, choose);
    expect(seen.at(-2)).toEqual({ at: 'done', access: 1, value: 0n, because: 'earlier-read-answers' });

    const barrier = steps.toSpliced(2, 0, 'DMB');
    expect(traffic('Normal-NC', barrier, choose).seen).toContainEqual(
      expect.objectContaining({ at: 'done', access: 1, value: 1n }),
    );
  });

  it('takes every choice there is, each option of it', () => {
    const taken = new Map<string, Set<number>>();
    for (const type of ['Normal-NC', 'Device-nGnRE'] as const) {
      for (let seed = 1; seed <= 100; seed += 1) {
        const chooser = chooserFor({ script: [], taken: 0, prng: seed });
        traffic(type, randomProgram(seed, type === 'Normal-NC'), chooser.choose);
        traffic(type, [ATOMIC, 'end'], chooser.choose);
        for (const { what, chosen } of chooser.taken().choices) {
          taken.set(what, (taken.get(what) ?? new Set()).add(chosen));
        }
      }
    }
    expect([...taken.keys()].sort()).toEqual(Object.keys(CHOICES).sort());
    expect([...taken.values()].every((options) => options.size > 1)).toBe(true);
  });

  it('repeats itself from the list of what it chose', () => {
    const steps = randomProgram(7, true);
    const first = chooserFor({ script: [], taken: 0, prng: 7 });
    const { events } = traffic('Normal-NC', steps, first.choose);
    const script = first.taken().choices.map(({ chosen }) => chosen);

    expect(traffic('Normal-NC', steps, chooserFor({ script, taken: 0, prng: null }).choose).events).toEqual(
      events,
    );
  });

  it.each(Object.keys(MEM_ATTR) as TypeName[])(
    'is a typical processor where it chooses 0 throughout, on %s',
    (type) => {
      for (let seed = 1; seed <= 20; seed += 1) {
        const steps = randomProgram(seed, type.startsWith('Normal'));
        const { choose } = chooserFor({ script: [], taken: 0, prng: null });
        const bytes = (run: ReturnType<typeof traffic>) =>
          run.transactions.map(({ keeps: _keeps, ...transaction }) => transaction);
        const done = ({ seen }: ReturnType<typeof traffic>) => seen.filter(({ at }) => at === 'done');
        const typical = traffic(type, steps);
        // Reordering types hold their stores to be able to reorder them; what they hold may then leave later.
        if (type !== 'Device-nGRE') expect(bytes(traffic(type, steps, choose))).toEqual(bytes(typical));
        expect(done(traffic(type, steps, choose))).toEqual(done(typical));
        expect(judge({ type, steps, seen: typical.seen }).broken).toEqual([]);
      }
    },
  );
});

describe('stores', () => {
  it('reach the endpoint in finite time: a program that polls for ever does not keep them back', () => {
    const polls = Array.from({ length: 300 }, (_, id) =>
      accessAt('read', DEVICE + 0x800, { id: id + 1, size: 4 }),
    );
    const steps = [accessAt('write', DEVICE, { id: 0, size: 4, value: 7n }), ...polls];
    for (const type of ['Normal-NC', 'Device-GRE', 'Device-nGRE'] as const) {
      const { choose } = chooserFor({ script: [], taken: 0, prng: null });
      const { transactions } = traffic(type, steps, choose);
      expect(transactions.filter(({ kind }) => kind === 'write')).toHaveLength(1);
    }
  });
});

describe('the law', () => {
  const store = (id: number, offset: number) =>
    accessAt('write', DEVICE + offset, { id, size: 4, value: BigInt(id + 1) * 0x0101_0101n });
  const bus = (
    kind: 'read' | 'write',
    offset: number,
    size: number,
    bytes: number[],
    access: number | null,
  ) =>
    ({
      at: 'bus',
      transaction: {
        ...traffic('Normal-NC', [store(0, 0), 'end']).transactions[0],
        kind,
        size,
        bytes,
        access,
        pa: DEVICE + offset,
      },
    }) as unknown as Seen;
  const step = (index: number): Seen => ({ at: 'step', step: index });
  const fours = (mark: number) => [mark, mark, mark, mark];
  const verdictOf = (type: TypeName, steps: Step[], seen: Seen[]) => judge({ type, steps, seen }).broken;

  it('notices a speculative read of Device memory', () => {
    const seen = [step(0), bus('read', 0, 4, [], null)];
    expect(verdictOf('Device-GRE', ['end'], seen)).toEqual([expect.stringContaining('speculated')]);
    expect(verdictOf('Normal-NC', ['end'], seen)).toEqual([]);
  });

  it('notices merged, torn, lost, early and misplaced stores', () => {
    const two: Step[] = [store(0, 0), store(1, 4)];
    const merged = [step(0), step(1), bus('write', 0, 8, [...fours(1), ...fours(2)], null)];
    expect(verdictOf('Device-nGRE', two, merged)).not.toEqual([]);
    expect(verdictOf('Device-GRE', two, merged)).toEqual([]);
    const over: Step[] = [store(0, 0), 'DMB', { ...store(1, 4), id: 2, value: 0x0202_0202n }];
    expect(verdictOf('Normal-NC', over, [...merged, step(2)])).toContainEqual(
      expect.stringContaining('merged over a barrier'),
    );
    const one: Step[] = [store(0, 0)];
    const torn = [step(0), bus('write', 0, 2, [1, 1], null), bus('write', 2, 2, [1, 1], null)];
    expect(verdictOf('Device-nGnRE', one, torn)).toContainEqual(expect.stringContaining('torn'));
    expect(verdictOf('Normal-NC', one, [step(0)])).toContainEqual(expect.stringContaining('lost'));
    const early: Seen[] = [
      step(0),
      { at: 'done', access: 0, value: null, because: null },
      bus('write', 0, 4, fours(1), null),
    ];
    expect(verdictOf('Device-nGnRnE', one, early)).toContainEqual(
      expect.stringContaining('acknowledged-early'),
    );
    const swapped = [
      step(0),
      step(1),
      bus('write', 4, 4, fours(2), null),
      bus('write', 0, 4, fours(1), null),
    ];
    expect(verdictOf('Device-nGnRE', two, swapped)).toContainEqual(expect.stringContaining('reordered'));
    expect(verdictOf('Device-nGRE', two, swapped)).toEqual([]);
  });

  it('has a rule for each class of behaviour, once', () => {
    const classes = ROWS.map(({ shows }) => shows);
    expect(new Set(classes).size).toBe(classes.length);
    expect(ROWS.every(({ because }) => /^B2\./.test(because))).toBe(true);
  });
});
