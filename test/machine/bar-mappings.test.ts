// BARs that a VMM maps where its guest's config space wants them: pci_update_mappings() of QEMU over the zaps of
// vfio_pci_core, as events.

import type { Cpu, ScenarioRun, VmHandle } from 'stagetwo';
import { deviceNGnRE, e1000e, kernelsFrom, runScenario, scenario, vfioPci } from 'stagetwo';
import { describe, expect, it } from 'vitest';
import type { ConfigOptions } from '../../src/machine/config-options.ts';

const COMMAND = 0x04;
const BAR0 = 0x10;
const PMCSR = 0x44;
const MEMORY = 2n;
const OFF = 0n;
const AT = 0x1000_0000;
const ELSEWHERE = 0x1800_0000;
const ECAM = 0x3f00_0000;
const STATUS = [{ name: 'STATUS', offset: 0, access: 'RO', reset: 0x5a }] as const;
const ALL_ONES = 0xffff_ffffn;

const nic = (command?: number) =>
  vfioPci('nic', {
    bars: [{ size: '64K', registers: STATUS }],
    ...(command === undefined ? {} : { command }),
  });

interface Place {
  readonly bar: (offset: number) => ReturnType<ReturnType<Cpu['ioremap']>['at']>;
  readonly config: (offset: number) => ReturnType<ReturnType<Cpu['ioremap']>['at']>;
  readonly vm: VmHandle;
}

/** One guest, one function, one program. */
function guest(
  run: (cpu: Cpu, place: Place) => Generator,
  options: Partial<ConfigOptions> = {},
  device = nic(),
) {
  return scenario('a guest writes config space', ({ host, expect: expected }) => {
    const plugged = host.plug(device);
    const vm = host.vm('guest', { ram: '16M' });
    const bar = vm.assign(plugged.bar(0), { at: AT });
    const config = vm.config(plugged, { at: ECAM, ...options });
    vm.vcpu(0).run(function* (cpu) {
      const [registers, ecam] = [cpu.ioremap(bar, deviceNGnRE), cpu.ioremap(config, deviceNGnRE)];
      yield* run(cpu, { bar: (o) => registers.at(o), config: (o) => ecam.at(o), vm }) as Generator<never>;
    });
    expected.always(() => vm.survived());
  });
}

const loads = (run: ScenarioRun) =>
  run.vms[0]?.vcpus[0]?.accesses.filter(({ kind }) => kind === 'read').map(({ value }) => value);

/** What the VMM and vfio-pci did from the first event on that is not set up. */
function deeds(run: ScenarioRun): string[] {
  const start = run.events.findIndex(({ type }) => type === 'access-issued');
  return run.events.slice(start).flatMap((event) => {
    if (event.type === 'bar-unmapped') return [`unmapped: ${event.because}`];
    if (event.type === 'bar-mapped') return [`mapped at 0x${event.ipa.toString(16)}`];
    if (event.type === 'memslot-deleted') return ['slot deleted'];
    if (event.type === 'memslot-set') return [`slot at 0x${event.slot.ipa.toString(16)}`];
    return event.type === 'notifier-invalidated' ? [`zap: ${event.because}`] : [];
  });
}

const off = (cpu: Cpu, { config }: Place) => cpu.store(config(COMMAND), { size: 2, value: OFF });
const on = (cpu: Cpu, { config }: Place) => cpu.store(config(COMMAND), { size: 2, value: MEMORY });
const status = (cpu: Cpu, { bar }: Place) => cpu.load(bar(0), { size: 4 });

