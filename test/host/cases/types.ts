// Cases 40, 44 to 47 and 56: memory types that the flag, the cacheability of the VMA or an erratum decides.

import { expect } from 'vitest';
import type { Ipa } from '../../../src/arch/addresses.ts';
import { BAR_HVA, G, K, M, machine, NORMAL_NC, pfnmap } from '../../helpers/host.ts';
import type { Case } from './case.ts';
import { assign, BAR_IPA, DEVICE_BLOCK, DEVICE_PAGE } from './case.ts';

/** Memory of a coherent accelerator: a cacheable PFNMAP of what the host does not count as RAM. */
const USEMEM = pfnmap('vfio-pci', undefined, { cacheable: true });

export const TYPES: readonly Case[] = [
  {
    number: 40,
    given: 'a GICv2 guest that maps its CPU interface as Normal-NC',
    when: 'it loads GICC_IAR, under any kernel',
    follows: 'the access is Device: one acknowledge a load, no speculation, no merging',
    source: 'kvm_phys_addr_ioremap(); cover letter of the 6.9 series',
    check() {
      for (const kernel of ['5.15', '6.1', '6.9', '6.12', '7.0']) {
        const m = machine({ kernel, gicv: { pa: 0x0804_0000, size: 0x2000 } });
        m.vm.vgic({ version: 2, gicd: 0x0800_0000 as Ipa, gicc: 0x0801_0000 as Ipa });
        m.vm.run();
        const { end } = m.vm.read(0x0801_000c, { size: 4, attr: NORMAL_NC });
        expect(end).toMatchObject({
          translation: { combined: { type: { type: 'Device', device: 'nGnRE' } } },
        });
      }
    },
  },
  {
    number: 44,
    given: 'a cacheable PFNMAP mapping without the flag (nvgrace usemem)',
    when: 'the guest loads, before 6.17',
    follows: 'Device-nGnRE',
    source: 'user_mem_abort(), nvgrace_gpu_mmap()',
    check() {
      for (const kernel of ['6.9', '6.13']) {
        const m = machine({ kernel });
        assign(m, { size: 2 * M, backing: USEMEM });
        m.vm.read(BAR_IPA);
        const leaf = { bits: DEVICE_BLOCK, because: 'device-pfn-without-flag' };
        expect(m.vm.leafAt(BAR_IPA)).toMatchObject(leaf);
      }
    },
  },
  {
    number: 45,
    given: 'the same mapping under 6.17, with FWB and DIC',
    when: 'the guest loads, and fetches',
    follows: 'Normal, readable, writable, executable',
    source: 'merge c535d132a30f',
    check() {
      const m = machine({ kernel: '6.17' });
      expect(assign(m, { size: G, backing: USEMEM })).toBe(0);
      m.vm.read(BAR_IPA);
      expect(m.vm.leafAt(BAR_IPA)).toMatchObject({ bits: '7d9', because: 'cacheable-pfnmap' });
      expect(m.vm.fetch(BAR_IPA)).toMatchObject({ kind: 'access-completed', faults: [] });
    },
  },
  {
    number: 46,
    given: 'the same mapping under 6.17 without FWB, or without DIC',
    when: 'the VMM makes a slot of it; or puts it under a slot later',
    follows: 'EINVAL; KVM_RUN fails with EFAULT',
    source: 'merge c535d132a30f, KVM_CAP_ARM_CACHEABLE_PFNMAP_SUPPORTED',
    check() {
      for (const cpu of [{ fwb: false }, { dic: false }]) {
        const m = machine({ kernel: '6.17', cpu });
        expect(assign(m, { size: 2 * M, backing: USEMEM })).toBe(22);
        expect(assign(m, { size: 2 * M })).toBe(0);
        m.vm.mmap(BAR_HVA, 2 * M, USEMEM);
        const failed = { kind: 'run-failed', errno: 14, because: 'cacheable-pfnmap-refused' };
        expect(m.vm.read(BAR_IPA)).toMatchObject(failed);
      }
    },
  },
  {
    number: 47,
    given: 'a write-combining PFNMAP mapping without the flag (nvgrace resmem)',
    when: 'the guest loads as Normal-NC, from 6.9 to 6.17',
    follows: 'Device-nGnRE: its write combining is lost',
    source: 'nvgrace_gpu_mmap() sets no VM_ALLOW_ANY_UNCACHED',
    check() {
      for (const kernel of ['6.9', '6.12', '6.17']) {
        const m = machine({ kernel });
        assign(m, { size: 16 * K, backing: pfnmap('vfio-pci') });
        const { end } = m.vm.read(BAR_IPA, { attr: NORMAL_NC });
        expect(end).toMatchObject({
          translation: { combined: { type: { type: 'Device', device: 'nGnRE' } } },
        });
        expect(m.vm.leafAt(BAR_IPA)?.bits).toBe(DEVICE_PAGE);
      }
    },
  },
  {
    number: 56,
    given: 'a kernel with the Normal-NC to nGnRE erratum workaround',
    when: 'the guest loads from a BAR',
    follows: 'Device-nGnRE, though the VMA carries the flag',
    source: 'CONFIG_ARM64_WORKAROUND_NC_TO_NGNRE',
    check() {
      for (const kernel of ['6.9', '6.12']) {
        const m = machine({ kernel, features: { erratumNcToNgnre: true } });
        assign(m, { size: 16 * K });
        m.vm.read(BAR_IPA);
        expect(m.vm.leafAt(BAR_IPA)).toMatchObject({ bits: DEVICE_PAGE, because: 'erratum-nc-to-ngnre' });
      }
    },
  },
];
