import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextBelow, nextUint32 } from '../../src/machine/prng.ts';
import type { Actor } from '../../src/machine/schedule.ts';
import { takeTurns } from '../../src/machine/schedule.ts';
import { property } from '../helpers/twice.ts';

/** Actors that have so many turns each, and the order in which they took them. */
function walkers(turns: readonly number[]): { readonly actors: readonly Actor[]; readonly order: number[] } {
  const order: number[] = [];
  const left = [...turns];
  const actors = turns.map(
    (_, id): Actor => ({
      id,
      name: `walker ${id}`,
      status: () => ((left[id] ?? 0) > 0 ? 'ready' : 'done'),
      step() {
        order.push(id);
        left[id] = (left[id] ?? 0) - 1;
      },
    }),
  );
  return { actors, order };
}

describe('takeTurns', () => {
  it('lets everyone go until nobody can, in an order that the seed decides', () => {
    const { actors, order } = walkers([3, 2]);

    const { schedule, stuck } = takeTurns(actors, 1);

    expect(schedule).toEqual(order);
    expect([...schedule].sort()).toEqual([0, 0, 0, 1, 1]);
    expect(stuck).toEqual([]);
  });

  it('takes the same turns for the same seed, and other turns for some other seed', () => {
    const run = (seed: number) => takeTurns(walkers([8, 8, 8]).actors, seed).schedule.join();

    expect(run(5)).toBe(run(5));
    expect(new Set(Array.from({ length: 20 }, (_, seed) => run(seed))).size).toBeGreaterThan(15);
  });

  it('takes a given schedule whatever the seed', () => {
    fc.assert(
      property(
        fc.array(fc.nat(6), { minLength: 1, maxLength: 4 }),
        fc.nat(),
        fc.nat(),
        (turns, seed, other) => {
          const { schedule } = takeTurns(walkers(turns).actors, seed);
          expect(takeTurns(walkers(turns).actors, other, schedule).schedule).toEqual(schedule);
        },
      ),
      { seed: 6, numRuns: 50 },
    );
  });

  it('goes on by the seed where a given schedule ends', () => {
    const { schedule } = takeTurns(walkers([4, 4]).actors, 3, [1, 1]);

    expect(schedule.slice(0, 2)).toEqual([1, 1]);
    expect(schedule).toHaveLength(8);
  });

  it('refuses a turn that cannot be taken, and turns behind the end', () => {
    expect(() => takeTurns(walkers([1, 1]).actors, 1, [0, 0])).toThrow(
      /turn 1 of the schedule names 0, which cannot go; ready are 1 \(walker 1\)/,
    );
    expect(() => takeTurns(walkers([1]).actors, 1, [0, 0])).toThrow(/has 2 turns, but after 1 all had ended/);
  });

  it('names who waits when nobody can go', () => {
    const waiting: Actor = { id: 0, name: 'sleeper', status: () => 'waiting', step() {} };

    expect(takeTurns([waiting], 1).stuck).toEqual(['sleeper']);
  });
});

describe('the generator', () => {
  it('is Mulberry32', () => {
    const drawn: number[] = [];
    let state = 0;
    for (let index = 0; index < 4; index += 1) {
      const next = nextUint32(state);
      drawn.push(next.value);
      state = next.state;
    }
    expect(drawn).toEqual([1144304738, 1416247, 958946056, 627933444]);
  });

  it('draws below its limit, each number about as often', () => {
    const counts = [0, 0, 0];
    let state = 9;
    for (let index = 0; index < 3000; index += 1) {
      const next = nextBelow(state, 3);
      counts[next.value] = (counts[next.value] ?? 0) + 1;
      state = next.state;
    }
    expect(counts.every((count) => count > 900 && count < 1100)).toBe(true);
  });
});
