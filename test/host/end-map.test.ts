// The end of a map call held against what the table holds by then: another vCPU, a notifier or an earlier kernel of
// the VM put it there (kvm_pgtable_stage2_map(), kvm_pgtable_stage2_relax_perms()).

import { describe, expect, it } from 'vitest';
import type { Ipa, Pa } from '../../src/arch/addresses.ts';
import type { LeafAttributes } from '../../src/arch/descriptor.ts';
import type { Level } from '../../src/arch/geometry.ts';
import { decideHost } from '../../src/host/decide.ts';
import type { MapPlan } from '../../src/host/events.ts';
import { leafAttributes } from '../../src/host/leaf.ts';
import type { MapInFlight } from '../../src/host/state.ts';
import { anon, K, M, machine, RAM_HVA, RAM_IPA } from '../helpers/host.ts';

const PAGE = 4 * K;
const RAM_PA = 0x4_0000_0000;
const READ_WRITE = leafAttributes(true, { write: true, exec: true, type: 'normal' });
const READ_ONLY_XN = leafAttributes(true, { write: false, exec: false, type: 'normal' });

interface Found {
  readonly level?: Level;
  readonly pa?: number;
  readonly attributes?: Partial<LeafAttributes>;
}

/** What the end of `plan` decides where `found` stands and other vCPUs have map calls under way. */
function ended(plan: Partial<MapPlan>, found: Found | null, inFlight: readonly MapInFlight[] = []) {
  const m = machine({ kernel: '6.12' });
  const { host } = m.simulation.state;
  if (host === null) throw new Error('booted');
  const state = m.vm.state();
  const whole: MapPlan = {
    kind: 'map',
    ipa: RAM_IPA as Ipa,
    level: 3,
    pa: RAM_PA as Pa,
    attributes: READ_WRITE,
    mmuSeq: state.mmuSeq,
    dirty: null,
    because: 'ram',
    sizeBecause: null,
    ...plan,
  };
  const leaf = found && {
    outputAddress: (found.pa ?? RAM_PA) as Pa,
    attributes: { ...READ_WRITE, ...found.attributes },
  };
  const table = leaf === null ? state.table : state.table.withLeaf(RAM_IPA, found?.level ?? 3, leaf);
  const begun = { type: 'stage2-map-begun', vm: 0, vcpu: 0, plan: whole, locks: false } as const;
  return decideHost(host, { ...state, table, inFlight }, begun);
}

const story = (events: ReturnType<typeof ended>) =>
  events.map((event) => ('because' in event ? `${event.type}: ${event.because}` : event.type));
const MAPPED = ['stage2-mapped: ram', 'guest-reentered: mapped'];
const RETRIED = (because: string) => [`fault-retried: ${because}`, `guest-reentered: ${because}`];

describe('a map call that ends where a leaf stands', () => {
  it('of the same address, type, shareability and access flag gets -EAGAIN, whatever the permissions', () => {
    expect(story(ended({}, {}))).toEqual(RETRIED('already-mapped'));
    expect(story(ended({}, { attributes: { write: false, xn: 2 } }))).toEqual(RETRIED('already-mapped'));
  });

  it.each([
    ['of another address', { pa: RAM_PA + PAGE }],
    ['of another type', { attributes: { memAttr: 0b0101 } }],
    ['of another shareability', { attributes: { sh: 0 } }],
    ['without its access flag', { attributes: { af: false } }],
  ] as const)('%s breaks it before it makes its own', (_, found) => {
    const events = ended({}, found);
    expect(story(events)).toEqual(['stage2-broken: leaf-replaced', ...MAPPED]);
    const broken = { ipa: RAM_IPA, level: 3, size: PAGE, tlbi: 'IPAS2E1IS' };
    expect(events[0]).toMatchObject(broken);
  });

  it('of a block breaks the whole block for one page of it', () => {
    const events = ended({ ipa: (RAM_IPA + 5 * PAGE) as Ipa }, { level: 2 });
    expect(story(events)).toEqual(['stage2-broken: block-replaced-by-table', ...MAPPED]);
    expect(events[0]).toMatchObject({ ipa: RAM_IPA, level: 2, size: 2 * M });
  });

  it('of none just maps', () => {
    expect(story(ended({}, null))).toEqual(MAPPED);
  });
});

