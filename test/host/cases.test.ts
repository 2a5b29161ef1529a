import { describe, expect, it } from 'vitest';
import { BAR_HVA, BAR_PA, K, machine } from '../helpers/host.ts';
import { BARS } from './cases/bars.ts';
import { CHANGES } from './cases/changes.ts';
import { ENDINGS } from './cases/endings.ts';
import { MEMORY } from './cases/memory.ts';
import { REGISTERS } from './cases/registers.ts';
import { TYPES } from './cases/types.ts';

const CASES = [...BARS, ...ENDINGS, ...MEMORY, ...CHANGES, ...TYPES, ...REGISTERS].sort(
  (a, b) => a.number - b.number,
);

/** Cases about what this host does not have, and why it does not have it. */
const NOT_MODELLED: Readonly<Record<number, string>> = {
  65: 'nested virtualisation: one stage 2 a VM',
};

describe('a machine for a test', () => {
  it('maps a BAR of a 6.9 host as Normal-NC, and says why', () => {
    const { vm, bar } = machine({ kernel: '6.9' });
    vm.mmap(BAR_HVA, 16 * K, bar(BAR_PA));
    vm.slot(0, { ipa: 0x1000_0000, size: 16 * K, hva: BAR_HVA });

    const load = vm.read(0x1000_0000);

    expect(load).toMatchObject({ kind: 'access-completed', faults: [0x05] });
    expect(vm.leafAt(0x1000_0000)).toEqual({
      level: 3,
      pa: BAR_PA,
      write: true,
      bits: '400000000007d7',
      descriptor: 0x400060000007d7n,
      because: 'vma-allows-any-uncached',
      sizeBecause: 'vma-pfn-not-congruent',
    });
  });
});

describe('the numbered cases', () => {
  for (const { number, given, when, follows, check } of CASES) {
    it(`${number}: given ${given}, when ${when}, then ${follows}`, check);
  }

  it('are all here, or explained', () => {
    const numbers = [...CASES.map(({ number }) => number), ...Object.keys(NOT_MODELLED).map(Number)];
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 66 }, (_, index) => index + 1));
    expect(Object.keys(NOT_MODELLED)).toHaveLength(1);
    for (const { source } of CASES) expect(source).not.toBe('');
  });
});
