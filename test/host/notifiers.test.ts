import { describe, expect, it } from 'vitest';
import type { VmaBacking } from '../../src/host/vma.ts';
import type { MachineOptions } from '../helpers/host.ts';
import { anon, BAR_HVA, BAR_PA, G, hugetlb, K, M, machine, RAM_HVA, RAM_IPA } from '../helpers/host.ts';

const PAGE = 4 * K;
const ENOMEM = 12;
const EINVAL = 22;

function withMemory(options: MachineOptions, size: number, backing?: VmaBacking) {
  const m = machine(options);
  m.vm.mmap(RAM_HVA, size, backing ?? m.bar());
  m.vm.slot(0, { ipa: RAM_IPA, size, hva: RAM_HVA });
  /** Notifiers of what `act` does, as offsets into the mapping. */
  const notified = (act: () => unknown): (readonly [number, number])[] => {
    const from = m.log.length;
    act();
    return m.vm.notifiers(from).map(([start, end]) => [start - RAM_HVA, end - RAM_HVA]);
  };
  return { ...m, notified };
}

describe('mprotect', () => {
  it('in the middle of 2M windows notifies the window of each end, then its range (rules 3 and 18)', () => {
    const { vm, notified } = withMemory({ kernel: '6.12' }, 8 * M, anon());
    expect(notified(() => vm.mprotect(RAM_HVA + 64 * K, 4 * M, 'read'))).toEqual([
      [0, 2 * M],
      [4 * M, 6 * M],
      [64 * K, 4 * M + 64 * K],
    ]);
  });

  it('widens nothing where the window leaves the VMA, nor at ends aligned to 2M', () => {
    const small = withMemory({ kernel: '6.12' }, 128 * K, anon());
    expect(small.notified(() => small.vm.mprotect(RAM_HVA + 64 * K, 32 * K, 'read'))).toEqual([
      [64 * K, 96 * K],
    ]);
    const aligned = withMemory({ kernel: '6.12' }, 8 * M, anon());
    expect(aligned.notified(() => aligned.vm.mprotect(RAM_HVA + 2 * M, 4 * M, 'read'))).toEqual([
      [2 * M, 6 * M],
    ]);
  });

  it('to the protection there is does nothing (rule 33), and back again merges the VMAs', () => {
    const { vm, notified } = withMemory({ kernel: '6.12' }, 8 * M, anon());
    expect(notified(() => vm.mprotect(RAM_HVA, 8 * M, 'read-write'))).toEqual([]);
    vm.mprotect(RAM_HVA + 2 * M, 2 * M, 'none');
    expect(vm.state().vmas).toHaveLength(3);
    vm.mprotect(RAM_HVA + 2 * M, 2 * M, 'read-write');
    expect(vm.state().vmas).toHaveLength(1);
  });

  it('of nothing populated begins at the first populated PMD on 6.1', () => {
    const { vm, notified } = withMemory({ kernel: '6.1' }, 8 * M, anon());
    expect(notified(() => vm.mprotect(RAM_HVA, 8 * M, 'read'))).toEqual([]);
    vm.mprotect(RAM_HVA, 8 * M, 'read-write');
    vm.hostWrite(RAM_HVA + 4 * M, PAGE);
    expect(notified(() => vm.mprotect(RAM_HVA, 8 * M, 'read'))).toEqual([[4 * M, 8 * M]]);
  });

  it('over a hole changes what lies before it and fails with ENOMEM', () => {
    const { vm } = withMemory({}, 8 * M, anon());
    vm.munmap(RAM_HVA + 2 * M, 2 * M);
    expect(vm.mprotect(RAM_HVA, 8 * M, 'read')).toBe(ENOMEM);
    expect(vm.state().vmas.map(({ prot }) => prot)).toEqual(['read', 'read-write']);
    expect(vm.mprotect(RAM_HVA + 6 * M, 4 * M, 'none')).toBe(ENOMEM);
    expect(vm.mprotect(RAM_HVA + 16 * M, PAGE, 'none')).toBe(ENOMEM);
  });

  it('of a BAR on 6.1 zaps the VMAs that the splits create (rule 35)', () => {
    const { vm, notified } = withMemory({ kernel: '6.1' }, 16 * PAGE);
    vm.read(RAM_IPA);
    expect(notified(() => vm.mprotect(RAM_HVA + 4 * PAGE, 4 * PAGE, 'read'))).toEqual([
      [0, 4 * PAGE],
      [8 * PAGE, 16 * PAGE],
      [4 * PAGE, 8 * PAGE],
    ]);
  });

  it('of a BAR that nobody has touched finds no table to change on 6.1; a zap leaves the tables there', () => {
    for (const kernel of ['6.1', '6.12']) {
      const { vm, notified, pciCommand } = withMemory({ kernel }, 16 * PAGE);
      const protect = (prot: 'read' | 'read-write') => notified(() => vm.mprotect(RAM_HVA, 16 * PAGE, prot));
      expect(protect('read')).toEqual(kernel === '6.1' ? [] : [[0, 16 * PAGE]]);
      vm.read(RAM_IPA);
      pciCommand(0);
      expect(protect('read-write')).toEqual([[0, 16 * PAGE]]);
    }
  });
});

