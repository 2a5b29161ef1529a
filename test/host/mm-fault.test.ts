import { describe, expect, it } from 'vitest';
import type { MachineOptions } from '../helpers/host.ts';
import { anon, G, GPU, hugetlb, K, M, machine, pfnmap, RAM_HVA, RAM_IPA } from '../helpers/host.ts';

const PAGE = 4 * K;

/** A VM with RAM that nobody has touched. */
function withRam(options: MachineOptions = {}, backing = anon(), size = 4 * M, ipa = RAM_IPA) {
  const m = machine(options);
  m.vm.mmap(RAM_HVA, size, backing);
  m.vm.slot(0, { ipa, size, hva: RAM_HVA });
  return m;
}

describe('a page that the guest reads before anyone has written it', () => {
  it('is the zero page, read-only; on 6.12 the write unmaps it, and one more fault maps the copy (rule 2)', () => {
    const { vm, log } = withRam({ kernel: '6.12' });
    vm.write(RAM_IPA + 8 * PAGE);

    vm.read(RAM_IPA);
    expect(vm.leafAt(RAM_IPA)).toMatchObject({ level: 3, write: false });
    const from = log.length;
    const store = vm.write(RAM_IPA);

    expect(store.faults).toEqual([0x0f, 0x07]);
    expect(vm.notifiers(from)).toEqual([[RAM_HVA, RAM_HVA + PAGE]]);
    expect(vm.leafAt(RAM_IPA)).toMatchObject({ level: 3, write: true });
  });

  it('on 6.12 the second fault is one of level 2 if the table held nothing else (rule 17)', () => {
    const { vm } = withRam({ kernel: '6.12' });
    vm.read(RAM_IPA);
    expect(vm.write(RAM_IPA).faults).toEqual([0x0f, 0x05]);
    const sibling = withRam({ kernel: '6.12' });
    sibling.vm.write(RAM_IPA + 2 * M);
    sibling.vm.read(RAM_IPA);
    expect(sibling.vm.write(RAM_IPA).faults).toEqual([0x0f, 0x06]);
  });

  it('on 6.1 change_pte maps the copy read-only, and the same fault comes again (rule 2)', () => {
    const { vm, log } = withRam({ kernel: '6.1' });
    vm.write(RAM_IPA + 8 * PAGE);
    vm.read(RAM_IPA);
    const from = log.length;
    expect(vm.write(RAM_IPA).faults).toEqual([0x0f, 0x0f]);
    const set = log.slice(from).find(({ type }) => type === 'stage2-set');
    expect(set).toMatchObject({ attributes: { write: false, xn: 2 }, because: 'change-pte-maps-read-only' });
    expect(vm.leafAt(RAM_IPA)).toMatchObject({ write: true });
  });
});

describe('write permission of RAM (rule 14)', () => {
  it('is there at once for a page that has been written, by the VMM or for DMA, even on a read', () => {
    for (const touch of ['host-write', 'dma-map'] as const) {
      const { vm } = withRam();
      if (touch === 'dma-map') vm.call({ kind: 'dma-map', hva: RAM_HVA as never, size: PAGE });
      else vm.hostWrite(RAM_HVA, PAGE);
      vm.read(RAM_IPA);
      expect(vm.leafAt(RAM_IPA)).toMatchObject({ write: true });
    }
  });

  it('is not there for a page that the VMM has only read', () => {
    const { vm } = withRam();
    vm.hostRead(RAM_HVA, 2 * PAGE);
    vm.read(RAM_IPA);
    expect(vm.leafAt(RAM_IPA)).toMatchObject({ write: false });
  });

  it('is not there while logging, but for a store; a fetch adds X and leaves W as it was (rule 21)', () => {
    const { vm } = withRam({ cpu: { dic: false } });
    vm.hostWrite(RAM_HVA, M);
    vm.slot(0, { ipa: RAM_IPA, size: 4 * M, hva: RAM_HVA }, { logDirty: true });
    vm.fetch(RAM_IPA);
    expect(vm.leafAt(RAM_IPA)).toMatchObject({ bits: '75b', write: false });
    vm.write(RAM_IPA + PAGE);
    expect(vm.leafAt(RAM_IPA + PAGE)).toMatchObject({ bits: '400000000007db' });
    expect(vm.fetch(RAM_IPA + PAGE).faults).toEqual([0x0f]);
    expect(vm.leafAt(RAM_IPA + PAGE)).toMatchObject({ bits: '7db', write: true });
  });
});

