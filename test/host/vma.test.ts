import { describe, expect, it } from 'vitest';
import type { Hva, Pa } from '../../src/arch/addresses.ts';
import type { Vma } from '../../src/host/vma.ts';
import { mergeVmas, replaceVmas, sliceVma, vmaAt, vmasIn } from '../../src/host/vma.ts';
import { anon, hugetlb, pfnmap } from '../helpers/host.ts';

const vma = (start: number, end: number, more: Partial<Vma> = {}): Vma => ({
  start: start as Hva,
  end: end as Hva,
  prot: 'read-write',
  backing: anon(),
  id: start,
  origin: 0,
  ...more,
});

const ranges = (vmas: readonly Vma[]) => vmas.map(({ start, end }) => [start, end]);

describe('the VMA of an address', () => {
  const vmas = [vma(0x1000, 0x3000), vma(0x3000, 0x4000), vma(0x8000, 0x9000)];

  it('reaches from its start to before its end', () => {
    expect(vmaAt(vmas, 0xfff)).toBeUndefined();
    expect(vmaAt(vmas, 0x1000)?.start).toBe(0x1000);
    expect(vmaAt(vmas, 0x2fff)?.start).toBe(0x1000);
    expect(vmaAt(vmas, 0x3000)?.start).toBe(0x3000);
    expect(vmaAt(vmas, 0x4000)).toBeUndefined();
    expect(vmaAt(vmas, 0x8fff)?.start).toBe(0x8000);
    expect(vmaAt(vmas, 0x9000)).toBeUndefined();
  });

  it('overlaps a range by a byte or more', () => {
    expect(ranges(vmasIn(vmas, 0x2fff, 0x3001))).toEqual([
      [0x1000, 0x3000],
      [0x3000, 0x4000],
    ]);
    expect(vmasIn(vmas, 0x4000, 0x8000)).toEqual([]);
  });
});

describe('a part of a VMA', () => {
  it('of a BAR keeps each address on its byte of the device', () => {
    const backing = pfnmap('vfio-pci', 0x6000_0000, { fileOffset: 0x100_0000_0000 });
    const part = sliceVma(vma(0x1000, 0x9000, { backing }), 0x4000, 0x6000);
    expect(part).toMatchObject({ start: 0x4000, end: 0x6000 });
    expect(part.backing).toMatchObject({ pa: 0x6000_3000 as Pa, fileOffset: 0x100_0000_3000 });
  });

  it('of anonymous memory is anonymous memory', () => {
    expect(sliceVma(vma(0x1000, 0x9000), 0x1000, 0x2000).backing).toEqual(anon());
  });
});

describe('replacing a range', () => {
  const before = [vma(0x1000, 0x4000), vma(0x6000, 0x9000)];

  it('keeps what sticks out on both sides', () => {
    const fresh = vma(0x2000, 0x7000);
    expect(ranges(replaceVmas(before, 0x2000, 0x7000, [fresh]))).toEqual([
      [0x1000, 0x2000],
      [0x2000, 0x7000],
      [0x7000, 0x9000],
    ]);
  });

  it('inside one VMA leaves two parts; over all of it nothing', () => {
    expect(ranges(replaceVmas(before, 0x2000, 0x3000, []))).toEqual([
      [0x1000, 0x2000],
      [0x3000, 0x4000],
      [0x6000, 0x9000],
    ]);
    expect(ranges(replaceVmas(before, 0x1000, 0x4000, []))).toEqual([[0x6000, 0x9000]]);
  });

  it('touches no neighbour', () => {
    expect(replaceVmas(before, 0x4000, 0x6000, [])).toEqual(before);
    expect(replaceVmas(before, 0x5000, 0x5800, [])).toEqual(before);
  });
});

describe('merging', () => {
  const merged = (b: Partial<Vma>, a: Partial<Vma> = {}) =>
    mergeVmas([vma(0x1000, 0x2000, a), vma(0x2000, 0x3000, b)]).length === 1;

  it('joins neighbours of one anonymous mapping with one protection, and nothing else', () => {
    expect(merged({})).toBe(true);
    expect(merged({ start: 0x2800 as Hva })).toBe(false);
    expect(merged({ origin: 1 })).toBe(false);
    expect(merged({ prot: 'read' })).toBe(false);
    expect(merged({ backing: anon('hugepage') })).toBe(false);
    expect(merged({ backing: hugetlb(4096) })).toBe(false);
    expect(merged({}, { backing: hugetlb(4096) })).toBe(false);
    expect(merged({ backing: pfnmap('devmem') }, { backing: pfnmap('devmem') })).toBe(false);
  });

  it('joins more than two', () => {
    expect(ranges(mergeVmas([vma(0, 1), vma(1, 2), vma(2, 3), vma(4, 5)]))).toEqual([
      [0, 3],
      [4, 5],
    ]);
  });
});
