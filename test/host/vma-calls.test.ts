// What munmap, mprotect and KVM_SET_USER_MEMORY_REGION leave behind at their edges: errno, reasons of notifiers,
// numbers of VMAs, neighbours that stay.

import { describe, expect, it } from 'vitest';
import type { Hva, Ipa } from '../../src/arch/addresses.ts';
import type { VmaBacking } from '../../src/host/vma.ts';
import type { TestMachine } from '../helpers/host.ts';
import { anon, hugetlb, K, M, machine, pfnmap, RAM_HVA, RAM_IPA } from '../helpers/host.ts';
import { notified } from '../helpers/notified.ts';

const PAGE = 4 * K;
const EINVAL = 22;

function mapped(kernel: string, backing: VmaBacking, size = 8 * M, hva = RAM_HVA) {
  const m = machine({ kernel });
  m.vm.mmap(hva, size, backing);
  return m;
}

const numbers = ({ vm }: TestMachine) => vm.state().vmas.map(({ id }) => id);
const allDiffer = (ids: readonly number[]) => new Set(ids).size === ids.length;

describe('munmap', () => {
  it('says why: a split at each end, the pages between, or another mapping in their place', () => {
    const m = mapped('6.12', anon());
    expect(notified(m, () => m.vm.munmap(RAM_HVA + M, 4 * M))).toEqual([
      ['vma-split', 0, 2 * M],
      ['vma-split', 4 * M, 6 * M],
      ['unmap', M, 5 * M],
    ]);
    expect(notified(m, () => m.vm.mmap(RAM_HVA + 6 * M, 2 * M, anon()))).toEqual([
      ['fixed-mapping', 6 * M, 8 * M],
    ]);
    expect(notified(m, () => m.vm.munmap(RAM_HVA + 6 * M, 2 * M))).toEqual([['unmap', 6 * M, 8 * M]]);
  });

  it('takes a whole VMA, and no more, at one go', () => {
    const m = mapped('6.1', pfnmap('vfio-pci'));
    m.vm.mmap(RAM_HVA + 8 * M, 2 * M, pfnmap('vfio-pci'));
    expect(notified(m, () => m.vm.munmap(RAM_HVA, 8 * M))).toEqual([['unmap', 0, 8 * M]]);
    expect(m.vm.state().vmas).toMatchObject([{ start: RAM_HVA + 8 * M, end: RAM_HVA + 10 * M }]);
  });

  it('is refused as a whole if it cuts one hugetlb page of several mappings', () => {
    const m = mapped('6.12', anon(), 2 * M);
    m.vm.mmap(RAM_HVA + 2 * M, 4 * M, hugetlb(2 * M));
    expect(m.vm.munmap(RAM_HVA, 3 * M)).toBe(EINVAL);
    expect(m.vm.state().vmas).toHaveLength(2);
    expect(notified(m, () => m.vm.munmap(RAM_HVA, 4 * M))).toEqual([['unmap', 0, 4 * M]]);
  });

  it('inside a mapping on 6.1 zaps what vfio-pci maps alone, and numbers the parts anew', () => {
    const bar = mapped('6.1', pfnmap('vfio-pci'));
    const reasons = notified(bar, () => bar.vm.munmap(RAM_HVA + 2 * M, 2 * M)).map(([because]) => because);
    expect(reasons).toEqual(['vfio-vma-split', 'vfio-vma-split', 'unmap']);
    for (const more of [16, 32, 64]) bar.vm.mmap(RAM_HVA + more * M, M, pfnmap('vfio-pci'));
    expect(numbers(bar)).toHaveLength(5);
    expect(allDiffer(numbers(bar))).toBe(true);
    for (const backing of [pfnmap('devmem'), pfnmap('vfio-platform'), anon()]) {
      const m = mapped('6.1', backing);
      const sent = notified(m, () => m.vm.munmap(RAM_HVA + 2 * M, 2 * M));
      expect(sent).toEqual([['unmap', 2 * M, 4 * M]]);
    }
  });
});

