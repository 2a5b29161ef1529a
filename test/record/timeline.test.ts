import type { Timeline } from 'stagetwo';
import { record, runScenario, scenario, vfioPci, writeCombining } from 'stagetwo';
import { describe, expect, it } from 'vitest';
import { PageBitmap } from '../../src/host/page-bitmap.ts';
import { createSimulation } from '../../src/machine/simulation.ts';
import { differences } from '../../src/record/difference.ts';

/** One store into a BAR, recorded. */
function recorded(): Timeline {
  let timeline: Timeline | undefined;
  runScenario(
    scenario('one store', ({ host }) => {
      const nic = host.plug(vfioPci('nic', { bars: [{ size: '64K' }] }));
      const vm = host.vm('guest', { ram: '16M' });
      const bar = vm.assign(nic.bar(0), { at: 0x1000_0000 });
      vm.vcpu(0).run(function* (cpu) {
        yield* cpu.store(cpu.ioremap(bar, writeCombining).at(0), { size: 8, value: 1n });
      });
    }),
    { kernel: '6.12', onSimulation: (simulation) => (timeline = record(simulation)) },
  );
  if (timeline === undefined) throw new Error('the run made no simulation');
  return timeline;
}

const seqOf = (timeline: Timeline, type: string): number => {
  const seqs = Array.from({ length: timeline.length }, (_, seq) => seq);
  return seqs.find((seq) => timeline.event(seq).type === type) ?? -1;
};

describe('a timeline', () => {
  it('tells what one event changed: the leaf that a fault put into the table', () => {
    const timeline = recorded();
    const mapped = seqOf(timeline, 'stage2-mapped');

    const diff = timeline.diff(mapped - 1, mapped);

    const leaf = diff.find(({ path }) => path === 'vms[0].table[0x10000000]');
    expect(leaf?.before).toBeUndefined();
    expect(leaf?.after).toMatchObject({ level: 3, leaf: { attributes: { memAttr: 0b0101 } } });
  });

  it('has one event and one snapshot for each step, and the state before the first', () => {
    const timeline = recorded();

    expect(timeline.snapshotAt(-1).host).toBeNull();
    expect(timeline.event(0).type).toBe('host-booted');
    for (let seq = 0; seq < timeline.length; seq += 1) expect(timeline.event(seq).seq).toBe(seq);
    expect(() => timeline.event(timeline.length)).toThrow(/no event/);
    expect(() => timeline.snapshotAt(-2)).toThrow(RangeError);
  });

  it('shares what did not change between snapshots', () => {
    const timeline = recorded();
    const issued = seqOf(timeline, 'access-issued');

    expect(timeline.snapshotAt(issued).vms).toBe(timeline.snapshotAt(issued - 1).vms);
    expect(timeline.snapshotAt(issued).vcpus).not.toBe(timeline.snapshotAt(issued - 1).vcpus);
    expect(Object.isFrozen(timeline.snapshotAt(issued))).toBe(true);
  });

  it('differs backwards as it does forwards', () => {
    const timeline = recorded();
    const forwards = timeline.diff(0, timeline.length - 1);
    const backwards = timeline.diff(timeline.length - 1, 0);

    expect(backwards.map(({ before, after }) => [after, before])).toEqual(
      forwards.map(({ before, after }) => [before, after]),
    );
    expect(timeline.diff(3, 3)).toEqual([]);
  });

  it('starts before the first event or not at all', () => {
    const simulation = createSimulation();
    simulation.dispatch({ type: 'pci-command-written', device: 'nic', value: 0 });

    expect(() => record(simulation)).toThrow(/1 events have passed/);
  });
});

describe('differences', () => {
  it('names the deepest place, fields before numbers that are new', () => {
    const before = { a: { b: 1, c: [1, 2] }, d: 'x' };
    const after = { a: { b: 1, c: [1, 3, 4] }, d: 'y', e: null };

    expect(differences(before, after)).toEqual([
      { path: 'a.c[1]', before: 2, after: 3 },
      { path: 'a.c[2]', before: undefined, after: 4 },
      { path: 'd', before: 'x', after: 'y' },
      { path: 'e', before: undefined, after: null },
    ]);
  });

  it('compares dirty bitmaps page by page', () => {
    const empty = PageBitmap.empty(512);

    expect(differences({ dirty: empty }, { dirty: empty.with(3, 2) })).toEqual([
      { path: 'dirty[3]', before: false, after: true },
      { path: 'dirty[4]', before: false, after: true },
    ]);
  });
});
