// Cases 22, 25 to 27, 36 to 39 and 41 to 43: what the host changes under a running guest, GICV and two VMs.

import { expect } from 'vitest';
import type { Ipa } from '../../../src/arch/addresses.ts';
import { decideHost } from '../../../src/host/decide.ts';
import type { FaultInput } from '../../../src/host/events.ts';
import type { Hold } from '../../../src/machine/simulation.ts';
import {
  accessOf,
  anon,
  BAR_HVA,
  BAR_PA,
  K,
  M,
  machine,
  pfnmap,
  RAM_HVA,
  RAM_IPA,
} from '../../helpers/host.ts';
import type { Case } from './case.ts';
import { assign, BAR_IPA, DEVICE_PAGE, NC_BLOCK, NC_PAGE } from './case.ts';

/** Map calls of all vCPUs wait to be released. */
const holdMaps: Hold = ({ type }) => type === 'stage2-map-begun';

const GICV = { pa: 0x0804_0000, size: 0x2000 } as const;
const VGIC = { version: 2, gicd: 0x0800_0000 as Ipa, gicc: 0x0801_0000 as Ipa } as const;

export const CHANGES: readonly Case[] = [
  {
    number: 22,
    given: 'a mapped slot over a VFIO BAR',
    when: 'the VMM sets KVM_MEM_LOG_DIRTY_PAGES',
    follows: 'EINVAL, the leaves stay',
    source: 'kvm_arch_prepare_memory_region(); measured behaviour 8',
    check() {
      const m = machine();
      assign(m, { size: 16 * K });
      m.vm.read(BAR_IPA);
      const at = { ipa: BAR_IPA, size: 16 * K, hva: BAR_HVA };
      expect(m.vm.slot(0, at, { logDirty: true })).toBe(22);
      expect(m.vm.leafAt(BAR_IPA)).toMatchObject({ bits: NC_PAGE, write: true });
    },
  },
  {
    number: 25,
    given: 'a fault on a BAR that has looked its page up and not yet mapped it',
    when: 'memory decoding goes off; the map call goes on; decoding stays off, or comes back',
    follows: '-EAGAIN and nothing mapped; the retry fails with EFAULT, or maps',
    source: 'mmu_invalidate_retry()',
    check() {
      for (const back of [false, true]) {
        const m = machine({ hold: holdMaps });
        assign(m, { size: 16 * K });
        const from = m.vm.issue('read', BAR_IPA);
        m.pciCommand(0);
        if (back) m.pciCommand(2);
        m.vm.release();
        const retried = m.log.slice(from).find(({ type }) => type === 'fault-retried');
        expect(retried).toMatchObject({ because: 'mmu-invalidate-seq-changed' });
        expect(m.vm.leaves()).toEqual([]);
        m.vm.release();
        expect(m.vm.outcomeSince(from, 0)).toMatchObject({
          kind: back ? 'access-completed' : 'run-failed',
          faults: [0x05, 0x05],
        });
        expect(m.vm.leaves()).toHaveLength(back ? 1 : 0);
      }
    },
  },
  {
    number: 26,
    given: 'a BAR mapped as a block of 2M',
    when: 'VFIO resets the device, then enables it',
    follows: 'the block is gone, and the next access faults it in again',
    source: 'vfio_pci_zap_and_down_write_memory_lock()',
    check() {
      for (const kernel of ['6.9', '6.12']) {
        const m = machine({ kernel });
        assign(m, { size: 2 * M });
        m.vm.read(BAR_IPA);
        m.pciCommand(0);
        expect(m.vm.leaves()).toEqual([]);
        m.pciCommand(2);
        expect(m.vm.read(BAR_IPA + M).faults).toEqual([0x05]);
        expect(m.vm.leafAt(BAR_IPA)).toMatchObject({ level: 2, bits: NC_BLOCK });
      }
    },
  },
  {
    number: 27,
    given: 'a block of 2M',
    when: 'a notifier covers 4K inside it',
    follows: 'the whole block is dropped',
    source: 'stage2_unmap_walker()',
    check() {
      const m = machine();
      assign(m, { ipa: RAM_IPA, hva: RAM_HVA, size: 4 * M, backing: anon('hugepage') });
      m.vm.hostWrite(RAM_HVA, 4 * M);
      m.vm.read(RAM_IPA);
      const from = m.log.length;
      m.vm.pageout(RAM_HVA + 0x5000, 4 * K);
      expect(m.vm.notifiers(from)).toEqual([[RAM_HVA + 0x5000, RAM_HVA + 0x6000]]);
      expect(m.vm.leaves()).toEqual([]);
    },
  },
  {
    number: 36,
    given: 'a Device leaf whose VMA carries the flag now, without a notifier in between',
    when: 'the guest takes a permission fault of the same granule; then the VMM maps anew, as a kernel would',
    follows: 'relaxing keeps Device; after the notifier the translation fault maps Normal-NC',
    source: 'kvm_pgtable_stage2_relax_perms()',
    check() {
      const m = machine();
      assign(m, { size: 4 * K, backing: pfnmap('vfio-pci') });
      m.vm.read(BAR_IPA);
      const { host } = m.simulation.state;
      const { table, vmas, ...rest } = m.vm.state();
      const { leaf } = table.walk(BAR_IPA);
      if (host === null || leaf === undefined) throw new Error('the BAR is mapped');
      const readOnly = { ...leaf, attributes: { ...leaf.attributes, write: false } };
      const flagged = vmas.map((vma) => ({ ...vma, backing: m.bar() }));
      const state = { ...rest, table: table.withLeaf(BAR_IPA, 3, readOnly), vmas: flagged };
      const access = accessOf(0, 'write', BAR_IPA);
      const status = { kind: 'permission', level: 3 } as const;
      const fault = { ipa: BAR_IPA as Ipa, far: BAR_IPA, esr: 0x9200004f, status };
      const input: FaultInput = { type: 'stage2-faulted', vm: 0, vcpu: 0, access, fault };
      const begun = decideHost(host, state, input).at(-1);
      if (begun?.type !== 'stage2-map-begun') throw new Error('a map call begins');
      const [relaxed] = decideHost(host, state, begun);
      const attributes = { memAttr: 1, write: true };
      expect(relaxed).toMatchObject({ type: 'stage2-relaxed', attributes });

      m.vm.mmap(BAR_HVA, 4 * K, m.bar());
      expect(m.vm.leaves()).toEqual([]);
      m.vm.write(BAR_IPA);
      expect(m.vm.leafAt(BAR_IPA)?.bits).toBe(NC_PAGE);
    },
  },
  {
    number: 37,
    given: 'a PFNMAP mapping that the host maps read-only',
    when: 'the guest loads, then stores',
    follows: 'a read-only leaf; the store makes KVM_RUN fail with EFAULT',
    source: 'hva_to_pfn_remapped(), KVM_PFN_ERR_RO_FAULT; measured rule 32',
    check() {
      for (const kernel of ['6.1', '6.9', '6.12']) {
        const m = machine({ kernel });
        assign(m, { size: 4 * K });
        m.vm.mprotect(BAR_HVA, 4 * K, 'read');
        m.vm.read(BAR_IPA);
        expect(m.vm.leafAt(BAR_IPA)).toMatchObject({ write: false });
        const failed = { kind: 'run-failed', errno: 14, because: 'vma-protection' };
        expect(m.vm.write(BAR_IPA)).toMatchObject(failed);
      }
    },
  },
  {
    number: 38,
    given: 'two vCPUs that fault on the same BAR page at the same time',
    when: 'both map calls end',
    follows: 'one maps, the other gets -EAGAIN and runs again; one leaf',
    source: 'stage2_map_walker_try_leaf(); measured rules 12, 16 and 27',
    measured: 'on 6.1.192 the call is atomic, and finds the same leaf there',
    check() {
      for (const kernel of ['6.1', '6.9', '6.12']) {
        const m = machine({ kernel, hold: holdMaps });
        assign(m, { size: 4 * K });
        const first = m.vm.issue('read', BAR_IPA, { vcpu: 0 });
        const second = m.vm.issue('read', BAR_IPA, { vcpu: 1 });
        m.vm.release(0);
        m.vm.release(1);
        expect(m.vm.outcomeSince(first, 0)).toMatchObject({ kind: 'access-completed', faults: [0x05] });
        expect(m.vm.outcomeSince(second, 1)).toMatchObject({ kind: 'access-completed', faults: [0x05] });
        const retries = m.log.flatMap((event) => (event.type === 'fault-retried' ? [event] : []));
        expect(retries).toMatchObject([{ vcpu: 1, because: 'already-mapped' }]);
        expect(m.vm.leaves()).toHaveLength(1);
      }
    },
  },
  {
    number: 39,
    given: 'a GICv2 guest',
    when: 'its first vCPU runs',
    follows: 'both GICV pages are mapped Device-nGnRE, without a slot; from 6.19 only the first',
    source: 'kvm_vgic_map_resources(), kvm_phys_addr_ioremap(), 2608563b466b; measured',
    check() {
      for (const [kernel, pages] of [
        ['6.1', 2],
        ['6.9', 2],
        ['6.12', 2],
        ['6.19', 1],
      ] as const) {
        const m = machine({ kernel, gicv: GICV });
        m.vm.vgic(VGIC);
        expect(m.vm.leaves()).toEqual([]);
        m.vm.run();
        expect(m.vm.leaves()).toHaveLength(pages);
        const leaf = { level: 3, pa: GICV.pa, bits: DEVICE_PAGE, because: 'gicv-is-a-shared-peripheral' };
        expect(m.vm.leafAt(VGIC.gicc)).toMatchObject(leaf);
        expect(m.vm.state().slots).toEqual([]);
      }
    },
  },
  {
    number: 41,
    given: 'a host with 64K pages whose GICV is aligned to 4K only',
    when: 'the guest loads GICC_IAR as a word, then 8 bytes',
    follows:
      'nothing is mapped: the hypervisor performs the word; the other access is skipped with an SError',
    source: 'vgic_v2_probe(), vgic_v2_cpuif_trap, __vgic_v2_perform_cpuif_access()',
    check() {
      const m = machine({ pageSize: 65536, gicv: { pa: 0x0804_1000, size: 0x2000 } });
      m.vm.vgic(VGIC);
      m.vm.run();
      const word = { kind: 'gicv-trapped', because: 'gicv-not-page-aligned' };
      expect(m.vm.read(VGIC.gicc + 0xc, { size: 4 })).toMatchObject(word);
      const serror = { kind: 'serror-injected', because: 'gicv-trap-is-32-bit' };
      expect(m.vm.read(VGIC.gicc + 0x8, { size: 8 })).toMatchObject(serror);
      expect(m.vm.read(VGIC.gicc + 0xe, { size: 4 })).toMatchObject(serror);
      expect(m.vm.read(VGIC.gicc + 0xc, { size: 4, noSyndrome: true })).toMatchObject({ errno: 38 });
      expect(m.vm.leaves()).toEqual([]);
    },
  },
  {
    number: 42,
    given: 'GICV and a BAR, both mapped',
    when: 'VFIO zaps the BAR, and its slot is deleted',
    follows: 'GICV stays',
    source: 'kvm_phys_addr_ioremap()',
    check() {
      const m = machine({ gicv: GICV });
      m.vm.vgic(VGIC);
      m.vm.run();
      assign(m, { size: 16 * K });
      m.vm.read(BAR_IPA);
      const before = m.vm.leafAt(VGIC.gicc);
      m.pciCommand(0);
      m.vm.deleteSlot(0);
      expect(m.vm.leaves()).toHaveLength(2);
      expect(m.vm.leafAt(VGIC.gicc)).toEqual(before);
    },
  },
  {
    number: 43,
    given: 'two VMs, each with its own device at the same guest address',
    when: 'both access it, and the first device is zapped',
    follows: 'each had its own leaf; the second VM keeps its own',
    source: 'kvm_mmu_notifier_ops; measured with two VMs',
    check() {
      const m = machine({ vms: 2 });
      const [first, second] = m.vms;
      if (first === undefined || second === undefined) throw new Error('two VMs');
      assign(m, { size: 16 * K }, first);
      assign(m, { size: 16 * K, backing: m.bar(BAR_PA + M, '0000:02:00.0') }, second);
      first.read(BAR_IPA);
      second.read(BAR_IPA);
      expect(first.leafAt(BAR_IPA)?.pa).toBe(BAR_PA);
      expect(second.leafAt(BAR_IPA)?.pa).toBe(BAR_PA + M);
      m.pciCommand(0);
      expect(first.leaves()).toEqual([]);
      expect(second.leaves()).toHaveLength(1);
    },
  },
];
