import { describe, expect, it } from 'vitest';
import type { Hva, Ipa } from '../../src/arch/addresses.ts';
import type { Memslot } from '../../src/host/memslot.ts';
import { slotAt, slotRangesOfHva, supportsStage2Block } from '../../src/host/memslot.ts';
import { anon, BAR_HVA, G, K, M, machine, RAM_HVA, RAM_IPA } from '../helpers/host.ts';

const slot = (number: number, ipa: number, size: number, hva = RAM_HVA): Memslot => ({
  slot: number,
  ipa: ipa as Ipa,
  size,
  hva: hva as Hva,
  readonly: false,
  dirty: null,
});

describe('the memslot of an IPA', () => {
  const slots = [slot(3, 0x1000, 0x2000), slot(1, 0x3000, 0x1000), slot(2, 0x8000, 0x4000)];

  it('reaches from its first byte to its last, and no further', () => {
    expect(slotAt(slots, 0xfff)).toBeUndefined();
    expect(slotAt(slots, 0x1000)?.slot).toBe(3);
    expect(slotAt(slots, 0x2fff)?.slot).toBe(3);
    expect(slotAt(slots, 0x3000)?.slot).toBe(1);
    expect(slotAt(slots, 0x3fff)?.slot).toBe(1);
    expect(slotAt(slots, 0x4000)).toBeUndefined();
    expect(slotAt(slots, 0xbfff)?.slot).toBe(2);
    expect(slotAt(slots, 0xc000)).toBeUndefined();
    expect(slotAt([], 0)).toBeUndefined();
  });
});

describe('the slots of an hva range', () => {
  it('are all that alias it, each cut to the part it shows', () => {
    const slots = [slot(0, 0x10_0000, 0x4000), slot(1, 0x20_0000, 0x4000, RAM_HVA + 0x2000)];
    expect(slotRangesOfHva(slots, RAM_HVA + 0x1000, RAM_HVA + 0x3000)).toEqual([
      { slot: 0, ipa: 0x10_1000, size: 0x2000 },
      { slot: 1, ipa: 0x20_0000, size: 0x1000 },
    ]);
    expect(slotRangesOfHva(slots, RAM_HVA + 0x6000, RAM_HVA + 0x7000)).toEqual([]);
  });
});

describe('a block at stage 2', () => {
  it('needs IPA and hva congruent, and its window inside the slot', () => {
    const at = (offset: number) => (RAM_HVA + offset) as Hva;
    expect(supportsStage2Block(slot(0, 2 * M, 4 * M), at(3 * M), 2 * M)).toBe(true);
    expect(supportsStage2Block(slot(0, 2 * M, 3 * M), at(2 * M), 2 * M)).toBe(false);
    expect(supportsStage2Block(slot(0, M, 4 * M), at(2 * M), 2 * M)).toBe(false);
    expect(supportsStage2Block(slot(0, 3 * M, 4 * M, RAM_HVA + M), at(M), 2 * M)).toBe(false);
    expect(supportsStage2Block(slot(0, 3 * M, 4 * M, RAM_HVA + M), at(2 * M), 2 * M)).toBe(true);
  });
});

const EINVAL = 22;
const AT = { ipa: RAM_IPA, size: 4 * M, hva: RAM_HVA } as const;

function withSlot() {
  const m = machine();
  m.vm.mmap(RAM_HVA, 8 * M, anon());
  m.vm.slot(0, AT);
  m.vm.write(RAM_IPA);
  return m;
}

