import { describe, expect, it } from 'vitest';
import type { Ipa, Pa } from '../../src/arch/addresses.ts';
import { decideHost } from '../../src/host/decide.ts';
import type { MapPlan } from '../../src/host/events.ts';
import { leafAttributes } from '../../src/host/leaf.ts';
import type { MachineOptions } from '../helpers/host.ts';
import { anon, K, M, machine, RAM_HVA, RAM_IPA } from '../helpers/host.ts';

const PAGE = 4 * K;

/** Map calls of all vCPUs wait between their begin and their end. */
function held(options: MachineOptions) {
  const m = machine({ ...options, hold: ({ type }) => type === 'stage2-map-begun' });
  m.vm.mmap(RAM_HVA, 4 * M, anon('hugepage'));
  m.vm.slot(0, { ipa: RAM_IPA, size: 4 * M, hva: RAM_HVA });
  m.vm.hostWrite(RAM_HVA, 4 * M);
  const retries = () => m.log.flatMap((event) => (event.type === 'fault-retried' ? [event.because] : []));
  return { ...m, retries };
}

describe('two vCPUs that fault on one page at the same time', () => {
  it('on 6.12: the first locks the entry, and until it ends the other gets -EAGAIN (rules 12, 27)', () => {
    const { vm, retries } = held({ kernel: '6.12' });
    const first = vm.issue('write', RAM_IPA, { vcpu: 0 });
    const second = vm.issue('write', RAM_IPA, { vcpu: 1 });

    for (let times = 0; times < 3; times++) vm.release(1);
    expect(retries()).toEqual(['entry-locked', 'entry-locked', 'entry-locked']);
    expect(vm.leaves()).toEqual([]);

    vm.release(0);
    vm.release(1);
    expect(vm.outcomeSince(first, 0)).toMatchObject({ kind: 'access-completed', faults: [0x05] });
    const faults = [0x05, 0x05, 0x05, 0x05];
    expect(vm.outcomeSince(second, 1)).toMatchObject({ kind: 'access-completed', faults });
    expect(retries().at(-1)).toBe('already-mapped');
  });

  it('on 6.1 the call is atomic: whoever ends first maps, the other finds the same leaf', () => {
    const { vm, retries } = held({ kernel: '6.1' });
    vm.issue('write', RAM_IPA, { vcpu: 0 });
    vm.issue('write', RAM_IPA, { vcpu: 1 });
    vm.release(1);
    expect(vm.leaves()).toEqual([{ ipa: RAM_IPA, level: 2 }]);
    vm.release(0);
    expect(retries()).toEqual(['already-mapped']);
  });

  it('finds the same leaf only if address, type and access flag are equal, whatever the permissions', () => {
    const { vm, retries } = held({ kernel: '6.1', thp: 'never', cpu: { hardwareAccessFlag: true } });
    vm.issue('write', RAM_IPA, { vcpu: 0 });
    vm.issue('write', RAM_IPA, { vcpu: 1 });
    vm.release(0);
    vm.pageout(RAM_HVA, PAGE, 'age');
    vm.release(1);
    expect(retries()).toEqual([]);
  });

  it('on different pages do not meet', () => {
    const { vm, retries } = held({ kernel: '6.12', thp: 'never' });
    vm.issue('write', RAM_IPA, { vcpu: 0 });
    vm.issue('write', RAM_IPA + PAGE, { vcpu: 1 });
    vm.release(1);
    vm.release(0);
    expect(retries()).toEqual([]);
    expect(vm.leaves()).toHaveLength(2);
  });
});

describe('a notifier while a fault is handled', () => {
  it('that hits a slot makes it run again; one that hits none does not (mmu_invalidate_seq)', () => {
    for (const hits of [true, false]) {
      const { vm, retries } = held({ kernel: '6.12' });
      vm.issue('write', RAM_IPA);
      if (hits) vm.dontneed(RAM_HVA + 2 * M, PAGE);
      else vm.munmap(RAM_HVA + 8 * M, PAGE);
      vm.release();
      expect(retries()).toEqual(hits ? ['mmu-invalidate-seq-changed'] : []);
    }
  });
});

describe('kvm_pgtable_stage2_relax_perms()', () => {
  const plan: MapPlan = {
    kind: 'relax',
    ipa: RAM_IPA as Ipa,
    level: 3,
    pa: 0 as Pa,
    attributes: leafAttributes(true, { write: true, exec: false, type: 'normal' }),
    mmuSeq: 0,
    dirty: null,
    because: 'ram',
    sizeBecause: null,
  };

  it('of an entry that is gone changes nothing, and the guest runs again', () => {
    const m = machine();
    const { host } = m.simulation.state;
    if (host === null) throw new Error('booted');
    const event = { type: 'stage2-map-begun', vm: 0, vcpu: 0, plan, locks: false } as const;
    const events = decideHost(host, m.vm.state(), event);
    expect(events.map(({ type }) => type)).toEqual(['fault-retried', 'guest-reentered']);
    expect(events[0]).toMatchObject({ because: 'entry-gone' });
  });

  it('invalidates on the local processor from 6.5 on, on all before', () => {
    for (const [kernel, tlbi] of [
      ['6.1', 'IPAS2E1IS'],
      ['6.6', 'IPAS2E1'],
    ] as const) {
      const m = machine({ kernel, cpu: { dic: false } });
      m.vm.mmap(RAM_HVA, 4 * M, anon());
      m.vm.slot(0, { ipa: RAM_IPA, size: 4 * M, hva: RAM_HVA });
      m.vm.write(RAM_IPA);
      m.vm.fetch(RAM_IPA);
      expect(m.log.find(({ type }) => type === 'stage2-relaxed')).toMatchObject({ tlbi });
    }
  });
});

describe('an event that the host has no part in', () => {
  it('is answered with nothing', () => {
    const m = machine();
    const { host } = m.simulation.state;
    if (host === null) throw new Error('booted');
    const state = m.vm.state();
    expect(decideHost(host, state, { type: 'vgic-resources-mapped', vm: 0 })).toEqual([]);
  });
});