describe('a guest that clears and sets COMMAND.MEM', () => {
  const story = guest(function* (cpu, place) {
    yield* status(cpu, place);
    yield* off(cpu, place);
    yield* status(cpu, place);
    yield* on(cpu, place);
    yield* status(cpu, place);
  });

  it('loses the memslot behind the zap, reads all ones from the host bridge, and gets the memslot back', () => {
    const run = runScenario(story, { kernel: '6.12' });
    expect(run.ok).toBe(true);
    expect(loads(run)).toEqual([0x5an, ALL_ONES, 0x5an]);
    expect(deeds(run)).toEqual([
      'zap: memory-off',
      'unmapped: memory-space-disabled',
      'slot deleted',
      'mapped at 0x10000000',
      'slot at 0x10000000',
    ]);
  });

  it('is the cause of all of it: the call of the VMM leads back to the store', () => {
    const { events } = runScenario(story, { kernel: '6.12' });
    const back: string[] = [];
    let at = events.find(({ type }) => type === 'memslot-deleted');
    for (; at !== undefined; at = at.cause === null ? undefined : events[at.cause]) back.push(at.type);
    expect(back).toEqual([
      'memslot-deleted',
      'vmm-called',
      'bar-mappings-due',
      'mmio-exited',
      'stage2-faulted',
      'access-issued',
    ]);
  });

  it('ends its store only when the memslot is gone', () => {
    const { events } = runScenario(story, { kernel: '6.12' });
    const deleted = events.findIndex(({ type }) => type === 'memslot-deleted');
    const answered = events.findIndex(({ type }, index) => index > deleted && type === 'mmio-answered');
    expect(events.slice(deleted, answered).some(({ type }) => type === 'access-completed')).toBe(false);
  });

  it.each(['5.15', '6.1', ...kernelsFrom('6.9')])('survives it on %s', (kernel) => {
    expect(runScenario(story, { kernel }).ok).toBe(true);
  });
});

describe('a guest that moves a BAR', () => {
  it('finds its registers at the new address, and a new leaf of stage 2 there', () => {
    const run = runScenario(
      guest(function* (cpu, place) {
        yield* status(cpu, place);
        yield* off(cpu, place);
        yield* cpu.store(place.config(BAR0), { size: 4, value: ALL_ONES });
        yield* cpu.load(place.config(BAR0), { size: 4 });
        yield* cpu.store(place.config(BAR0), { size: 4, value: BigInt(ELSEWHERE) });
        yield* on(cpu, place);
        const moved = cpu.ioremap(place.vm.at(ELSEWHERE, '64K'), deviceNGnRE);
        yield* cpu.load(moved.at(0), { size: 4 });
      }),
    );
    expect(loads(run)).toEqual([0x5an, 0xffff_0000n, 0x5an]);
    expect(deeds(run).slice(-2)).toEqual(['mapped at 0x18000000', 'slot at 0x18000000']);
    expect(run.regions[0]).toMatchObject({ region: 'nic.BAR0', ipa: ELSEWHERE });
    expect(run.vms[0]?.vcpus[0]?.accesses.at(-1)).toMatchObject({ region: 'nic.BAR0', offset: 0 });
  });

  it('with memory enable on moves the memslot at once: a deletion and a new one, never KVM_MR_MOVE', () => {
    const run = runScenario(
      guest(function* (cpu, place) {
        yield* cpu.store(place.config(BAR0), { size: 4, value: BigInt(ELSEWHERE) });
        yield* status(cpu, place);
      }),
    );
    expect(deeds(run)).toEqual([
      'unmapped: moved',
      'slot deleted',
      'mapped at 0x18000000',
      'slot at 0x18000000',
    ]);
    expect(loads(run)).toEqual([0n]);
  });

  it.each([
    ['all ones, as while it is sized', ALL_ONES, 'no-address'],
    ['zero', 0n, 'no-address'],
    ['the guest’s RAM', 0x4000_0000n, 'outside-host-bridge'],
  ])('has no memslot at %s', (_what, value, because) => {
    const run = runScenario(
      guest(function* (cpu, place) {
        yield* cpu.store(place.config(BAR0), { size: 4, value });
      }),
    );
    expect(deeds(run)).toEqual([`unmapped: ${because}`, 'slot deleted']);
  });

  it('writes both halves of a 64-bit BAR, and is nowhere where it has too many bits in between', () => {
    const wide = vfioPci('nic', { bars: [{ size: '64K', bits: 64, registers: STATUS }] });
    const run = runScenario(
      guest(
        function* (cpu, place) {
          yield* cpu.store(place.config(BAR0 + 4), { size: 4, value: 0x1000n });
          yield* cpu.store(place.config(BAR0 + 4), { size: 4, value: 0x1n });
          yield* cpu.load(cpu.ioremap(place.vm.at(0x1_1000_0000, '64K'), deviceNGnRE).at(0), { size: 4 });
        },
        {},
        wide,
      ),
    );
    expect(deeds(run)).toEqual([
      'unmapped: outside-host-bridge',
      'slot deleted',
      'mapped at 0x110000000',
      'slot at 0x110000000',
    ]);
    expect(loads(run)).toEqual([0x5an]);
  });

  it('takes the pages of its MSI-X table along', () => {
    const bars = [{ size: '64K', registers: STATUS }] as const;
    const device = vfioPci('nic', { bars, msix: { vectors: 2, table: { bar: 0, offset: 0x8000 } } });
    const run = runScenario(
      guest(
        function* (cpu, place) {
          yield* cpu.store(place.config(BAR0), { size: 4, value: BigInt(ELSEWHERE) });
          yield* cpu.load(place.bar(0x800c), { size: 4 });
          const moved = cpu.ioremap(place.vm.at(ELSEWHERE, '64K'), deviceNGnRE);
          yield* cpu.load(moved.at(0x800c), { size: 4 });
        },
        {},
        device,
      ),
    );
    // Vector control, masked after reset; nothing is left where it was.
    expect(loads(run)).toEqual([0n, 1n]);
    expect(deeds(run).filter((deed) => deed.startsWith('slot'))).toEqual([
      'slot deleted',
      'slot deleted',
      'slot at 0x18000000',
      'slot at 0x18009000',
    ]);
  });
});

