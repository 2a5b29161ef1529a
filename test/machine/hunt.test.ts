import type { Scenario } from 'stagetwo';
import { hunt, runScenario, scenario, shrink, vfioPci, writeCombining } from 'stagetwo';
import { describe, expect, it } from 'vitest';
import frameBuffer from '../../scenarios/cookbook/frame-buffer.ts';
import gicvIar from '../../scenarios/cookbook/gicv-iar.ts';
import readToClear from '../../scenarios/cookbook/read-to-clear.ts';
import { attempt } from '../../src/machine/hunt.ts';
import { twice } from '../helpers/twice.ts';

const NORMAL_NC = { vary: { gicv: 'normal-nc' } } as const;

describe('GICV, were it mapped Normal-NC', () => {
  it('loses an interrupt: the hunt finds the read of GICV_IAR that no load asked for', () => {
    const { broken } = hunt(gicvIar, NORMAL_NC);
    expect(broken).not.toBeNull();
    if (broken === null) return;
    const { departures, attempt: shrunk } = shrink(gicvIar, NORMAL_NC, broken);

    expect(departures.map((it) => it.kind === 'choice' && it.what)).toEqual(['speculative-read']);
    expect(shrunk.run.events).toContainEqual(
      expect.objectContaining({ type: 'device-read', register: 'GICV_IAR', value: 5n }),
    );
    expect(shrunk.run.expectations.filter(({ ok }) => !ok)).toMatchObject([{ actual: '[0, 1023]' }]);
  });

  it('does not where processors are typical: who only tests that sees nothing', () => {
    expect(runScenario(gicvIar, NORMAL_NC).ok).toBe(true);
  });

  it('as Device it cannot: there is one behaviour, under every way to choose', () => {
    expect(hunt(gicvIar)).toMatchObject({ broken: null, isExhaustive: true, runs: 1 });
  });
});

describe('a frame buffer behind vfio-pci', () => {
  it.each(['6.1', '6.12'])('is safe under %s', (kernel) => {
    const { broken, isExhaustive } = hunt(frameBuffer, { kernel, runs: 300 });
    expect(broken).toBeNull();
    // Device-nGnRE leaves no choice; Normal-NC more than a test can run.
    expect(isExhaustive).toBe(kernel === '6.1');
  });
});

describe('a finding', () => {
  const { broken } = hunt(gicvIar, NORMAL_NC);
  const found = broken === null ? null : shrink(gicvIar, NORMAL_NC, broken);

  it('is repeated by its script, event by event', () => {
    expect(found).not.toBeNull();
    if (found === null) return;
    const again = attempt(gicvIar, NORMAL_NC, found.script);
    expect(again.isBroken).toBe(true);
    expect(again.run.events).toEqual(found.attempt.run.events);
  });

  it('ends with its last departure', () => {
    expect(found?.script.choices.at(-1)).not.toBe(0);
    expect(found?.script.schedule).toEqual([]);
  });

  it('drawn by a seed comes down to what matters', () => {
    const seeds = Array.from({ length: 200 }, (_, seed) => seed);
    const draw = twice(
      (seed: number) => attempt(gicvIar, NORMAL_NC, { choices: [], schedule: [] }, seed),
      ({ run, decisions }) => [...run.events, ...decisions, run.schedule],
    );
    const drawn = seeds
      .map((seed) => draw(seed))
      .find(
        ({ isBroken, decisions }) => isBroken && decisions.filter(({ chosen }) => chosen !== 0).length > 2,
      );
    expect(drawn).toBeDefined();
    if (drawn === undefined) return;
    const { departures } = shrink(gicvIar, NORMAL_NC, drawn);
    expect(departures).toHaveLength(1);
  });
});