describe('munmap', () => {
  it('inside a BAR of 6.12 notifies the cut windows and the hole; the pages behind it stay (rule 34)', () => {
    const { vm, notified } = withMemory({ kernel: '6.12' }, 8 * M);
    vm.read(RAM_IPA + 6 * M);
    expect(notified(() => vm.munmap(RAM_HVA + 2 * M, 2 * M))).toEqual([[2 * M, 4 * M]]);
    expect(vm.leafAt(RAM_IPA + 6 * M)).toBeDefined();
    expect(notified(() => vm.munmap(RAM_HVA + 5 * M, M))).toEqual([
      [4 * M, 6 * M],
      [5 * M, 6 * M],
    ]);
  });

  it('strictly inside a BAR of 6.1: to the end of the VMA first, then the range twice (rule 24)', () => {
    const { vm, notified } = withMemory({ kernel: '6.1' }, 8 * M);
    vm.read(RAM_IPA + 6 * M);
    expect(notified(() => vm.munmap(RAM_HVA + 2 * M, 2 * M))).toEqual([
      [2 * M, 8 * M],
      [2 * M, 4 * M],
      [2 * M, 4 * M],
    ]);
    expect(vm.leaves()).toEqual([]);
  });

  it('of hugetlb is never widened, and cuts at its pages only', () => {
    const { vm, notified } = withMemory({}, 8 * M, hugetlb(2 * M));
    expect(notified(() => vm.munmap(RAM_HVA + 2 * M, 2 * M))).toEqual([[2 * M, 4 * M]]);
    expect(vm.munmap(RAM_HVA, M)).toBe(EINVAL);
    expect(vm.mprotect(RAM_HVA, M, 'read')).toBe(EINVAL);
    expect(vm.mmap(RAM_HVA + M, M, anon())).toBe(EINVAL);
  });

  it('over several VMAs sends one notifier, over none nothing', () => {
    const { vm, notified } = withMemory({}, 2 * M, anon());
    vm.mmap(RAM_HVA + 4 * M, 2 * M, anon());
    expect(notified(() => vm.munmap(RAM_HVA, 8 * M))).toEqual([[0, 8 * M]]);
    expect(notified(() => vm.munmap(RAM_HVA, 8 * M))).toEqual([]);
  });
});

