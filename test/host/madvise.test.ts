// What madvise leaves in the host's page table, and the reasons of its notifiers: MADV_DONTNEED of pages, huge pages
// and hugetlb, reclaim, memory errors.

import { describe, expect, it } from 'vitest';
import type { Hva } from '../../src/arch/addresses.ts';
import type { VmaBacking } from '../../src/host/vma.ts';
import type { TestMachine } from '../helpers/host.ts';
import { anon, hugetlb, K, M, machine, RAM_HVA } from '../helpers/host.ts';
import { notified } from '../helpers/notified.ts';

const PAGE = 4 * K;

function written(backing: VmaBacking) {
  const m = machine({ kernel: '6.12' });
  m.vm.mmap(RAM_HVA, 8 * M, backing);
  m.vm.hostWrite(RAM_HVA, 8 * M);
  return m;
}

/** What stands at that offset: its level and kind; nothing where no entry is. */
function entryAt({ vm }: TestMachine, offset: number): string {
  const { level, leaf } = vm.state().memory.walk(RAM_HVA + offset);
  return leaf === undefined ? `${level}: nothing` : `${level}: ${leaf.kind}`;
}

const poison = (m: TestMachine, offset: number, size: number) =>
  m.vm.call({ kind: 'madvise', hva: (RAM_HVA + offset) as Hva, size, advice: 'hwpoison', reclaim: [] });

describe('MADV_DONTNEED', () => {
  it('of pages leaves their table, of a whole huge page nothing, of part of one its other pages', () => {
    const pages = written(anon());
    expect(notified(pages, () => pages.vm.dontneed(RAM_HVA + PAGE, PAGE))).toEqual([
      ['discard', PAGE, 2 * PAGE],
    ]);
    expect([0, PAGE, 2 * PAGE].map((at) => entryAt(pages, at))).toEqual(['3: page', '3: none', '3: page']);

    const huge = written(anon('hugepage'));
    expect(notified(huge, () => huge.vm.dontneed(RAM_HVA + 2 * M, 2 * M))).toEqual([
      ['discard', 2 * M, 4 * M],
    ]);
    expect([0, 2 * M, 4 * M].map((at) => entryAt(huge, at))).toEqual(['2: page', '2: nothing', '2: page']);
    expect(notified(huge, () => huge.vm.dontneed(RAM_HVA + 4 * M, PAGE))).toEqual([
      ['discard', 4 * M, 4 * M + PAGE],
      ['huge-page-split', 4 * M, 6 * M],
    ]);
    expect([4 * M, 4 * M + PAGE].map((at) => entryAt(huge, at))).toEqual(['3: none', '3: page']);
    expect(notified(huge, () => huge.vm.dontneed(RAM_HVA + 2 * M, PAGE))).toEqual([
      ['discard', 2 * M, 2 * M + PAGE],
    ]);
  });

  it('of hugetlb frees whole pages', () => {
    const m = written(hugetlb(2 * M));
    expect(notified(m, () => m.vm.dontneed(RAM_HVA + 2 * M, 3 * M))).toEqual([['discard', 2 * M, 4 * M]]);
    expect([0, 2 * M, 4 * M].map((at) => entryAt(m, at))).toEqual(['2: page', '2: nothing', '2: page']);
  });

  it('returns 0 where every byte is mapped', () => {
    const m = written(anon());
    expect(m.vm.dontneed(RAM_HVA, 8 * M)).toBe(0);
    expect(m.vm.dontneed(RAM_HVA + PAGE, PAGE)).toBe(0);
  });

  it('reclaims nothing, whatever reclaim could take', () => {
    const m = written(anon());
    const reclaim = [{ kind: 'unmap-range', start: RAM_HVA as Hva, end: (RAM_HVA + PAGE) as Hva }] as const;
    m.vm.call({ kind: 'madvise', hva: (RAM_HVA + M) as Hva, size: PAGE, advice: 'dontneed', reclaim });
    expect(entryAt(m, 0)).toBe('3: page');
  });
});

describe('MADV_PAGEOUT', () => {
  it('puts pages into swap, the pages of a huge page that it cuts one by one', () => {
    const m = written(anon('hugepage'));
    m.vm.dontneed(RAM_HVA + 4 * M, PAGE);
    expect(notified(m, () => m.vm.pageout(RAM_HVA + M, M))).toEqual([['reclaim', M, 2 * M]]);
    expect([0, M, 2 * M].map((at) => entryAt(m, at))).toEqual(['3: page', '3: swapped', '2: page']);
    m.vm.pageout(RAM_HVA + 4 * M, 2 * PAGE);
    expect([4 * M, 4 * M + PAGE].map((at) => entryAt(m, at))).toEqual(['3: none', '3: swapped']);
  });
});

describe('MADV_HWPOISON', () => {
  it('takes each page of the range away; of a huge page it is split off first', () => {
    const m = written(anon('hugepage'));
    expect(notified(m, () => poison(m, M, 2 * PAGE))).toEqual([
      ['huge-page-split', 0, 2 * M],
      ['memory-failure', M, M + PAGE],
      ['memory-failure', M + PAGE, M + 2 * PAGE],
    ]);
    expect([0, M, M + PAGE, M + 2 * PAGE].map((at) => entryAt(m, at))).toEqual([
      '3: page',
      '3: poisoned',
      '3: poisoned',
      '3: page',
    ]);
  });

  it('leaves alone what cannot be touched', () => {
    const m = written(anon());
    m.vm.mprotect(RAM_HVA, PAGE, 'none');
    expect(notified(m, () => poison(m, 0, 2 * PAGE))).toEqual([['memory-failure', PAGE, 2 * PAGE]]);
    expect(entryAt(m, 0)).toBe('3: page');
  });

  it('takes whole pages of hugetlb', () => {
    const m = written(hugetlb(2 * M));
    expect(notified(m, () => poison(m, 2 * M + PAGE, PAGE))).toEqual([['memory-failure', 2 * M, 4 * M]]);
    expect([0, 2 * M, 4 * M].map((at) => entryAt(m, at))).toEqual(['2: page', '2: poisoned', '2: page']);
  });
});