describe('a small space', () => {
  const one = (what: 'load' | 'store'): Scenario =>
    scenario(`one ${what}`, ({ host, expect: wanted }) => {
      const gpu = host.plug(vfioPci('gpu', { bars: [{ size: '4K', prefetchable: true }] }));
      const vm = host.vm('guest', { ram: '1M' });
      const bar = vm.assign(gpu.bar(0), { at: 0x1000_0000 });
      vm.vcpu(0).run(function* (cpu) {
        yield* cpu[what](cpu.ioremap(bar, writeCombining).at(0), { size: 4 });
      });
      wanted.always(() => vm.survived());
    });

  it.each([
    // A speculative read before it: one of 16 words, this line, the next, or none.
    // The load reads 4, 16 or 64 bytes, once or twice.
    ['load', 19 * 3 * 2],
    // The store leaves at once, or with the end of the program.
    ['store', 19 * 2],
  ] as const)('of one %s is run whole, each behaviour once', (what, behaviours) => {
    const hunted = hunt(one(what), { kernel: '6.12', runs: 4000 });
    expect(hunted).toMatchObject({ isExhaustive: true, broken: null, runs: behaviours });
  });

  it('of a store to Device memory that nobody else can see is one behaviour', () => {
    expect(hunt(one('store'), { kernel: '6.1' })).toMatchObject({ isExhaustive: true, runs: 1 });
  });
});

describe('a driver without dma_rmb()', () => {
  const ring = (isOrdered: boolean): Scenario =>
    scenario('a descriptor and its owner bit', ({ host, expect: wanted }) => {
      const nic = host.plug(vfioPci('nic', { bars: [{ size: '4K', prefetchable: true }] }));
      const vm = host.vm('guest', { ram: '1M' });
      const bar = vm.assign(nic.bar(0), { at: 0x1000_0000 });
      const written = host.signal('descriptor written');
      vm.vcpu(0).run(function* (cpu) {
        const wc = cpu.ioremap(bar, writeCombining);
        yield* cpu.load(wc.at(0x40), { size: 4 });
        yield* cpu.await(written);
        if (isOrdered) yield* cpu.dmb();
        yield* cpu.load(wc.at(0x80), { size: 4 });
      });
      vm.vcpu(1).run(function* (cpu) {
        yield* cpu.store(cpu.ioremap(bar, writeCombining).at(0x80), { size: 4, value: 7n });
        yield* cpu.dsb();
        yield* cpu.raise(written);
      });
      wanted.always(() => vm.vcpu(0).loaded([0n, 7n]));
    });
  const settings = { kernel: '6.12', runs: 1500 } as const;

  it('reads what the processor had read before: two departures from the typical run', () => {
    const { broken } = hunt(ring(false), settings);
    expect(broken).not.toBeNull();
    if (broken === null) return;
    const { departures } = shrink(ring(false), settings, broken);
    expect(departures.map((it) => it.kind === 'choice' && it.what).sort()).toContain('earlier-read');
  });

  it('with the barrier is not found to', () => {
    expect(hunt(ring(true), { ...settings, runs: 300 }).broken).toBeNull();
  });
});

describe('interleavings', () => {
  const race = scenario('two vCPUs count in one register', ({ host, expect: wanted }) => {
    const device = host.plug(vfioPci('device', { bars: [{ size: '4K' }] }));
    const vm = host.vm('guest', { ram: '1M' });
    const bar = vm.assign(device.bar(0), { at: 0x1000_0000 });
    for (const index of [0, 1]) {
      vm.vcpu(index).run(function* (cpu) {
        const counter = cpu.physical(bar).at(0);
        const { value } = yield* cpu.load(counter, { size: 4 });
        yield* cpu.store(counter, { size: 4, value: (value ?? 0n) + 1n });
        if (index === 1) yield* cpu.load(counter, { size: 4 });
      });
    }
    wanted.always(() => vm.vcpu(1).loaded([1n, 2n]));
  });

  it('are searched, too: a lost update is one change of turns away', () => {
    const { broken } = hunt(race, { kernel: '6.1' });
    expect(broken).not.toBeNull();
    if (broken === null) return;
    const { departures, script } = shrink(race, { kernel: '6.1' }, broken);
    expect(departures.map(({ kind }) => kind)).toEqual(['turn']);
    expect(attempt(race, { kernel: '6.1' }, script).isBroken).toBe(true);
  });
});

describe('the budget', () => {
  it('is kept, and what was not searched is said', () => {
    const hunted = hunt(readToClear, { kernel: '6.12', runs: 20, seed: 5 });
    expect(hunted.runs).toBeLessThanOrEqual(20);
    expect(hunted.isExhaustive).toBe(false);
  });

  it('the same seed gives the same hunt', () => {
    const [a, b] = [1, 2].map(() => hunt(frameBuffer, { kernel: '6.12', runs: 30, seed: 9 }));
    expect(a).toEqual(b);
  });
});