describe('an address that is not a page of the host', () => {
  it('is refused with EINVAL by munmap, mprotect and madvise; lengths are rounded up', () => {
    const m = machine({ kernel: '6.12', pageSize: 16384 });
    m.vm.mmap(RAM_HVA, 8 * M, anon());
    for (const call of [
      () => m.vm.munmap(RAM_HVA + 4 * K, 16 * K),
      () => m.vm.mprotect(RAM_HVA + 4 * K, 16 * K, 'read'),
      () => m.vm.dontneed(RAM_HVA + 4 * K, 16 * K),
    ]) {
      expect(notified(m, () => expect(call()).toBe(EINVAL))).toEqual([]);
    }
    expect(notified(m, () => m.vm.munmap(RAM_HVA, 4 * K)).at(-1)).toEqual(['unmap', 0, 16 * K]);
  });
});

describe('a cut off the grid of huge pages', () => {
  it('notifies its window if that lies in the VMA, whose end it may share, and never in hugetlb', () => {
    const inside = mapped('6.12', anon(), 2 * M);
    expect(notified(inside, () => inside.vm.munmap(RAM_HVA + M, PAGE))).toEqual([
      ['vma-split', 0, 2 * M],
      ['unmap', M, M + PAGE],
    ]);
    const late = mapped('6.12', anon(), 4 * M, RAM_HVA + PAGE);
    expect(notified(late, () => late.vm.munmap(RAM_HVA + M, PAGE))).toEqual([['unmap', M, M + PAGE]]);
    const contiguous = mapped('6.12', hugetlb(64 * K));
    expect(notified(contiguous, () => contiguous.vm.munmap(RAM_HVA + M, 64 * K))).toEqual([
      ['unmap', M, M + 64 * K],
    ]);
  });
});

describe('mprotect', () => {
  it('returns 0, says why, and gives each part of a VMA a number of its own', () => {
    const m = mapped('6.12', pfnmap('vfio-pci'));
    expect(m.vm.mprotect(RAM_HVA, 8 * M, 'read')).toBe(0);
    const sent = notified(m, () => expect(m.vm.mprotect(RAM_HVA + 2 * M, 2 * M, 'none')).toBe(0));
    expect(sent).toEqual([['protection-change', 2 * M, 4 * M]]);
    const vmas = m.vm.state().vmas.map(({ start, end, prot }) => [start - RAM_HVA, end - RAM_HVA, prot]);
    expect(vmas).toEqual([
      [0, 2 * M, 'read'],
      [2 * M, 4 * M, 'none'],
      [4 * M, 8 * M, 'read'],
    ]);
    m.vm.mmap(RAM_HVA + 16 * M, M, pfnmap('vfio-pci'));
    expect(allDiffer(numbers(m))).toBe(true);
  });

  it('in the middle of a VMA numbers both of its ends anew', () => {
    const m = mapped('6.1', pfnmap('vfio-pci'));
    m.vm.mmap(RAM_HVA + 16 * M, M, pfnmap('vfio-pci'));
    expect(m.vm.mprotect(RAM_HVA + 2 * M, 2 * M, 'none')).toBe(0);
    expect(numbers(m)).toHaveLength(4);
    expect(allDiffer(numbers(m))).toBe(true);
  });

  it('notifies what nobody touched, on 6.1, of hugetlb, and of mappings that were populated by mmap', () => {
    for (const [backing, isNotified] of [
      [hugetlb(2 * M), true],
      [pfnmap('sysfs'), true],
      [pfnmap('vfio-pci'), false],
      [anon(), false],
    ] as const) {
      const m = mapped('6.1', backing);
      const sent = notified(m, () => m.vm.mprotect(RAM_HVA, 8 * M, 'read'));
      expect(sent).toEqual(isNotified ? [['protection-change', 0, 8 * M]] : []);
    }
  });

  it('of anonymous memory on 6.1 begins at the first PMD that has a table, and sends nothing if none has', () => {
    const m = mapped('6.1', anon());
    m.vm.hostWrite(RAM_HVA + 4 * M + PAGE, PAGE);
    m.vm.dontneed(RAM_HVA + 4 * M + PAGE, PAGE);
    const from = (start: number, end: number, prot: 'read' | 'read-write') =>
      notified(m, () => m.vm.mprotect(RAM_HVA + start, end - start, prot)).filter(
        ([because]) => because === 'protection-change',
      );
    expect(from(0, 8 * M, 'read')).toEqual([['protection-change', 4 * M, 8 * M]]);
    expect(from(M, 4 * M, 'read-write')).toEqual([]);
    const off = mapped('6.1', anon(), 32 * M);
    off.vm.hostWrite(RAM_HVA + 2 * M, PAGE);
    const sent = notified(off, () => off.vm.mprotect(RAM_HVA + M, 20 * M, 'read'));
    expect(sent.at(-1)).toEqual(['protection-change', 2 * M, 21 * M]);
    const huge = mapped('6.1', anon('hugepage'));
    huge.vm.hostWrite(RAM_HVA + 2 * M, PAGE);
    expect(notified(huge, () => huge.vm.mprotect(RAM_HVA, 8 * M, 'read'))).toEqual([
      ['protection-change', 2 * M, 8 * M],
    ]);
  });
});