describe('a function whose memory enable is off as the VM starts', () => {
  it('has no memslot before the guest sets it, and the address that firmware chose', () => {
    const run = runScenario(
      guest(
        function* (cpu, place) {
          yield* status(cpu, place);
          yield* cpu.load(place.config(BAR0), { size: 4 });
          yield* on(cpu, place);
          yield* status(cpu, place);
        },
        {},
        nic(0),
      ),
    );
    expect(loads(run)).toEqual([ALL_ONES, BigInt(AT), 0x5an]);
    expect(deeds(run)).toEqual(['mapped at 0x10000000', 'slot at 0x10000000']);
  });

  it('with fixed memslots answers SIGBUS: __vfio_pci_memory_enabled() is false from the start', () => {
    const run = runScenario(guest(status, { bars: 'fixed' }, nic(0)), { kernel: '6.12' });
    expect(run.vms[0]?.dead).toMatchObject({ errnoName: 'EFAULT', because: 'device-memory-disabled' });
  });
});

describe('another vCPU that polls the BAR meanwhile', () => {
  /** vCPU 1 goes when the store of vCPU 0 is as far as `turns` says. */
  const race = scenario('a poller races with the zap', ({ host, expect: expected }) => {
    const plugged = host.plug(nic());
    const vm = host.vm('guest', { ram: '16M' });
    const bar = vm.assign(plugged.bar(0), { at: AT });
    const config = vm.config(plugged, { at: ECAM });
    vm.vcpu(0).run(function* (cpu) {
      yield* cpu.store(cpu.ioremap(config, deviceNGnRE).at(COMMAND), { size: 2, value: OFF });
    });
    vm.vcpu(1).run(function* (cpu) {
      yield* cpu.load(cpu.ioremap(bar, deviceNGnRE).at(0), { size: 4 });
    });
    expected.always(() => vm.survived());
  });
  const withTurns = (schedule: readonly number[]) =>
    runScenario(race, { kernel: '6.12', schedule, turns: 'steady' });

  it('dies between the write to vfio-pci and the deletion of the memslot', () => {
    // The store, its exit, and then the poller: the write has reached vfio-pci, QEMU has not looked at its BARs yet.
    const run = withTurns([0, 0, 1, 1]);
    expect(run.vms[0]?.dead).toMatchObject({ errnoName: 'EFAULT', because: 'device-memory-disabled' });
  });

  it('lives before and behind it', () => {
    expect(withTurns([1, 1, 1, 1]).ok).toBe(true);
    const run = withTurns([0, 0, 0, 0, 0]);
    expect(run.ok).toBe(true);
    expect(run.vms[0]?.vcpus[1]?.accesses[0]).toMatchObject({ outcome: 'mmio-exited', value: ALL_ONES });
  });
});

