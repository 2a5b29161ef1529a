// What other states and resets of PCI functions come to for guests: D1 and D2 without a zap, hot resets of a whole bus,
// and an expansion ROM that is read through its region.

import type { ScenarioRun } from 'stagetwo';
import { deviceNGnRE, kernelsFrom, runScenario, scenario, vfioPci } from 'stagetwo';
import { describe, expect, it } from 'vitest';

const AT = 0x1000_0000;
const ECAM = 0x3f00_0000;
const PMCSR = 0x44;
const COUNT = [{ name: 'COUNT', offset: 0 }] as const;
const ALL_ONES = 0xffff_ffffn;

const loads = (run: ScenarioRun, vm = 0) =>
  run.vms[vm]?.vcpus[0]?.accesses.filter(({ kind }) => kind === 'read').map(({ value }) => value);
const zaps = (run: ScenarioRun) =>
  run.events.flatMap((event) => (event.type === 'notifier-invalidated' ? [event.because] : []));

describe('a guest that puts a function to D1', () => {
  const story = scenario('D1', ({ host, expect: expected }) => {
    const card = host.plug(vfioPci('card', { d1: true, bars: [{ size: '4K', registers: COUNT }] }));
    const vm = host.vm('guest', { ram: '16M' });
    const bar = vm.assign(card.bar(0), { at: AT });
    const config = vm.config(card, { at: ECAM });
    vm.vcpu(0).run(function* (cpu) {
      const [registers, pm] = [cpu.ioremap(bar, deviceNGnRE), cpu.ioremap(config, deviceNGnRE)];
      yield* cpu.store(registers.at(0), { size: 4, value: 7n });
      yield* cpu.store(pm.at(PMCSR), { size: 2, value: 1n });
      yield* cpu.load(registers.at(0), { size: 4 });
      yield* cpu.store(pm.at(PMCSR), { size: 2, value: 0n });
      yield* cpu.load(registers.at(0), { size: 4 });
    });
    expected.always(() => vm.survived());
  });

  it.each(['5.15', ...kernelsFrom('6.1')])(
    'keeps its mapping, and finds nobody behind it: vfio-pci zaps from D3hot on (%s)',
    (kernel) => {
      const run = runScenario(story, { kernel });
      expect(run.ok).toBe(true);
      expect(zaps(run)).toEqual([]);
      expect(loads(run)).toEqual([ALL_ONES, 7n]);
    },
  );
});

describe('VFIO_DEVICE_PCI_HOT_RESET', () => {
  const story = (owns: 'all' | 'one', sleeps = false) =>
    scenario('a bus is reset', ({ host, expect: expected }) => {
      const bars = [{ size: '4K', registers: COUNT }] as const;
      const plugged = ['gpu', 'audio', 'elsewhere'].map((name) =>
        host.plug(vfioPci(name, { bars, ...(name === 'elsewhere' ? {} : { bus: '0000:01' }) })),
      );
      const reset = host.signal('reset');
      const counted = plugged.map((device, index) => {
        const vm = host.vm(`guest ${index}`, { ram: '16M' });
        const bar = vm.assign(device.bar(0), { at: AT });
        const done = host.signal(`guest ${index} has counted`);
        vm.vcpu(0).run(function* (cpu) {
          const registers = cpu.ioremap(bar, deviceNGnRE);
          yield* cpu.store(registers.at(0), { size: 4, value: 7n });
          yield* cpu.raise(done);
          yield* cpu.await(reset);
          yield* cpu.load(registers.at(0), { size: 4 });
        });
        return done;
      });
      const [gpu, audio] = plugged;
      host.run(function* (vmm) {
        for (const signal of counted) yield* vmm.await(signal);
        if (gpu === undefined || audio === undefined) return;
        if (sleeps) yield* vmm.pciPower(audio, 'D3hot');
        const { errno } = yield* vmm.hotReset(gpu, owns === 'all' ? [audio] : []);
        if (errno !== (owns === 'all' ? 0 : 22)) throw new Error(`errno ${errno}`);
        yield* vmm.raise(reset);
      });
      expected.always(() => []);
    });
  const told = (owns: 'all' | 'one', sleeps = false) => runScenario(story(owns, sleeps), { kernel: '6.12' });

  it('zaps all functions of the bus before it resets the first, and leaves others alone', () => {
    const run = told('all');
    expect([0, 1, 2].map((vm) => loads(run, vm))).toEqual([[0n], [0n], [7n]]);
    const order = run.events.flatMap((event) => {
      if (event.type === 'notifier-invalidated') return [`${event.because} in VM ${event.vm}`];
      return event.type === 'pci-function-changed' ? [`reset ${event.device}`] : [];
    });
    expect(order).toEqual(['hot-reset in VM 0', 'hot-reset in VM 1', 'reset 0', 'reset 1']);
  });

  it('wakes a function that sleeps (vfio_pci_set_power_state() before the reset)', () => {
    expect(loads(told('all', true), 1)).toEqual([0n]);
  });

  it('is refused to who does not own the whole bus', () => {
    const run = told('one');
    expect(zaps(run)).toEqual([]);
    expect(loads(run, 1)).toEqual([7n]);
  });
});

describe('an expansion ROM', () => {
  const ROM_AT = 0x1100_0000;
  const ENABLE = 1n;
  const story = scenario('a guest reads its option ROM', ({ host, expect: expected }) => {
    const card = host.plug(vfioPci('card', { bars: [{ size: '4K' }], rom: { size: '64K' } }));
    const vm = host.vm('guest', { ram: '16M' });
    const rom = vm.assign(card.rom(), { at: ROM_AT });
    const config = vm.config(card, { at: ECAM });
    vm.vcpu(0).run(function* (cpu) {
      const [image, ecam] = [cpu.ioremap(rom, deviceNGnRE), cpu.ioremap(config, deviceNGnRE)];
      yield* cpu.load(ecam.at(0x30), { size: 4 });
      yield* cpu.load(image.at(0), { size: 2 });
      yield* cpu.store(image.at(0), { size: 2, value: 0n });
      yield* cpu.load(image.at(0), { size: 2 });
      yield* cpu.store(ecam.at(0x30), { size: 4, value: BigInt(ROM_AT) });
      yield* cpu.load(image.at(0), { size: 2 });
      yield* cpu.store(ecam.at(0x30), { size: 4, value: BigInt(ROM_AT) + ENABLE });
      yield* cpu.load(image.at(0), { size: 2 });
    });
    expected.always(() => [vm.survived(), rom.neverMapped()]);
  });

  it('is MMIO exits to a VMM that reads it through its region, while it is enabled', () => {
    const run = runScenario(story, { kernel: '6.12' });
    expect(run.ok).toBe(true);
    expect(loads(run)).toEqual([BigInt(ROM_AT) + ENABLE, 0xaa55n, 0xaa55n, 0xffffn, 0xaa55n]);
  });
});
