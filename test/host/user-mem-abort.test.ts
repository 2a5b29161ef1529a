// What user_mem_abort() decides before the map call: size and reason of the leaf, whether the entry is locked, and
// the faults that begin no map call at all.

import { describe, expect, it } from 'vitest';
import type { AccessKind } from '../../src/arch/access.ts';
import type { Hva, Ipa } from '../../src/arch/addresses.ts';
import type { FaultStatus } from '../../src/arch/fault-status.ts';
import { decideHost } from '../../src/host/decide.ts';
import type { MapInFlight, VmState } from '../../src/host/state.ts';
import type { TestMachine } from '../helpers/host.ts';
import {
  accessOf,
  anon,
  BAR_HVA,
  BAR_PA,
  G,
  hugetlb,
  K,
  M,
  machine,
  RAM_HVA,
  RAM_IPA,
} from '../helpers/host.ts';
import { assign, BAR_IPA } from './cases/case.ts';

const PAGE = 4 * K;
const RAM = { ipa: RAM_IPA, hva: RAM_HVA } as const;
const TRANSLATION: FaultStatus = { kind: 'translation', level: 3 };

/** The decision about one fault in the VM, which may have been changed first. */
function decided(
  m: TestMachine,
  kind: AccessKind,
  ipa: number,
  status = TRANSLATION,
  changed: Partial<VmState> = {},
) {
  const { host } = m.simulation.state;
  if (host === null) throw new Error('booted');
  const esr = kind === 'write' ? 0x92000047 : 0x92000007;
  const fault = { ipa: (ipa - (ipa % PAGE)) as Ipa, far: ipa, esr, status };
  const access = accessOf(0, kind, ipa);
  const state = { ...m.vm.state(), ...changed };
  return decideHost(host, state, { type: 'stage2-faulted', vm: 0, vcpu: 0, access, fault });
}

function begun(...given: Parameters<typeof decided>) {
  const last = decided(...given).at(-1);
  if (last?.type !== 'stage2-map-begun') throw new Error('a map call begins');
  return last;
}

describe('a page lookup that sends a notifier itself', () => {
  it('begins no map call: mmu_invalidate_seq has moved since it was read', () => {
    const m = machine({ kernel: '6.12' });
    assign(m, { ...RAM, size: 4 * M, backing: anon() });
    m.vm.read(RAM_IPA);
    const events = decided(m, 'write', RAM_IPA, { kind: 'permission', level: 3 });
    expect(events.map(({ type }) => type).slice(-2)).toEqual(['fault-retried', 'guest-reentered']);
    expect(events.at(-1)).toMatchObject({ because: 'mmu-invalidate-seq-changed' });
    expect(events.filter(({ type }) => type === 'stage2-map-begun')).toEqual([]);
  });
});

describe('the reason of a leaf', () => {
  it('is RAM, of no size worth a word, for a page that the host maps as a page', () => {
    const m = machine();
    assign(m, { ...RAM, size: 4 * M, backing: anon() });
    m.vm.write(RAM_IPA);
    expect(m.vm.leafAt(RAM_IPA)).toMatchObject({ level: 3, because: 'ram', sizeBecause: null });
  });

  it('says where the host has no block: a BAR of pages, a hugetlb page of contiguous PTEs', () => {
    const bar = machine({ kernel: '6.12', features: { vfioHugeFault: false } });
    assign(bar, { size: 4 * M });
    bar.vm.read(BAR_IPA);
    expect(bar.vm.leafAt(BAR_IPA)).toMatchObject({ level: 3, sizeBecause: 'host-maps-pages' });
    const contiguous = machine();
    assign(contiguous, { ...RAM, size: M, backing: hugetlb(64 * K) });
    contiguous.vm.write(RAM_IPA);
    expect(contiguous.vm.leafAt(RAM_IPA)).toMatchObject({ level: 3, sizeBecause: 'host-maps-pages' });
  });

  it('is the leaf that stands there for a permission fault of a block', () => {
    const m = machine({ cpu: { dic: false } });
    assign(m, { ...RAM, size: 4 * M, backing: anon('hugepage') });
    m.vm.hostWrite(RAM_HVA, 4 * M);
    m.vm.read(RAM_IPA);
    const { plan } = begun(m, 'fetch', RAM_IPA + M, { kind: 'permission', level: 2 });
    expect(plan).toMatchObject({ kind: 'relax', level: 2, ipa: RAM_IPA + M });
    expect(plan.sizeBecause).toBe('permission-fault-granule');
  });
});

describe('a block of device memory', () => {
  it('is no larger than a PMD with 16K pages, however large the BAR', () => {
    const m = machine({ kernel: '6.13', pageSize: 16384, ipaBits: 44 });
    assign(m, { size: 64 * G });
    m.vm.read(BAR_IPA);
    expect(m.vm.leafAt(BAR_IPA)).toMatchObject({ level: 2, sizeBecause: 'host-maps-block' });
  });

  it('needs its window to begin inside the VMA, even where the slot reaches further', () => {
    const m = machine({ kernel: '6.13' });
    m.vm.mmap(BAR_HVA, M, anon());
    m.vm.mmap(BAR_HVA + M, 7 * M, m.bar(BAR_PA + M));
    m.vm.slot(0, { ipa: BAR_IPA, size: 8 * M, hva: BAR_HVA });
    m.vm.read(BAR_IPA + M);
    expect(m.vm.leafAt(BAR_IPA + M)).toMatchObject({ level: 3, sizeBecause: 'vma-pfn-not-congruent' });
    m.vm.read(BAR_IPA + 2 * M);
    expect(m.vm.leafAt(BAR_IPA + 2 * M)).toMatchObject({ level: 2 });
  });
});

