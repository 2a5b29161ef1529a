import { describe, expect, it } from 'vitest';
import { recordedRun, seqsOf } from './recorded.ts';

const typesOf = (chain: readonly { readonly event: { readonly type: string } }[]): string[] =>
  chain.map(({ event }) => event.type);

describe('why', () => {
  it('names the fault behind a leaf, with the rule that gave it its type', () => {
    const { timeline } = recordedRun('6.12');

    const lastMapped = seqsOf(timeline, 'stage2-mapped').at(-1);
    const first = timeline.why('guest.stage2[0x10001000].memAttr', lastMapped);
    expect(typesOf(first.chain)).toEqual([
      'stage2-mapped',
      'stage2-map-begun',
      'stage2-faulted',
      'access-issued',
    ]);
    expect(first.chain[0]?.because).toContain('vma-allows-any-uncached');
    expect(first.changed).toMatchObject({ before: null, after: 0b0101 });
    expect(first.chain.at(-1)?.event.cause).toBeNull();
  });

  it('tells what killed a VM', () => {
    const { timeline } = recordedRun('6.1');

    const { value, chain } = timeline.why('guest.dead');

    expect(value).toBe(14);
    expect(typesOf(chain)).toEqual(['run-failed', 'stage2-faulted', 'access-issued']);
    expect(chain[0]?.because).toEqual(['unsupported-fsc']);
    expect(timeline.why('vm0.dead', 5)).toMatchObject({ value: null, changed: null, chain: [] });
  });

  it('knows registers by their name', () => {
    const { timeline } = recordedRun('6.12');

    const { value, chain } = timeline.why('nic.BAR0.CTRL');

    expect(value).toBe(7n);
    expect(chain[0]?.event).toMatchObject({ type: 'device-written', register: 'CTRL' });
    expect(typesOf(chain).at(-1)).toBe('barrier-executed');
    expect(timeline.why('nic.BAR0.CTRL', 20).value).toBe(3n);
  });

  it.each([
    'vm0',
    'vms',
    'devices[0]',
    'host',
    'vcpu0',
    'vm0.vcpu0.attempts',
    'vm0.slots[0].size',
    'vm0.table.leafCount',
  ])('finds the same change of %s with few keyframes as the differences of all states show', (path) => {
    const { timeline } = recordedRun('6.12', 'plain', { keyframeEvery: 16 });
    const { changed } = timeline.why(path);
    const field = { vm0: /^vms/, vms: /^vms/, 'devices[0]': /^devices\[0\]/, host: /^host/, vcpu0: /^vcpus/ }[
      path
    ];
    if (field === undefined) {
      expect(changed).not.toBeNull();
      return;
    }
    let last = -1;
    for (let seq = 0; seq < timeline.length; seq += 1) {
      if (timeline.diff(seq - 1, seq).some((it) => field.test(it.path))) last = seq;
    }
    expect(changed?.seq).toBe(last);
  });

  it.each([
    ['nobody.dead', /the machine has no 'nobody'; it has .*vm0.*nic/],
    ['vm0.stage1', /vm0 has no 'stage1'; it has stage2, dead/],
    ['nic.BAR0.NONE', /nic\.BAR0 has no 'NONE'; it has CTRL/],
    ['vm0.', /no path/],
    ['', /no path/],
    ['[3]', /no path/],
    ['constructor', /the machine has no/],
    ['vm0.__proto__', /vm0 has no/],
  ])('refuses %j', (path, message) => {
    const { timeline } = recordedRun('6.12');
    expect(() => timeline.why(path)).toThrow(RangeError);
    expect(() => timeline.why(path)).toThrow(message);
  });
});