describe('swap (rule 25)', () => {
  it('brings a page back read-only on 6.1 and writable on 6.12 when it is read', () => {
    for (const kernel of ['6.1', '6.12']) {
      const { vm } = withRam({ kernel });
      vm.write(RAM_IPA);
      vm.pageout(RAM_HVA, PAGE);
      expect(vm.leaves()).toEqual([]);
      vm.read(RAM_IPA);
      expect(vm.leafAt(RAM_IPA)).toMatchObject({ write: kernel === '6.12' });
      expect(vm.write(RAM_IPA).faults).toEqual(kernel === '6.12' ? [] : [0x0f]);
      expect(vm.leafAt(RAM_IPA)).toMatchObject({ write: true });
    }
  });

  it('under PROT_READ brings a page back that is writable again with its VMA', () => {
    const { vm } = withRam({ kernel: '6.12' });
    vm.write(RAM_IPA);
    vm.pageout(RAM_HVA, PAGE);
    vm.mprotect(RAM_HVA, PAGE, 'read');
    vm.read(RAM_IPA);
    expect(vm.leafAt(RAM_IPA)).toMatchObject({ write: false });
    vm.mprotect(RAM_HVA, PAGE, 'read-write');
    vm.read(RAM_IPA);
    expect(vm.leafAt(RAM_IPA)).toMatchObject({ write: true });
  });

  it('takes a huge page apart and leaves the pages that stay', () => {
    const { vm } = withRam({}, anon('hugepage'));
    vm.hostWrite(RAM_HVA, 2 * M);
    vm.read(RAM_IPA);
    const before = vm.leafAt(RAM_IPA)?.pa ?? 0;
    vm.pageout(RAM_HVA, PAGE);
    vm.read(RAM_IPA + PAGE);
    expect(vm.leafAt(RAM_IPA + PAGE)).toMatchObject({ level: 3, pa: before + PAGE });
    expect(vm.leafAt(RAM_IPA)).toBeUndefined();
  });
});

describe('the huge zero page (rule 30)', () => {
  it('is a read-only block; the first write splits it, copies a page, and faults again', () => {
    for (const kernel of ['6.1', '6.12']) {
      const { vm, log } = withRam({ kernel }, anon('hugepage'));
      vm.read(RAM_IPA);
      expect(vm.leafAt(RAM_IPA)).toMatchObject({ level: 2, write: false });
      const from = log.length;
      const { faults } = vm.write(RAM_IPA + PAGE);
      expect(faults).toEqual([0x0e, 0x05]);
      expect(vm.notifiers(from)).toEqual([
        [RAM_HVA, RAM_HVA + 2 * M],
        [RAM_HVA + PAGE, RAM_HVA + 2 * PAGE],
      ]);
      expect(vm.leafAt(RAM_IPA + PAGE)).toMatchObject({ level: 3, write: true });
      expect(log.slice(from).some(({ type }) => type === 'stage2-set')).toBe(false);
    }
  });

  it('is a page where IPA and hva are not congruent', () => {
    const { vm } = withRam({ kernel: '6.12' }, anon('hugepage'), 4 * M, RAM_IPA + PAGE);
    vm.read(RAM_IPA + PAGE);
    expect(vm.leafAt(RAM_IPA + PAGE)).toMatchObject({ level: 3, write: false, sizeBecause: 'not-congruent' });
  });

  it('needs a window inside its VMA, and a host that hands out huge pages', () => {
    const small = withRam({}, anon('hugepage'), 2 * M - PAGE);
    small.vm.read(RAM_IPA);
    expect(small.vm.leafAt(RAM_IPA)?.level).toBe(3);
    for (const [thp, backing, level] of [
      ['never', 'hugepage', 3],
      ['madvise', 'default', 3],
      ['madvise', 'hugepage', 2],
      ['always', 'default', 2],
      ['always', 'nohugepage', 3],
    ] as const) {
      const { vm } = withRam({ thp }, anon(backing));
      vm.read(RAM_IPA);
      expect(vm.leafAt(RAM_IPA)?.level, `${thp} ${backing}`).toBe(level);
    }
  });
});