describe('KVM_SET_USER_MEMORY_REGION', () => {
  it('refuses what is not made of whole pages: EINVAL', () => {
    const { vm } = machine({ pageSize: 16384 });
    for (const at of [
      { ...AT, ipa: RAM_IPA + 4 * K },
      { ...AT, hva: RAM_HVA + 4 * K },
      { ...AT, size: 4 * K },
    ]) {
      expect(vm.slot(0, at)).toBe(EINVAL);
    }
    expect(vm.state().slots).toEqual([]);
  });

  it('refuses an overlap with EEXIST, the end of the IPA space with EFAULT, deleting nothing with EINVAL', () => {
    const { vm } = withSlot();
    expect(vm.slot(1, { ...AT, ipa: RAM_IPA + 2 * M })).toBe(17);
    expect(vm.slot(1, { ...AT, ipa: 2 ** 40 - 2 * M })).toBe(14);
    expect(vm.slot(1, { ...AT, ipa: 2 ** 40 - 4 * M })).toBe(0);
    expect(vm.deleteSlot(7)).toBe(EINVAL);
    expect(vm.state().slots.map(({ slot: number }) => number)).toEqual([0, 1]);
  });

  it('changes neither the memory nor KVM_MEM_READONLY of a live slot (measured rule 11)', () => {
    const { vm } = withSlot();
    expect(vm.slot(0, AT, { readonly: true })).toBe(EINVAL);
    expect(vm.slot(0, { ...AT, hva: RAM_HVA + 4 * K })).toBe(EINVAL);
    expect(vm.slot(0, { ...AT, size: 2 * M })).toBe(EINVAL);
    expect(vm.leafAt(RAM_IPA)).toBeDefined();
  });

  it('given again as it is does nothing, whatever the VMAs have become', () => {
    const { vm, bar, log } = withSlot();
    vm.slot(0, AT, { logDirty: true });
    vm.mmap(RAM_HVA, 4 * M, bar());
    const from = log.length;
    expect(vm.slot(0, AT, { logDirty: true })).toBe(0);
    expect(log.slice(from).map(({ type }) => type)).toEqual(['vmm-called', 'vmm-call-returned']);
  });

  it('moves a slot: its leaves go, its dirty bitmap comes along', () => {
    const { vm } = withSlot();
    vm.slot(0, AT, { logDirty: true });
    vm.write(RAM_IPA + 3 * 4 * K);
    expect(vm.slot(0, { ...AT, ipa: G }, { logDirty: true })).toBe(0);
    expect(vm.leaves()).toEqual([]);
    expect(vm.read(RAM_IPA).kind).toBe('mmio-exited');
    expect(vm.read(G)).toMatchObject({ kind: 'access-completed' });
    expect(vm.dirtyLog(0)).toEqual([3]);
  });

  it('that refuses a move has emptied the old range, as kvm_invalidate_memslot() comes first', () => {
    const { vm, bar } = withSlot();
    expect(vm.slot(0, { ...AT, ipa: 2 ** 40 - 2 * M })).toBe(14);
    expect(vm.leaves()).toEqual([]);
    expect(vm.state().slots).toMatchObject([{ ipa: RAM_IPA }]);
    expect(vm.write(RAM_IPA).kind).toBe('access-completed');
    vm.mmap(BAR_HVA, 4 * M, bar());
    vm.slot(1, { ...AT, ipa: G, hva: BAR_HVA });
    vm.read(G);
    expect(vm.slot(1, { ...AT, ipa: 3 * G, hva: BAR_HVA }, { logDirty: true })).toBe(EINVAL);
    expect(vm.leafAt(G)).toBeUndefined();
    expect(vm.slot(1, { ...AT, ipa: RAM_IPA + 2 * M, hva: BAR_HVA })).toBe(17);
    expect(vm.leafAt(RAM_IPA)).toBeDefined();
  });

  it('lets faults that found the slot end first: a map call under way leaves no leaf behind', () => {
    for (const change of ['delete', 'move', 'log'] as const) {
      const m = machine({ hold: ({ type }) => type === 'stage2-map-begun' });
      m.vm.mmap(RAM_HVA, 4 * M, anon());
      m.vm.slot(0, AT);
      const from = m.vm.issue('write', RAM_IPA);
      if (change === 'delete') m.vm.deleteSlot(0);
      else if (change === 'move') m.vm.slot(0, { ...AT, ipa: G });
      else m.vm.slot(0, AT, { logDirty: true });
      while (m.vm.release());
      const { kind } = m.vm.outcomeSince(from, 0);
      expect(kind).toBe(change === 'log' ? 'access-completed' : 'mmio-exited');
      expect(m.vm.leaves()).toHaveLength(change === 'log' ? 1 : 0);
      if (change === 'log') expect(m.vm.dirtyLog(0)).toEqual([0]);
    }
  });

  it('looks at the VMAs of this moment only (measured rule 36)', () => {
    const { vm, bar } = machine();
    vm.mmap(RAM_HVA, 4 * M, bar());
    vm.slot(0, AT);
    expect(vm.slot(0, AT, { logDirty: true })).toBe(EINVAL);
    vm.munmap(RAM_HVA, 4 * M);
    expect(vm.slot(0, AT, { logDirty: true })).toBe(0);
    expect(vm.read(RAM_IPA)).toMatchObject({ kind: 'run-failed', errno: 14, because: 'no-vma' });
  });

  it('aliases: each slot has its own leaves, and a notifier takes them all', () => {
    const { vm } = withSlot();
    vm.slot(1, { ...AT, ipa: G });
    vm.write(G);
    expect(vm.leafAt(G)?.pa).toBe(vm.leafAt(RAM_IPA)?.pa);
    vm.dontneed(RAM_HVA, 4 * K);
    expect(vm.leaves()).toEqual([]);
  });
});