describe('a map call of another vCPU', () => {
  const other = (ipa: number, size = PAGE, more: Partial<MapInFlight> = {}): MapInFlight => ({
    vcpu: 1,
    ipa,
    size,
    locks: true,
    ...more,
  });

  it('is in the way if it holds an entry of the range, and not if it holds a neighbour', () => {
    const locked = RETRIED('entry-locked');
    expect(story(ended({}, null, [other(RAM_IPA)]))).toEqual(locked);
    expect(story(ended({}, null, [other(RAM_IPA, 2 * M)]))).toEqual(locked);
    expect(story(ended({ level: 2 }, null, [other(RAM_IPA + 2 * M - PAGE)]))).toEqual(locked);
    expect(story(ended({}, null, [other(RAM_IPA + PAGE)]))).toEqual(MAPPED);
    expect(story(ended({}, null, [other(RAM_IPA - PAGE)]))).toEqual(MAPPED);
    expect(story(ended({}, null, [other(RAM_IPA + PAGE), other(RAM_IPA)]))).toEqual(locked);
  });

  it('locks an absent entry alone: a table that a block will replace is there, whichever pages it holds', () => {
    const m = machine({ kernel: '6.12', hold: ({ type }) => type === 'stage2-map-begun' });
    const at = { ipa: RAM_IPA, size: 2 * M, hva: RAM_HVA };
    m.vm.mmap(RAM_HVA, 2 * M, anon('hugepage'));
    m.vm.hostWrite(RAM_HVA, 2 * M);
    m.vm.slot(0, at, { logDirty: true });
    m.vm.issue('write', RAM_IPA + PAGE);
    while (m.vm.release());
    m.vm.slot(0, at);
    m.vm.issue('write', RAM_IPA + 2 * PAGE);
    const begun = m.log.flatMap((event) =>
      event.type === 'stage2-map-begun' ? [[event.plan.level, event.locks]] : [],
    );
    expect(begun).toEqual([
      [3, true],
      [2, false],
    ]);
  });

  it('that locks nothing, or the own one, is not in the way', () => {
    expect(story(ended({}, null, [other(RAM_IPA, PAGE, { locks: false })]))).toEqual(MAPPED);
    expect(story(ended({}, null, [other(RAM_IPA, PAGE, { vcpu: 0 })]))).toEqual(MAPPED);
  });
});

describe('relaxing', () => {
  const relaxed = (before: Partial<LeafAttributes>, added: Partial<LeafAttributes>) => {
    const [event] = ended(
      { kind: 'relax', attributes: { ...READ_ONLY_XN, ...added } },
      { attributes: before },
    );
    if (event?.type !== 'stage2-relaxed') throw new Error('the leaf is relaxed');
    return event.attributes;
  };

  it('ors S2AP bits in and clears XN; what was permitted stays permitted', () => {
    const denied = { read: false, write: false, xn: 2 } as const;
    expect(relaxed(denied, denied)).toMatchObject(denied);
    expect(relaxed(denied, { read: true })).toMatchObject({ read: true, write: false, xn: 2 });
    expect(relaxed(denied, { read: false, write: true })).toMatchObject({ read: false, write: true, xn: 2 });
    expect(relaxed(denied, { read: false, xn: 0 })).toMatchObject({ read: false, write: false, xn: 0 });
    const all = { read: true, write: true, xn: 0 } as const;
    expect(relaxed(all, denied)).toMatchObject(all);
  });

  it('keeps MemAttr, SH and the access flag of the leaf, and the guest runs on', () => {
    const found = { memAttr: 0b0001, sh: 2, af: false } as const;
    expect(relaxed(found, { write: true })).toEqual({ ...READ_WRITE, ...found });
    const events = ended({ kind: 'relax' }, { attributes: { write: false } });
    expect(story(events)).toEqual(['stage2-relaxed', 'guest-reentered: permission-relaxed']);
  });
});
