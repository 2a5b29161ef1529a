// Cases 16 to 21, 28, 29, 48 to 54: accesses that end without a leaf, and accesses that the leaf's type decides.

import { expect } from 'vitest';
import type { TestMachine } from '../../helpers/host.ts';
import {
  anon,
  DEVICE_nGnRE,
  G,
  K,
  M,
  machine,
  NORMAL,
  NORMAL_NC,
  RAM_HVA,
  RAM_IPA,
} from '../../helpers/host.ts';
import type { Case } from './case.ts';
import { assign, BAR_IPA, NC_PAGE } from './case.ts';

const ABORT = 'kvm_handle_guest_abort()';
const NOWHERE = 0x1000_0000;

/** EC, IL and FSC of an abort injected into EL1. */
const IABT_EXTERNAL = 0x86000010;
const DABT_EXTERNAL = 0x96000010;

function withBar(kernel = '6.9'): TestMachine {
  const m = machine({ kernel });
  assign(m, { size: 16 * K });
  return m;
}

export const ENDINGS: readonly Case[] = [
  {
    number: 16,
    given: 'a BAR, mapped or not',
    when: 'the guest fetches an instruction from it',
    follows: 'it takes an external instruction abort, KVM re-enters, no leaf changes',
    source: 'user_mem_abort() returns -ENOEXEC; measured on both (behaviour 7)',
    measured: '6.1.192 injects a sign-extended ESR_EL1',
    check() {
      for (const kernel of ['6.1', '6.9', '6.12']) {
        const m = withBar(kernel);
        const abort = { type: 'abort-injected', esr: IABT_EXTERNAL, far: BAR_IPA, because: 'exec-of-device' };
        const signExtended = kernel === '6.1';
        expect(m.vm.fetch(BAR_IPA).end).toMatchObject({ ...abort, signExtended });
        expect(m.vm.leafAt(BAR_IPA)).toBeUndefined();
        m.vm.read(BAR_IPA);
        const before = m.vm.leafAt(BAR_IPA);
        expect(m.vm.fetch(BAR_IPA).end).toMatchObject(abort);
        expect(m.vm.leafAt(BAR_IPA)).toEqual(before);
      }
    },
  },
  {
    number: 17,
    given: 'no slot',
    when: 'the guest fetches an instruction',
    follows: 'it takes an instruction abort; the VMM hears nothing',
    source: ABORT,
    check() {
      const { end } = machine().vm.fetch(NOWHERE);
      expect(end).toMatchObject({
        type: 'abort-injected',
        esr: IABT_EXTERNAL,
        because: 'fetch-without-slot',
      });
    },
  },
  {
    number: 18,
    given: 'a read-only slot, such as flash',
    when: 'the guest stores 4 bytes',
    follows: 'KVM_EXIT_MMIO at the address; the slot stays as it is',
    source: 'io_mem_abort()',
    check() {
      const m = machine();
      assign(m, { size: 64 * K, ipa: RAM_IPA, hva: RAM_HVA, backing: anon(), readonly: true });
      m.vm.hostWrite(RAM_HVA, 64 * K);
      m.vm.read(RAM_IPA);
      expect(m.vm.leafAt(RAM_IPA)).toMatchObject({ write: false });
      const exit = {
        type: 'mmio-exited',
        gpa: RAM_IPA + 0x10,
        size: 4,
        write: true,
        because: 'readonly-slot',
      };
      expect(m.vm.write(RAM_IPA + 0x10, { size: 4 }).end).toMatchObject(exit);
      expect(m.vm.leafAt(RAM_IPA)).toMatchObject({ write: false });
    },
  },
  {
    number: 19,
    given: 'the same read-only slot, without and with KVM_CAP_ARM_NISV_TO_USER',
    when: 'the guest stores a pair of registers',
    follows: 'KVM_RUN fails with ENOSYS; with the capability KVM_EXIT_ARM_NISV',
    source: 'io_mem_abort(); measured on both (behaviour 9)',
    check() {
      const m = machine();
      assign(m, { size: 64 * K, ipa: RAM_IPA, hva: RAM_HVA, backing: anon(), readonly: true });
      expect(m.vm.writePair(RAM_IPA, { size: 16 })).toMatchObject({ kind: 'run-failed', errno: 38 });
      m.vm.enable('KVM_CAP_ARM_NISV_TO_USER');
      expect(m.vm.writePair(RAM_IPA, { size: 16 }).kind).toBe('nisv-exited');
    },
  },
  {
    number: 20,
    given: 'no slot',
    when: 'the guest executes DC CIVAC',
    follows: 'the instruction is skipped without an exit',
    source: ABORT,
    measured: 'the emulated processor of the captures makes DC a no-op, so no kernel was asked',
    check() {
      const { kind, because } = machine().vm.dcCivac(NOWHERE, { size: 64 });
      expect({ kind, because }).toEqual({
        kind: 'instruction-skipped',
        because: 'cache-maintenance-without-slot',
      });
    },
  },
  {
    number: 21,
    given: 'a guest whose page table lies where no slot is',
    when: 'the walk for a load reads it',
    follows: 'a data abort is injected; an instruction abort if the walk is for a fetch',
    source: ABORT,
    check() {
      const { vm } = machine();
      expect(vm.walk(NOWHERE).end).toMatchObject({ esr: DABT_EXTERNAL, because: 'stage1-walk-needs-memory' });
      expect(vm.walk(NOWHERE, 'fetch').end).toMatchObject({ esr: IABT_EXTERNAL });
    },
  },
  {
    number: 28,
    given: 'a mapped slot',
    when: 'the VMM deletes it and the guest loads again',
    follows: 'an MMIO exit, no mapping',
    source: 'kvm_invalidate_memslot()',
    check() {
      const m = withBar();
      m.vm.read(BAR_IPA);
      expect(m.vm.deleteSlot(0)).toBe(0);
      expect(m.vm.leaves()).toEqual([]);
      expect(m.vm.read(BAR_IPA)).toMatchObject({ kind: 'mmio-exited', because: 'no-slot' });
      expect(m.vm.leaves()).toEqual([]);
    },
  },
  {
    number: 29,
    given: 'a BAR whose memory decoding is off, its slot still there',
    when: 'the guest loads',
    follows: 'KVM_RUN fails with EFAULT',
    source: 'vfio_pci_mmap_fault(); measured on both (behaviour 8)',
    check() {
      for (const kernel of ['6.1', '6.9', '6.12']) {
        const m = withBar(kernel);
        m.vm.read(BAR_IPA);
        m.pciCommand(0);
        const failed = { kind: 'run-failed', errno: 14, because: 'device-memory-disabled' };
        expect(m.vm.read(BAR_IPA)).toMatchObject(failed);
      }
    },
  },
  {
    number: 48,
    given: 'stage 1 Normal-NC over stage 2 Device-nGnRE (Linux 6.8)',
    when: 'the guest loads 8 bytes at +1',
    follows: 'the alignment fault goes to EL2: "Unsupported FSC", and KVM_RUN fails with EFAULT',
    source: `${ABORT}; DDI0487 B2.10.2`,
    check() {
      const m = withBar('6.8');
      const died = m.vm.read(BAR_IPA + 1, { attr: NORMAL_NC, noSyndrome: true });
      expect(died).toMatchObject({ kind: 'run-failed', errno: 14, faults: [0x05, 0x21] });
      expect(died.log).toBe('kvm [vm0]: Unsupported FSC: EC=0x24 xFSC=0x21 ESR_EL2=0x92000021');
    },
  },
  {
    number: 49,
    given: 'the same stage 1 over Normal-NC (Linux 6.9)',
    when: 'the guest loads 8 bytes at +1',
    follows: 'it completes, as Normal Non-cacheable',
    source: 'DDI0487 D8.6.6, B2.10.2',
    check() {
      const done = withBar('6.9').vm.read(BAR_IPA + 1, { attr: NORMAL_NC });
      expect(done).toMatchObject({ kind: 'access-completed', end: { translation: { combined: NC_TYPE } } });
    },
  },
  {
    number: 50,
    given: 'stage 1 Device-nGnRE over Normal-NC',
    when: 'the guest loads at an address that is not aligned, then at one that is',
    follows: 'the alignment fault goes to EL1 and KVM hears nothing; the aligned load is Device-nGnRE',
    source: 'DDI0487 D8.6.6, R_XCHFJ',
    check() {
      const m = withBar();
      const fault = m.vm.read(BAR_IPA + 1, { attr: DEVICE_nGnRE });
      expect(fault).toMatchObject({ kind: 'stage1-faulted', because: 'stage1-alignment', faults: [] });
      const done = m.vm.read(BAR_IPA, { attr: DEVICE_nGnRE });
      const type = { type: 'Device', device: 'nGnRE' };
      expect(done.end).toMatchObject({ translation: { combined: { type } } });
    },
  },
  {
    number: 51,
    given: 'a BAR that the guest maps Write-Back, over Normal-NC',
    when: 'the guest loads',
    follows: 'Normal Non-cacheable: never cached',
    source: 'DDI0487 D8.6.6',
    check() {
      const { end } = withBar().vm.read(BAR_IPA, { attr: NORMAL });
      expect(end).toMatchObject({ translation: { combined: NC_TYPE } });
    },
  },
  {
    number: 52,
    given: 'stage 1 Normal-NC over Normal-NC, then over Device-nGnRE',
    when: 'the guest executes DC ZVA',
    follows: 'it completes; it takes the fault of case 48',
    source: 'DDI0487 C6.2 DC ZVA',
    check() {
      expect(withBar('6.9').vm.dcZva(BAR_IPA, { size: 64, attr: NORMAL_NC }).kind).toBe('access-completed');
      const died = withBar('6.8').vm.dcZva(BAR_IPA, { size: 64, attr: NORMAL_NC });
      expect(died).toMatchObject({ kind: 'run-failed', because: 'unsupported-fsc', faults: [0x05, 0x21] });
    },
  },
  {
    number: 53,
    given: 'a VM of 40 bits on a host whose limit is 48',
    when: 'the guest loads at 2^40, then at 2^48',
    follows: 'an external abort with FAR = IPA; beyond the host an address size fault; before 5.18 MMIO',
    source: `${ABORT}, kvm_inject_size_fault(); measured rule 1`,
    measured: 'the fault reports level 0 and leaves no trace event',
    check() {
      const { vm } = machine();
      const external = { type: 'abort-injected', esr: DABT_EXTERNAL, far: 2 ** 40, because: 'ipa-beyond-vm' };
      expect(vm.read(2 ** 40)).toMatchObject({ end: external, faults: [0x04] });
      const size = { esr: DABT_EXTERNAL - 0x10, far: 2 ** 48, because: 'ipa-beyond-host' };
      expect(vm.read(2 ** 48).end).toMatchObject(size);
      expect(vm.fetch(2 ** 40).end).toMatchObject({ esr: IABT_EXTERNAL });
      expect(machine({ kernel: '5.15' }).vm.read(2 ** 40).kind).toBe('mmio-exited');
    },
  },
  {
    number: 54,
    given: 'a memory type that supports no exclusive or atomic access (FSC 0x35)',
    when: 'the fault comes to Linux 6.17, then to 7.0',
    follows: '"Unsupported FSC" and EFAULT; then a data abort with FSC 0x35 for the guest',
    source: 'dea58da4b6fe',
    check() {
      const status = { kind: 'unsupported-exclusive-or-atomic' } as const;
      expect(withBar('6.17').vm.fault(BAR_IPA, status)).toMatchObject({ kind: 'run-failed', errno: 14 });
      const { end } = withBar('7.0').vm.fault(BAR_IPA, status);
      expect(end).toMatchObject({ esr: DABT_EXTERNAL - 0x10 + 0x35, because: 'unsupported-atomic' });
    },
  },
  {
    number: 62,
    given: 'a BAR page that a load faulted in',
    when: 'the guest stores to it',
    follows: 'no second fault: the host page table lets KVM map it writable at once',
    source: 'hva_to_pfn_remapped()',
    check() {
      const m = withBar();
      m.vm.read(BAR_IPA);
      expect(m.vm.leafAt(BAR_IPA)).toMatchObject({ write: true, bits: NC_PAGE });
      expect(m.vm.write(BAR_IPA).faults).toEqual([]);
    },
  },
  {
    number: 64,
    given: 'host memory that no slot uses',
    when: 'the VMM unmaps it',
    follows: 'the notifier is traced and changes nothing',
    source: '__kvm_handle_hva_range()',
    check() {
      const m = withBar();
      m.vm.read(BAR_IPA);
      m.vm.mmap(G, 2 * M, anon());
      const { mmuSeq, table } = m.vm.state();
      const from = m.log.length;
      m.vm.munmap(G, 2 * M);
      expect(m.vm.notifiers(from)).toEqual([[G, G + 2 * M]]);
      expect(m.vm.state()).toMatchObject({ mmuSeq });
      expect(m.vm.state().table).toBe(table);
    },
  },
];

/** Normal, Inner and Outer Non-cacheable. */
const NC_TYPE = { type: { type: 'Normal', inner: { policy: 'NC' }, outer: { policy: 'NC' } } };