describe('KVM_SET_USER_MEMORY_REGION', () => {
  const at = (ipa: number) => ({ ipa, size: 2 * M, hva: RAM_HVA });

  it('takes neighbours that touch, on both sides', () => {
    const { vm } = mapped('6.12', anon());
    expect(vm.slot(0, at(RAM_IPA))).toBe(0);
    expect(vm.slot(1, at(RAM_IPA + 2 * M))).toBe(0);
    expect(vm.slot(2, at(RAM_IPA - 2 * M))).toBe(0);
    expect(vm.slot(3, at(RAM_IPA + PAGE))).toBe(17);
  });

  it('write-protects when logging starts in a live slot, and at no other change', () => {
    const m = mapped('6.12', anon());
    const protects = (act: () => unknown) => {
      const from = m.log.length;
      act();
      return m.log.slice(from).filter(({ type }) => type === 'stage2-write-protected').length;
    };
    expect(protects(() => m.vm.slot(0, at(RAM_IPA), { logDirty: true }))).toBe(0);
    expect(protects(() => m.vm.slot(0, at(RAM_IPA)))).toBe(0);
    expect(protects(() => m.vm.slot(0, at(RAM_IPA), { logDirty: true }))).toBe(1);
    expect(protects(() => m.vm.slot(0, at(RAM_IPA + 4 * M), { logDirty: true }))).toBe(0);
    expect(protects(() => m.vm.slot(1, at(RAM_IPA)))).toBe(0);
  });

  it('that is refused changes no slot; a move has emptied its old range', () => {
    const m = mapped('6.12', pfnmap('vfio-pci'));
    const setSlots = (act: () => number) => {
      const from = m.log.length;
      expect(act()).toBe(EINVAL);
      return m.log
        .slice(from)
        .flatMap((event) => (event.type === 'memslot-set' ? [event.unmapped?.ipa] : []));
    };
    m.vm.slot(0, at(RAM_IPA));
    expect(setSlots(() => m.vm.slot(0, at(RAM_IPA), { logDirty: true }))).toEqual([]);
    expect(setSlots(() => m.vm.slot(0, at(RAM_IPA + 4 * M), { logDirty: true }))).toEqual([RAM_IPA]);
    expect(setSlots(() => m.vm.slot(1, at(RAM_IPA + 4 * M), { logDirty: true }))).toEqual([]);
    expect(m.vm.state().slots).toMatchObject([{ slot: 0, ipa: RAM_IPA, dirty: null }]);
  });

  it('changes no slot of guest_memfd, not even into itself', () => {
    const { vm } = machine({ kernel: '6.19' });
    const where = { ipa: RAM_IPA as Ipa, size: 2 * M, hva: RAM_HVA as Hva };
    const call = {
      kind: 'set-memslot',
      slot: 0,
      ...where,
      readonly: false,
      logDirty: false,
      guestMemfd: true,
    } as const;
    expect(vm.call(call)).toBe(0);
    expect(vm.call(call)).toBe(EINVAL);
  });
});
