import { describe, expect, it } from 'vitest';
import { BAR_HVA, BAR_PA, K, machine } from '../helpers/host.ts';
import { BARS } from './cases/bars.ts';
import { CHANGES } from './cases/changes.ts';
import { ENDINGS } from './cases/endings.ts';
import { MEMORY } from './cases/memory.ts';
import { TYPES } from './cases/types.ts';

const CASES = [...BARS, ...ENDINGS, ...MEMORY, ...CHANGES, ...TYPES].sort((a, b) => a.number - b.number);

/** Cases about what this host does not have, and why it does not have it. */
const NOT_MODELLED: Readonly<Record<number, string>> = {
  57: 'a leaf both Device and Normal-NC cannot be said: a leaf has one type. Executable ones: the properties',
  58: 'FEAT_XNX: KVM asks for X with both bits or with none, so that a leaf with PX alone never comes about',
  60: 'sign extension of a loaded byte: registers of the guest are not modelled, values end at the bus',
  61: 'big-endian guests: bytes at the bus are little-endian, as Linux guests run',
  65: 'nested virtualisation: one stage 2 a VM',
  66: 'HCR_EL2.PTW: a walk through a Device leaf is a permission fault for ever, a livelock without an outcome',
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
    expect(Object.keys(NOT_MODELLED)).toHaveLength(6);
    for (const { source } of CASES) expect(source).not.toBe('');
  });
});
