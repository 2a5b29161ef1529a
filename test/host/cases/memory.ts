// Cases 23, 24, 30 to 35, 55 and 63: RAM. Blocks, dirty logging, execution, memory tagging, aging.

import { expect } from 'vitest';
import type { MachineOptions } from '../../helpers/host.ts';
import { anon, G, hugetlb, K, M, machine, RAM_HVA, RAM_IPA } from '../../helpers/host.ts';
import type { Case } from './case.ts';
import { assign, BAR_IPA } from './case.ts';

const RAM = { ipa: RAM_IPA, hva: RAM_HVA } as const;
const HUGE = { ...RAM, size: 4 * M, backing: anon('hugepage') } as const;

/** A VM with 4M of transparent huge pages that the VMM has written. */
function withHugePages(options: MachineOptions = {}) {
  const m = machine(options);
  assign(m, HUGE);
  m.vm.hostWrite(RAM_HVA, 4 * M);
  return m;
}

const log = (m: ReturnType<typeof machine>, logDirty: boolean, size = 4 * M) =>
  m.vm.slot(0, { ...RAM, size }, { logDirty });

export const MEMORY: readonly Case[] = [
  {
    number: 23,
    given: 'a 2M block of RAM whose slot has just begun to log dirty pages',
    when: 'the guest stores',
    follows: 'a permission fault at level 2; the block gives way to one writable page, which is dirty',
    source: 'kvm_mmu_wp_memory_region(), stage2_map_walk_leaf(); measured rule 20',
    check() {
      for (const kernel of ['6.1', '6.9', '6.12']) {
        const m = withHugePages({ kernel });
        m.vm.write(RAM_IPA);
        expect(m.vm.leafAt(RAM_IPA)).toMatchObject({ level: 2, write: true });
        log(m, true);
        expect(m.vm.leafAt(RAM_IPA)).toMatchObject({ level: 2, write: false });
        const { faults, events } = m.vm.write(RAM_IPA + 5 * 4 * K);
        expect(faults).toEqual([0x0e]);
        const broken = { level: 2, ipa: RAM_IPA, tlbi: 'IPAS2E1IS', because: 'block-replaced-by-table' };
        expect(events.find(({ type }) => type === 'stage2-broken')).toMatchObject(broken);
        expect(m.vm.leaves()).toEqual([{ ipa: RAM_IPA + 5 * 4 * K, level: 3 }]);
        expect(m.vm.leafAt(RAM_IPA + 5 * 4 * K)).toMatchObject({ sizeBecause: 'logging-forces-pages' });
        expect(m.vm.dirtyLog(0)).toEqual([5]);
      }
    },
  },
  {
    number: 24,
    given: 'a logging slot of written RAM',
    when: 'the guest loads, then stores',
    follows: 'the load maps read-only, the store relaxes with a local TLBI and marks the page dirty',
    source: 'user_mem_abort(), kvm_pgtable_stage2_relax_perms(); measured rule 20',
    check() {
      const m = withHugePages();
      log(m, true);
      m.vm.read(RAM_IPA);
      expect(m.vm.leafAt(RAM_IPA)).toMatchObject({ level: 3, write: false });
      expect(m.vm.dirtyLog(0)).toEqual([]);
      const { faults, events } = m.vm.write(RAM_IPA);
      expect(faults).toEqual([0x0f]);
      expect(events.find(({ type }) => type === 'stage2-relaxed')).toMatchObject({ tlbi: 'IPAS2E1' });
      expect(m.vm.leafAt(RAM_IPA)).toMatchObject({ level: 3, write: true });
      expect(m.vm.dirtyLog(0)).toEqual([0]);
    },
  },
  {
    number: 30,
    given: 'hugetlb pages of 1G, congruent',
    when: 'the guest stores',
    follows: 'a level-1 block, Normal and executable: 0x7d9 with FWB',
    source: 'get_vma_page_shift() of a hugetlb VMA',
    check() {
      const m = machine();
      assign(m, { ipa: G, hva: RAM_HVA, size: 2 * G, backing: hugetlb(G) });
      m.vm.write(G + 5 * M);
      expect(m.vm.leafAt(G)).toMatchObject({ level: 1, bits: '7d9', sizeBecause: 'host-maps-block' });
      expect(m.vm.write(2 * G - 8).faults).toEqual([]);
      const off = machine();
      assign(off, { ipa: G + 2 * M, hva: RAM_HVA, size: 2 * G, backing: hugetlb(G) });
      off.vm.write(G + 5 * M);
      expect(off.vm.leafAt(G + 4 * M)).toMatchObject({ level: 2, bits: '7d9' });
    },
  },
  {
    number: 31,
    given: 'hugetlb pages of 64K (contiguous PTEs) on a 4K host',
    when: 'the guest stores',
    follows: 'a page of 4K, never a contiguous entry',
    source: 'user_mem_abort(), CONT_PTE_SHIFT; measured rule 19 with 16K pages',
    check() {
      const m = machine();
      assign(m, { ...RAM, size: M, backing: hugetlb(64 * K) });
      m.vm.write(RAM_IPA + 0x5000);
      expect(m.vm.leafAt(RAM_IPA + 0x5000)).toMatchObject({ level: 3, bits: '7db' });
      expect(m.vm.leaves()).toHaveLength(1);
    },
  },
  {
    number: 32,
    given: 'written RAM behind a transparent huge page, IPA and hva congruent',
    when: 'the guest loads in its middle',
    follows: 'one level-2 block, IPA and PA aligned down',
    source: 'transparent_hugepage_adjust()',
    measured: 'untouched, the huge zero page is mapped as a block, read-only (rule 30)',
    check() {
      const m = withHugePages();
      m.vm.read(RAM_IPA + 0x12_3000);
      expect(m.vm.leaves()).toEqual([{ ipa: RAM_IPA, level: 2 }]);
      expect((m.vm.leafAt(RAM_IPA)?.pa ?? 1) % (2 * M)).toBe(0);
      const untouched = machine({ kernel: '6.12' });
      assign(untouched, HUGE);
      untouched.vm.read(RAM_IPA);
      expect(untouched.vm.leafAt(RAM_IPA)).toMatchObject({ level: 2, write: false });
    },
  },
  {
    number: 33,
    given: 'the same huge page on a processor without CTR_EL0.DIC',
    when: 'the guest loads, then fetches',
    follows: 'the block is execute-never; the fetch takes a permission fault at level 2, which adds X',
    source: 'user_mem_abort(), kvm_pgtable_stage2_relax_perms()',
    check() {
      const m = withHugePages({ cpu: { dic: false } });
      m.vm.read(RAM_IPA);
      expect(m.vm.leafAt(RAM_IPA)).toMatchObject({ level: 2, bits: '400000000007d9' });
      expect(m.vm.fetch(RAM_IPA).faults).toEqual([0x0e]);
      expect(m.vm.leafAt(RAM_IPA)).toMatchObject({ level: 2, bits: '7d9' });
    },
  },
  {
    number: 34,
    given: 'a VM with memory tagging',
    when: 'the VMM makes a slot of a VFIO BAR',
    follows: 'the ioctl fails with EINVAL',
    source: 'kvm_arch_prepare_memory_region(), kvm_vma_mte_allowed()',
    check() {
      const m = machine({ capabilities: { KVM_CAP_ARM_MTE: 0 } });
      expect(assign(m, { size: 16 * K })).toBe(22);
      expect(m.vm.read(BAR_IPA).kind).toBe('mmio-exited');
      expect(assign(m, HUGE)).toBe(0);
    },
  },
  {
    number: 35,
    given: 'a VM with memory tagging, a fine slot, and then a mapping without VM_MTE_ALLOWED in its place',
    when: 'the guest loads',
    follows: 'KVM_RUN fails with EFAULT',
    source: 'user_mem_abort(), sanitise_mte_tags()',
    check() {
      const m = machine({ capabilities: { KVM_CAP_ARM_MTE: 0 } });
      assign(m, HUGE);
      expect(m.vm.read(RAM_IPA).kind).toBe('access-completed');
      m.vm.mmap(RAM_HVA, 4 * M, hugetlb(2 * M));
      const failed = { kind: 'run-failed', errno: 14, because: 'mte-without-vm-mte-allowed' };
      expect(m.vm.read(RAM_IPA)).toMatchObject(failed);
    },
  },
  {
    number: 55,
    given: 'a mapped page that aging has passed, without and with the hardware access flag',
    when: 'the guest loads',
    follows: 'an access-flag fault that sets AF and nothing else; with the hardware flag no fault',
    source: 'handle_access_fault(); measured behaviour 14',
    check() {
      for (const hardwareAccessFlag of [false, true]) {
        const m = machine({ cpu: { hardwareAccessFlag } });
        assign(m, { ...RAM, size: 64 * K, backing: anon() });
        m.vm.write(RAM_IPA);
        const before = m.vm.leafAt(RAM_IPA);
        m.vm.pageout(RAM_HVA, 64 * K, 'age');
        expect(m.vm.leafAt(RAM_IPA)?.bits).toBe('3db');
        expect(m.vm.read(RAM_IPA).faults).toEqual(hardwareAccessFlag ? [] : [0x0b]);
        expect(m.vm.leafAt(RAM_IPA)).toEqual(before);
      }
    },
  },
  {
    number: 63,
    given: 'RAM whose slot logged once and left a table of pages, a huge page behind it',
    when: 'the guest faults on an absent page of the window',
    follows: 'the table collapses into one block, after an invalidation of the whole table',
    source: 'stage2_map_walk_table_pre(); measured rule 22',
    check() {
      for (const [kernel, tlbiRange, tlbi] of [
        ['6.1', true, 'VMALLS12E1IS'],
        ['6.9', false, 'VMALLS12E1IS'],
        ['6.9', true, 'RIPAS2E1IS'],
      ] as const) {
        const m = withHugePages({ kernel, cpu: { tlbiRange } });
        log(m, true);
        m.vm.write(RAM_IPA);
        m.vm.write(RAM_IPA + 3 * 4 * K);
        log(m, false);
        const { faults, events } = m.vm.read(RAM_IPA + 0x10_0000);
        expect(faults).toEqual([0x07]);
        const broken = { ipa: RAM_IPA, level: 2, size: 2 * M, tlbi, because: 'table-replaced-by-block' };
        expect(events.find(({ type }) => type === 'stage2-broken')).toMatchObject(broken);
        expect(m.vm.leaves()).toEqual([{ ipa: RAM_IPA, level: 2 }]);
      }
    },
  },
];
