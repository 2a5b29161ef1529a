import { describe, expect, it } from 'vitest';
import { twice } from './twice.ts';

describe('a randomised run', () => {
  it('is done again at every tenth call, with the same arguments', () => {
    const calls: number[] = [];
    const run = twice((seed: number) => {
      calls.push(seed);
      return seed * 2;
    });
    expect(Array.from({ length: 12 }, (_, seed) => run(seed))).toHaveLength(12);
    expect(calls).toEqual([0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 11]);
  });

  it('fails where the two differ, at the first event that does', () => {
    let leaked = 0;
    const run = twice(() => [{ type: 'vcpu-run' }, { type: 'stage2-faulted', attempt: leaked++ }]);
    expect(run).toThrow(/1, done again/);
    const longer = twice(() => Array.from({ length: leaked++ }, () => 0));
    expect(longer).toThrow(/how many, done again/);
  });
});
