// Cases 1 to 15: which leaf a BAR gets, and how large.

import { expect } from 'vitest';
import { BAR_HVA, BAR_PA, G, K, M, machine, pfnmap } from '../../helpers/host.ts';
import type { Case } from './case.ts';
import { assign, BAR_IPA, DEVICE_BLOCK, DEVICE_PAGE, NC_BLOCK, NC_PAGE } from './case.ts';

const GET_VMA_PAGE_SHIFT = 'get_vma_page_shift(), fault_supports_stage2_huge_mapping()';

export const BARS: readonly Case[] = [
  {
    number: 1,
    given: 'a BAR of 16K',
    when: 'the guest reads its first bytes, then its second page',
    follows: 'tables and one Normal-NC page are built; the second page faults again, now at level 3',
    source: 'user_mem_abort(), 8c47ce3e1d2c',
    check() {
      const m = machine();
      assign(m, { size: 16 * K });
      expect(m.vm.read(BAR_IPA).faults).toEqual([0x05]);
      expect(m.vm.leafAt(BAR_IPA)).toMatchObject({ level: 3, pa: BAR_PA, bits: NC_PAGE, write: true });
      expect(m.vm.leafAt(BAR_IPA)).toMatchObject({ because: 'vma-allows-any-uncached' });
      expect(m.vm.leafAt(BAR_IPA + 4 * K)).toBeUndefined();
      expect(m.vm.read(BAR_IPA + 4 * K).faults).toEqual([0x07]);
    },
  },
  {
    number: 2,
    given: 'the same BAR under Linux 6.8',
    when: 'the guest reads',
    follows: 'the page is Device-nGnRE',
    source: 'user_mem_abort() before 8c47ce3e1d2c; measured on 6.1.192',
    check() {
      for (const kernel of ['5.15', '6.1', '6.6', '6.8']) {
        const m = machine({ kernel });
        assign(m, { size: 16 * K });
        m.vm.read(BAR_IPA);
        expect(m.vm.leafAt(BAR_IPA)).toMatchObject({ bits: DEVICE_PAGE, because: 'kernel-before-normal-nc' });
      }
    },
  },
  {
    number: 3,
    given: 'the BAR of case 1 on a processor without FWB',
    when: 'the guest reads',
    follows: 'the descriptor is the same: the codes for Normal-NC coincide',
    source: 'MT_S2_NORMAL_NC and MT_S2_FWB_NORMAL_NC, asm/memory.h; measured on 6.12.117',
    check() {
      for (const fwb of [false, true]) {
        const m = machine({ cpu: { fwb } });
        assign(m, { size: 16 * K });
        m.vm.read(BAR_IPA);
        expect(m.vm.leafAt(BAR_IPA)?.bits).toBe(NC_PAGE);
      }
    },
  },
  {
    number: 4,
    given: 'a vfio-platform region, which never carries the flag',
    when: 'the guest reads, under any kernel',
    follows: 'the page is Device-nGnRE',
    source: 'vfio_platform_mmap_mmio()',
    check() {
      for (const kernel of ['5.15', '6.1', '6.9', '6.12', '6.13', '6.17', '7.0']) {
        const m = machine({ kernel });
        assign(m, { size: 16 * K, backing: pfnmap('vfio-platform') });
        m.vm.read(BAR_IPA);
        expect(m.vm.leafAt(BAR_IPA)?.bits).toBe(DEVICE_PAGE);
      }
    },
  },
  {
    number: 5,
    given: 'a BAR of 4M with IPA, hva and PA aligned to 2M',
    when: 'the guest writes at +0x300000',
    follows: 'one level-2 block is mapped, +0 stays unmapped',
    source: GET_VMA_PAGE_SHIFT,
    measured: '6.1.192 maps a page (rule 6); 6.12.117 a block, because the host maps one',
    check() {
      for (const kernel of ['6.9', '6.12', '6.13']) {
        const m = machine({ kernel });
        assign(m, { size: 4 * M });
        m.vm.write(BAR_IPA + 0x300000);
        const leaf = { level: 2, pa: BAR_PA + 2 * M, bits: NC_BLOCK, sizeBecause: 'host-maps-block' };
        expect(m.vm.leafAt(BAR_IPA + 2 * M)).toMatchObject(leaf);
        expect(m.vm.leafAt(BAR_IPA)).toBeUndefined();
      }
      const old = machine({ kernel: '6.1' });
      assign(old, { size: 4 * M });
      old.vm.write(BAR_IPA + 0x300000);
      const page = { level: 3, bits: DEVICE_PAGE, sizeBecause: 'device-pages-only' };
      expect(old.vm.leafAt(BAR_IPA + 0x300000)).toMatchObject(page);
    },
  },
  {
    number: 6,
    given: 'a BAR of 4M, hva and PA aligned to 2M, the IPA off by a page; then the hva off by a page instead',
    when: 'the guest reads',
    follows: 'a page each: the block fails first in the slot, then already in the VMA',
    source: GET_VMA_PAGE_SHIFT,
    check() {
      const ipa = BAR_IPA + 0x1000;
      const slotFails = machine();
      assign(slotFails, { size: 4 * M, ipa });
      slotFails.vm.read(ipa + 2 * M);
      expect(slotFails.vm.leafAt(ipa + 2 * M)).toMatchObject({ level: 3, sizeBecause: 'not-congruent' });
      const vmaFails = machine();
      assign(vmaFails, { size: 4 * M, hva: BAR_HVA + 0x1000 });
      vmaFails.vm.read(BAR_IPA + 2 * M);
      const leaf = { level: 3, sizeBecause: 'vma-pfn-not-congruent' };
      expect(vmaFails.vm.leafAt(BAR_IPA + 2 * M)).toMatchObject(leaf);
    },
  },
  {
    number: 7,
    given: 'a BAR of 4M at a PA aligned to 2M, IPA and hva both at 0x100000 modulo 2M',
    when: 'the guest reads at +0x180000',
    follows: 'a page: hva and PA are not congruent',
    source: GET_VMA_PAGE_SHIFT,
    measured: 'on 6.12.117 too, because the host maps no PMD then (rule 6)',
    check() {
      for (const [kernel, sizeBecause] of [
        ['6.9', 'vma-pfn-not-congruent'],
        ['6.12', 'host-maps-pages'],
      ] as const) {
        const m = machine({ kernel });
        assign(m, { size: 4 * M, ipa: BAR_IPA + M, hva: BAR_HVA + M });
        m.vm.read(BAR_IPA + M + 0x180000);
        expect(m.vm.leafAt(BAR_IPA + M + 0x180000)).toMatchObject({ level: 3, bits: NC_PAGE, sizeBecause });
      }
    },
  },
  {
    number: 8,
    given: 'a region of 4M with IPA, hva and PA all at 0x100000 modulo 2M',
    when: 'the guest reads at +0x10000 and at +0x100000',
    follows: 'a page, because the first window starts before the VMA and the slot; then a block',
    source: GET_VMA_PAGE_SHIFT,
    check() {
      for (const kernel of ['6.9', '6.12']) {
        const m = machine({ kernel });
        assign(m, { size: 4 * M, ipa: BAR_IPA + M, hva: BAR_HVA + M, backing: m.bar(BAR_PA + M) });
        m.vm.read(BAR_IPA + M + 0x10000);
        m.vm.read(BAR_IPA + 2 * M);
        expect(m.vm.leafAt(BAR_IPA + M + 0x10000)).toMatchObject({ level: 3 });
        expect(m.vm.leafAt(BAR_IPA + 2 * M)).toMatchObject({ level: 2, pa: BAR_PA + 2 * M });
      }
    },
  },
  {
    number: 9,
    given: 'a BAR of 1G aligned to 1G in all three address spaces',
    when: 'the guest reads',
    follows: 'one level-1 block, Normal-NC from 6.9, Device before',
    source: GET_VMA_PAGE_SHIFT,
    measured: '6.1.192 maps pages, 6.12.117 blocks of 2M and never 1G (behaviour 1)',
    check() {
      const leaves = { '5.15': [1, DEVICE_BLOCK], '6.6': [1, DEVICE_BLOCK], '6.9': [1, NC_BLOCK] } as const;
      const measured = { '6.1': [3, DEVICE_PAGE], '6.12': [2, NC_BLOCK] } as const;
      for (const [kernel, [level, bits]] of Object.entries({ ...leaves, ...measured })) {
        const m = machine({ kernel });
        assign(m, { size: G });
        m.vm.read(BAR_IPA + 0x1234_5000);
        expect(m.vm.leafAt(BAR_IPA + 0x1234_5000), kernel).toMatchObject({ level, bits });
      }
    },
  },
  {
    number: 10,
    given: 'the BAR of 1G on a host with 64K pages, then with 16K pages',
    when: 'the guest reads both halves',
    follows: 'blocks of 512M, two for the BAR; blocks of 32M',
    source: GET_VMA_PAGE_SHIFT,
    measured: '6.12.117 with 16K pages: blocks of 32M',
    check() {
      for (const [pageSize, block] of [
        [65536, 512 * M],
        [16384, 32 * M],
      ] as const) {
        for (const kernel of ['6.9', '6.12']) {
          const m = machine({ kernel, pageSize });
          assign(m, { size: G });
          m.vm.read(BAR_IPA);
          m.vm.read(BAR_IPA + block);
          const leaves = [0, block].map((offset) => ({ ipa: BAR_IPA + offset, level: 2 }));
          expect(m.vm.leaves()).toEqual(leaves);
        }
      }
    },
  },
  {
    number: 11,
    given: 'a BAR of 256 bytes that shares its page',
    when: 'the VMM maps it, and the guest loads 4 bytes',
    follows: 'VFIO refuses the mmap, there is no slot, and the load is a KVM_EXIT_MMIO',
    source: 'vfio_pci_probe_mmaps(), io_mem_abort()',
    check() {
      const m = machine();
      expect(m.vm.call({ kind: 'mmap-refused', errno: 22 })).toBe(22);
      expect(m.vm.read(BAR_IPA + 0xf00, { size: 4 })).toMatchObject({
        kind: 'mmio-exited',
        because: 'no-slot',
      });
    },
  },
  {
    number: 12,
    given: 'a BAR of 256 bytes alone in its page',
    when: 'the guest reads at +0x800',
    follows: 'the whole page is mapped: the guest reaches bytes behind the BAR',
    source: 'vfio_pci_probe_mmaps()',
    check() {
      const m = machine();
      assign(m, { size: 4 * K });
      expect(m.vm.read(BAR_IPA + 0x800)).toMatchObject({ kind: 'access-completed' });
      expect(m.vm.leafAt(BAR_IPA)).toMatchObject({ level: 3, bits: NC_PAGE });
    },
  },
  {
    number: 13,
    given: 'a BAR of 4K at a PA that is not aligned to the 64K pages of the host',
    when: 'the VMM maps it, and the guest stores',
    follows: 'no mmap, hence an MMIO exit',
    source: 'vfio_pci_probe_mmaps()',
    check() {
      const m = machine({ pageSize: 65536 });
      expect(m.vm.call({ kind: 'mmap-refused', errno: 22 })).toBe(22);
      const exit = { type: 'mmio-exited', gpa: BAR_IPA + 0x1008, size: 4, write: true };
      expect(m.vm.write(BAR_IPA + 0x1008, { size: 4 }).end).toMatchObject(exit);
    },
  },
  {
    number: 14,
    given: 'a BAR of 16K whose MSI-X table, in the third page, is left out of the slots',
    when: 'the guest reads +0x2004, then +0x3000',
    follows: 'an MMIO exit, then a Normal-NC page',
    source: 'vfio_msix_table of VMMs; kvm_handle_guest_abort()',
    check() {
      const m = machine();
      m.vm.mmap(BAR_HVA, 16 * K, m.bar());
      m.vm.slot(0, { ipa: BAR_IPA, size: 8 * K, hva: BAR_HVA });
      m.vm.slot(1, { ipa: BAR_IPA + 12 * K, size: 4 * K, hva: BAR_HVA + 12 * K });
      expect(m.vm.read(BAR_IPA + 0x2004, { size: 4 }).kind).toBe('mmio-exited');
      expect(m.vm.read(BAR_IPA + 0x3000).kind).toBe('access-completed');
      expect(m.vm.leafAt(BAR_IPA + 0x3000)).toMatchObject({ pa: BAR_PA + 12 * K, bits: NC_PAGE });
    },
  },
  {
    number: 15,
    given: 'a BAR of 4M, aligned, with such a hole at its third page',
    when: 'the guest reads +0, +0x3000 and +0x200000',
    follows: 'pages beside the hole, a block for the second 2M',
    source: GET_VMA_PAGE_SHIFT,
    check() {
      const m = machine();
      m.vm.mmap(BAR_HVA, 4 * M, m.bar());
      m.vm.slot(0, { ipa: BAR_IPA, size: 8 * K, hva: BAR_HVA });
      m.vm.slot(1, { ipa: BAR_IPA + 12 * K, size: 4 * M - 12 * K, hva: BAR_HVA + 12 * K });
      for (const offset of [0, 0x3000, 2 * M]) m.vm.read(BAR_IPA + offset);
      expect(m.vm.leafAt(BAR_IPA)).toMatchObject({ level: 3, sizeBecause: 'block-leaves-slot' });
      expect(m.vm.leafAt(BAR_IPA + 0x3000)).toMatchObject({ level: 3, sizeBecause: 'block-leaves-slot' });
      expect(m.vm.leafAt(BAR_IPA + 2 * M)).toMatchObject({ level: 2, bits: NC_BLOCK });
    },
  },
];