describe('a VM with memory tagging', () => {
  const tagged = () => {
    const m = machine({ capabilities: { KVM_CAP_ARM_MTE: 0 } });
    assign(m, { ...RAM, size: 4 * M, backing: anon() });
    return m;
  };

  it('may take device memory that comes under a slot later: tags are a matter of RAM', () => {
    const m = tagged();
    m.vm.mmap(RAM_HVA, 4 * M, m.bar());
    expect(m.vm.read(RAM_IPA).kind).toBe('access-completed');
    expect(m.vm.leafAt(RAM_IPA)).toMatchObject({ because: 'vma-allows-any-uncached' });
  });

  it('is not asked for tags again by a permission fault, which finds the page mapped', () => {
    const m = tagged();
    m.vm.mmap(RAM_HVA, 4 * M, hugetlb(2 * M));
    m.vm.hostWrite(RAM_HVA, 4 * M);
    expect(decided(m, 'write', RAM_IPA).at(-1)).toMatchObject({ because: 'mte-without-vm-mte-allowed' });
    expect(begun(m, 'write', RAM_IPA, { kind: 'permission', level: 2 }).plan).toMatchObject({
      kind: 'relax',
    });
  });
});

describe('the entry of a map call under parallel faults', () => {
  const withPages = (kernel = '6.12') => {
    const m = machine({ kernel });
    assign(m, { ...RAM, size: 4 * M, backing: anon() });
    m.vm.hostWrite(RAM_HVA, 4 * M);
    return m;
  };
  const other = (ipa: number, locks = true): MapInFlight => ({ vcpu: 1, ipa, size: PAGE, locks });
  const locks = (...inFlight: readonly MapInFlight[]) =>
    begun(withPages(), 'write', RAM_IPA + PAGE, TRANSLATION, { inFlight }).locks;

  it('is locked where it is absent, from 6.2 on', () => {
    expect(begun(withPages(), 'write', RAM_IPA).locks).toBe(true);
    expect(begun(withPages('6.1'), 'write', RAM_IPA).locks).toBe(false);
  });

  it('is not where a leaf stands, or where the leaf to relax is gone', () => {
    const m = withPages();
    m.vm.write(RAM_IPA);
    expect(begun(m, 'write', RAM_IPA).locks).toBe(false);
    const gone = begun(m, 'write', RAM_IPA + PAGE, { kind: 'permission', level: 3 });
    expect(gone).toMatchObject({ locks: false, plan: { kind: 'relax' } });
  });

  it('is not where another vCPU holds it; what holds a neighbour or holds nothing is no matter', () => {
    expect(locks(other(RAM_IPA + PAGE))).toBe(false);
    expect(locks(other(RAM_IPA), other(RAM_IPA + PAGE))).toBe(false);
    expect(locks(other(RAM_IPA))).toBe(true);
    expect(locks(other(RAM_IPA + 2 * PAGE))).toBe(true);
    expect(locks(other(RAM_IPA + PAGE, false))).toBe(true);
  });
});

describe('a memory error in hugetlb', () => {
  const signal = (slotIpa: number) => {
    const m = machine({ kernel: '6.12' });
    assign(m, { ipa: slotIpa, hva: RAM_HVA, size: G, backing: hugetlb(2 * M) });
    m.vm.write(slotIpa);
    m.vm.call({ kind: 'madvise', hva: RAM_HVA as Hva, size: 2 * M, advice: 'hwpoison', reclaim: [] });
    return m.vm.read(slotIpa).events.find(({ type }) => type === 'sigbus-sent');
  };

  it('is signalled with the size that the leaf would have had: no more than the page, less off its grid', () => {
    expect(signal(G)).toMatchObject({ lsb: 21 });
    expect(signal(G + PAGE)).toMatchObject({ lsb: 12 });
  });
});

describe('a fault in guest_memfd', () => {
  const withGmem = () => {
    const m = machine({ kernel: '6.19', cpu: { dic: false } });
    const at = { ipa: RAM_IPA as Ipa, size: 4 * M, hva: RAM_HVA as Hva };
    m.vm.call({ kind: 'set-memslot', slot: 0, ...at, readonly: false, logDirty: false, guestMemfd: true });
    return m;
  };

  it('maps a page, and widens the page there is after a permission fault', () => {
    const m = withGmem();
    const page = { ipa: RAM_IPA + PAGE, level: 3, because: 'guest-memfd', dirty: null };
    expect(begun(m, 'write', RAM_IPA + PAGE + 8).plan).toMatchObject({ ...page, kind: 'map' });
    m.vm.write(RAM_IPA + PAGE);
    const { plan } = begun(m, 'fetch', RAM_IPA + PAGE, { kind: 'permission', level: 3 });
    expect(plan).toMatchObject({ ...page, kind: 'relax', attributes: { write: true, xn: 0 } });
  });

  it('of a page with a memory error ends KVM_RUN with EHWPOISON: no process has it mapped', () => {
    const m = withGmem();
    const { memory } = m.vm.state();
    const poisoned = { memory: memory.withLeaf(RAM_HVA + PAGE, 3, { kind: 'poisoned' }) };
    const [event, ...others] = decided(m, 'read', RAM_IPA + PAGE + 8, TRANSLATION, poisoned);
    expect(event).toMatchObject({ type: 'run-failed', errno: 133, log: null, because: 'hwpoison' });
    expect(others).toEqual([]);
  });
});