describe('hugetlb first touched by a read (rule 31)', () => {
  it('is read-only until the first write, which relaxes without a notifier', () => {
    for (const [backing, level, fsc] of [
      [hugetlb(2 * M), 2, 0x0e],
      [hugetlb(64 * K), 3, 0x0f],
      [hugetlb(G), 1, 0x0d],
    ] as const) {
      const { vm, log } = withRam({ kernel: '6.12' }, backing, G, 2 * G);
      vm.read(2 * G);
      expect(vm.leafAt(2 * G)).toMatchObject({ level, write: false });
      const from = log.length;
      expect(vm.write(2 * G).faults).toEqual([fsc]);
      expect(vm.notifiers(from)).toEqual([]);
      expect(vm.leafAt(2 * G)).toMatchObject({ level, write: true });
    }
  });
});

describe('mprotect away from read-write and back', () => {
  it('leaves read-only what can_change_pmd_writable() does not look at: hugetlb, before 6.2 huge pages', () => {
    for (const [kernel, backing, writable] of [
      ['6.1', anon('hugepage'), false],
      ['6.12', anon('hugepage'), true],
      ['6.1', anon(), true],
      ['6.12', anon(), true],
      ['6.1', hugetlb(2 * M), false],
      ['6.12', hugetlb(2 * M), false],
    ] as const) {
      const { vm } = withRam({ kernel }, backing, G, 2 * G);
      vm.write(2 * G);
      vm.mprotect(RAM_HVA, 2 * M, 'none');
      vm.mprotect(RAM_HVA, 2 * M, 'read-write');
      vm.read(2 * G);
      expect(vm.leafAt(2 * G)).toMatchObject({ write: writable });
      expect(vm.write(2 * G).faults).toEqual(writable ? [] : [0x0e]);
    }
  });
});

describe('the protection of a VMA (rule 23)', () => {
  it('makes KVM_RUN fail with EFAULT: any access to PROT_NONE or a hole, a store to PROT_READ', () => {
    const { vm } = withRam();
    vm.mprotect(RAM_HVA, PAGE, 'none');
    vm.mprotect(RAM_HVA + PAGE, PAGE, 'read');
    vm.munmap(RAM_HVA + 2 * PAGE, PAGE);
    expect(vm.read(RAM_IPA)).toMatchObject({ errno: 14, because: 'vma-protection' });
    expect(vm.read(RAM_IPA + PAGE)).toMatchObject({ kind: 'access-completed' });
    expect(vm.write(RAM_IPA + PAGE)).toMatchObject({ errno: 14, because: 'vma-protection' });
    const hole = { errno: 14, because: 'no-vma', log: 'Failed to find VMA for hva' };
    expect(vm.read(RAM_IPA + 2 * PAGE)).toMatchObject(hole);
  });
});

describe('memory decoding switched off', () => {
  it('is felt through VFIO only: sysfs and /dev/mem mappings stay', () => {
    const { vm, pciCommand } = withRam({ kernel: '6.1' }, pfnmap('sysfs', undefined, { device: GPU }));
    vm.read(RAM_IPA);
    pciCommand(0);
    expect(vm.leaves()).toHaveLength(1);
    expect(vm.read(RAM_IPA + PAGE).kind).toBe('access-completed');
  });
});

describe('what the VMM touches itself', () => {
  it('ends where nothing is mapped, and leaves alone what it may not write', () => {
    const { vm } = withRam();
    vm.mprotect(RAM_HVA, 2 * PAGE, 'read');
    vm.hostWrite(RAM_HVA, 4 * PAGE);
    const present = [...vm.state().memory.leaves()].map(({ address }) => address);
    expect(present).toEqual([RAM_HVA + 2 * PAGE, RAM_HVA + 3 * PAGE]);
    vm.hostWrite(RAM_HVA + 4 * M - PAGE, 2 * PAGE);
    expect([...vm.state().memory.leaves()].at(-1)?.address).toBe(RAM_HVA + 4 * M - PAGE);
  });

  it('touches one page each stride', () => {
    const { vm } = withRam();
    vm.hostWrite(RAM_HVA, 4 * M, M);
    expect(vm.state().memory.leafCount).toBe(4);
  });
});