describe('madvise', () => {
  it('DONTNEED of part of a huge page: the range, then the whole page; its rest stays as pages (rule 8)', () => {
    const { vm, notified } = withMemory({ kernel: '6.12' }, 8 * M, anon('hugepage'));
    vm.hostWrite(RAM_HVA, 8 * M);
    vm.read(RAM_IPA);
    expect(notified(() => vm.dontneed(RAM_HVA + M, 3 * M))).toEqual([
      [M, 4 * M],
      [0, 2 * M],
    ]);
    expect(vm.leaves()).toEqual([]);
    vm.read(RAM_IPA);
    expect(vm.leafAt(RAM_IPA)).toMatchObject({ level: 3, write: true });
    vm.write(RAM_IPA + M);
    expect(vm.leafAt(RAM_IPA + M)).toMatchObject({ level: 3 });
    vm.write(RAM_IPA + 2 * M);
    expect(vm.leafAt(RAM_IPA + 2 * M)).toMatchObject({ level: 2 });
  });

  it('DONTNEED of a BAR fails without a notifier (rule 11)', () => {
    const { vm, notified } = withMemory({}, 8 * M);
    expect(notified(() => expect(vm.dontneed(RAM_HVA, 8 * M)).toBe(EINVAL))).toEqual([]);
  });

  it('DONTNEED of hugetlb drops whole pages only; PAGEOUT of hugetlb is refused', () => {
    const { vm, notified } = withMemory({}, 8 * M, hugetlb(2 * M));
    vm.write(RAM_IPA);
    expect(notified(() => vm.dontneed(RAM_HVA, M))).toEqual([]);
    expect(vm.dontneed(RAM_HVA + M, 2 * M)).toBe(EINVAL);
    expect(notified(() => vm.dontneed(RAM_HVA, 3 * M))).toEqual([[0, 2 * M]]);
    expect(vm.pageout(RAM_HVA, 2 * M)).toBe(EINVAL);
  });

  it('over a hole does its work and fails with ENOMEM', () => {
    const { vm } = withMemory({}, 8 * M, anon());
    vm.hostWrite(RAM_HVA, 8 * M);
    vm.munmap(RAM_HVA + 2 * M, 2 * M);
    expect(vm.dontneed(RAM_HVA, 8 * M)).toBe(ENOMEM);
    expect(vm.dontneed(RAM_HVA + 6 * M, 4 * M)).toBe(ENOMEM);
    expect([...vm.state().memory.leaves()].every(({ leaf }) => leaf.kind === 'none')).toBe(true);
  });

  it('rounds to whole pages of the host', () => {
    const { vm, notified } = withMemory({ pageSize: 16384 }, 64 * M, anon());
    expect(notified(() => vm.dontneed(RAM_HVA, 4 * K))).toEqual([[0, 16 * K]]);
  });
});

describe('MAP_FIXED over a mapping', () => {
  it('takes the old pages away first, so that the next fault sees the new VMA', () => {
    const { vm, notified, bar } = withMemory({}, 8 * M, anon());
    vm.write(RAM_IPA);
    expect(notified(() => vm.mmap(RAM_HVA, 8 * M, bar()))).toEqual([[0, 8 * M]]);
    expect(vm.leaves()).toEqual([]);
    vm.read(RAM_IPA);
    expect(vm.leafAt(RAM_IPA)).toMatchObject({ because: 'vma-allows-any-uncached' });
  });
});

describe('memory decoding switched off', () => {
  function twoBars(kernel: string) {
    const m = machine({ kernel });
    const bar = (region: number) => ({ ...m.bar(BAR_PA + region * G), fileOffset: region * 2 ** 40 });
    m.vm.mmap(BAR_HVA, 2 * M, bar(2));
    m.vm.mmap(BAR_HVA + G, 2 * M, bar(0));
    m.vm.mmap(BAR_HVA + 2 * G, 2 * M, m.bar(BAR_PA, '0000:02:00.0'));
    m.vm.slot(0, { ipa: 0, size: 2 * M, hva: BAR_HVA });
    m.vm.slot(1, { ipa: G, size: 2 * M, hva: BAR_HVA + G });
    m.vm.read(0);
    m.vm.read(G);
    const from = m.log.length;
    m.pciCommand(0);
    return { ...m, zapped: m.vm.notifiers(from).map(([start]) => start - BAR_HVA) };
  }

  it('zaps in ascending file offset from 6.10 on, latest faulted first before (rule 24)', () => {
    expect(twoBars('6.12').zapped).toEqual([G, 0]);
    expect(twoBars('6.9').zapped).toEqual([G, 0]);
    const { vm, pciCommand, log } = twoBars('6.1');
    pciCommand(2);
    vm.read(G);
    vm.read(0);
    const from = log.length;
    pciCommand(0);
    expect(vm.notifiers(from).map(([start]) => start - BAR_HVA)).toEqual([0, G]);
  });

  it('before 6.10 zaps nothing that has not been faulted since', () => {
    const { pciCommand, vm, log } = twoBars('6.1');
    const from = log.length;
    pciCommand(0);
    expect(vm.notifiers(from)).toEqual([]);
  });
});
