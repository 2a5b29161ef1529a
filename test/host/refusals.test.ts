// Pages that the host cannot give: memory errors, and memslots of guest_memfd; and blocks of 1G that are split eagerly.

import { describe, expect, it } from 'vitest';
import type { Hva, Ipa } from '../../src/arch/addresses.ts';
import type { TestMachine } from '../helpers/host.ts';
import { anon, G, hugetlb, K, M, machine, RAM_HVA, RAM_IPA } from '../helpers/host.ts';
import { assign } from './cases/case.ts';

const RAM = { ipa: RAM_IPA, hva: RAM_HVA, size: 4 * M } as const;

const poison = (m: TestMachine, hva: number, size: number): number =>
  m.vm.call({ kind: 'madvise', hva: hva as Hva, size, advice: 'hwpoison', reclaim: [] });

describe('a page with a memory error', () => {
  it('sends SIGBUS to the vCPU thread, with the size of the page, and KVM_RUN ends with EINTR', () => {
    const m = machine({ kernel: '6.12' });
    assign(m, { ...RAM, backing: anon() });
    m.vm.write(RAM_IPA + 8 * K);
    expect(poison(m, RAM_HVA + 8 * K, 4 * K)).toBe(0);
    expect(m.vm.leafAt(RAM_IPA + 8 * K)).toBeUndefined();

    const { events, ...died } = m.vm.read(RAM_IPA + 8 * K + 0x10);

    expect(died).toMatchObject({ kind: 'run-failed', errno: 4, because: 'hwpoison' });
    const signal = { type: 'sigbus-sent', hva: RAM_HVA + 8 * K, lsb: 12 };
    expect(events.find(({ type }) => type === 'sigbus-sent')).toMatchObject(signal);
    expect(m.vm.read(RAM_IPA).kind).toBe('access-completed');
  });

  it('splits a transparent huge page first: its neighbours come back as pages', () => {
    const m = machine({ kernel: '6.12' });
    assign(m, { ...RAM, backing: anon('hugepage') });
    m.vm.hostWrite(RAM_HVA, 4 * M);
    m.vm.read(RAM_IPA);
    const from = m.log.length;
    poison(m, RAM_HVA + 8 * K, 4 * K);
    expect(m.vm.notifiers(from)).toEqual([
      [RAM_HVA, RAM_HVA + 2 * M],
      [RAM_HVA + 8 * K, RAM_HVA + 12 * K],
    ]);
    m.vm.read(RAM_IPA);
    expect(m.vm.leafAt(RAM_IPA)).toMatchObject({ level: 3 });
  });

  it('costs a whole hugetlb page, and si_addr_lsb says so unless logging forces pages', () => {
    for (const [logDirty, lsb] of [
      [false, 21],
      [true, 12],
    ] as const) {
      const m = machine({ kernel: '6.12' });
      m.vm.mmap(RAM_HVA, 4 * M, hugetlb(2 * M));
      m.vm.slot(0, RAM, { logDirty });
      poison(m, RAM_HVA, 2 * M);
      const { events } = m.vm.read(RAM_IPA + M);
      expect(events.find(({ type }) => type === 'sigbus-sent')).toMatchObject({ lsb });
      expect(m.vm.read(RAM_IPA + 2 * M).kind).toBe('access-completed');
    }
  });
});

const gmemSlot = (
  m: TestMachine,
  more: { readonly readonly?: boolean; readonly logDirty?: boolean } = {},
) => {
  const { readonly = false, logDirty = false } = more;
  const at = { ipa: RAM_IPA as Ipa, size: 4 * M, hva: RAM_HVA as Hva };
  return m.vm.call({ kind: 'set-memslot', slot: 0, ...at, readonly, logDirty, guestMemfd: true });
};

describe('a memslot of guest_memfd', () => {
  it('is refused before 6.18, and read-only or logging under any kernel', () => {
    expect(gmemSlot(machine({ kernel: '6.17' }))).toBe(22);
    expect(gmemSlot(machine({ kernel: '6.19' }), { readonly: true })).toBe(22);
    expect(gmemSlot(machine({ kernel: '6.19' }), { logDirty: true })).toBe(22);
  });

  it('maps one writable page a fault, and cannot be changed, only deleted', () => {
    const m = machine({ kernel: '6.19', cpu: { dic: false } });
    expect(gmemSlot(m)).toBe(0);
    expect(m.vm.read(RAM_IPA + 0x1234).kind).toBe('access-completed');
    expect(m.vm.leafAt(RAM_IPA + 4 * K)).toMatchObject({ bits: '400000000007db', because: 'guest-memfd' });
    expect(m.vm.leaves()).toHaveLength(1);
    expect(m.vm.fetch(RAM_IPA + 4 * K)).toMatchObject({ kind: 'access-completed' });
    expect(m.vm.slot(0, RAM)).toBe(22);
    expect(m.vm.deleteSlot(0)).toBe(0);
    expect(m.vm.leaves()).toEqual([]);
  });
});

describe('eager splitting of a 1G block', () => {
  const EAGER = 'KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE';
  const cleared = (chunk: number) => {
    const m = machine({ kernel: '6.12' });
    m.vm.enable(EAGER, chunk);
    m.vm.enable('KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2', 3);
    m.vm.mmap(RAM_HVA, G, hugetlb(G));
    const at = { ipa: 2 * G, hva: RAM_HVA, size: G };
    m.vm.slot(0, at);
    m.vm.write(2 * G);
    expect(m.vm.leaves()).toEqual([{ ipa: 2 * G, level: 1 }]);
    m.vm.slot(0, at, { logDirty: true });
    m.vm.clearDirtyLog(0, 0, 64);
    return m;
  };

  it('makes blocks of 2M, and pages only where the log was cleared, if a chunk is 2M', () => {
    const m = cleared(2 * M);
    expect(m.vm.leafAt(2 * G)).toMatchObject({ level: 3, write: false });
    expect(m.vm.leafAt(2 * G + 2 * M)).toMatchObject({ level: 2 });
    expect(m.vm.leaves()).toHaveLength(512 + 511);
  });

  it('makes pages of all of it if a chunk is 1G', () => {
    const m = cleared(G);
    expect(m.vm.leafAt(3 * G - 4 * K)).toMatchObject({ level: 3, write: false });
  });
});