describe('a guest that puts a function to D3hot', () => {
  const story = (asleep: 'mapped' | 'unmapped') =>
    guest(
      function* (cpu, place) {
        yield* status(cpu, place);
        yield* cpu.store(place.config(PMCSR), { size: 2, value: 3n });
        yield* status(cpu, place);
        yield* cpu.store(place.config(PMCSR), { size: 2, value: 0n });
        yield* status(cpu, place);
      },
      { asleep },
    );

  it('reads all ones where the VMM takes the memslot away (pci_pm_state(), QEMU 10.0)', () => {
    const run = runScenario(story('unmapped'), { kernel: '6.12' });
    expect(run.ok).toBe(true);
    expect(loads(run)).toEqual([0x5an, ALL_ONES, 0x5an]);
    expect(deeds(run).slice(0, 3)).toEqual(['zap: low-power', 'unmapped: low-power', 'slot deleted']);
  });

  it('dies where the memslot stays', () => {
    const run = runScenario(story('mapped'), { kernel: '6.12' });
    expect(run.vms[0]?.dead).toMatchObject({ errnoName: 'EFAULT', because: 'device-in-d3hot' });
  });
});

describe('a program of the VMM beside it', () => {
  it('deletes a slot by hand; the guest’s own write then finds nothing to delete', () => {
    const run = runScenario(
      scenario('both', ({ host, expect: expected }) => {
        const plugged = host.plug(nic());
        const vm = host.vm('guest', { ram: '16M' });
        const bar = vm.assign(plugged.bar(0), { at: AT });
        const config = vm.config(plugged, { at: ECAM });
        const [gone, isOn] = [host.signal('gone'), host.signal('on')];
        vm.vcpu(0).run(function* (cpu) {
          const ecam = cpu.ioremap(config, deviceNGnRE);
          yield* cpu.await(gone);
          yield* cpu.store(ecam.at(BAR0), { size: 4, value: BigInt(ELSEWHERE) });
          yield* cpu.store(ecam.at(COMMAND), { size: 2, value: OFF });
          yield* cpu.raise(isOn);
        });
        host.run(function* (vmm) {
          yield* vmm.deleteSlot(bar);
          yield* vmm.raise(gone);
          yield* vmm.await(isOn);
          const { errno } = yield* vmm.addSlot(bar);
          if (errno !== 0) throw new Error(`errno ${errno}`);
        });
        expected.always(() => vm.survived());
      }),
    );
    expect(run.ok).toBe(true);
    expect(deeds(run)).toEqual([
      'unmapped: moved',
      'mapped at 0x18000000',
      'slot at 0x18000000',
      'zap: memory-off',
      'unmapped: memory-space-disabled',
      'slot deleted',
      // By hand again: where the BAR was last.
      'slot at 0x18000000',
    ]);
  });

  it('is alone with fixed memslots: vfio-pci zaps, and the next access dies', () => {
    const run = runScenario(
      guest(
        function* (cpu, place) {
          yield* off(cpu, place);
          yield* status(cpu, place);
        },
        { bars: 'fixed' },
      ),
      { kernel: '6.12' },
    );
    expect(run.events.some(({ type }) => type === 'bar-mappings-due')).toBe(false);
    expect(run.vms[0]?.dead).toMatchObject({ because: 'device-memory-disabled' });
  });
});

describe('an address that a BAR’s registers cannot hold', () => {
  const placed = (at: number, options: Partial<ConfigOptions> = {}) =>
    scenario('off', ({ host }) => {
      const plugged = host.plug(e1000e('nic'));
      const vm = host.vm('guest', { ram: '16M' });
      vm.assign(plugged.bar(0), { at });
      vm.config(plugged, { at: ECAM, ...options });
      vm.vcpu(0).run(function* (cpu) {
        yield* cpu.dsb();
      });
    });

  it.each([
    [0x1000_1000, /a BAR starts at a multiple of its 131072 bytes; move it, or let config\(\) say/],
    [0x1_0000_0000, /the BAR has 32 bits; move it below 4 GiB/],
  ])('is refused: 0x%x', (at, message) => {
    expect(() => runScenario(placed(at))).toThrow(message);
    expect(() => runScenario(placed(at, { bars: 'fixed' }))).not.toThrow();
  });
});
