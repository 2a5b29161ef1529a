import type { Cpu, GuestProgram, OpResult } from 'stagetwo';
import { deviceNGnRE, emulated, gicv2, runScenario, scenario, vfioPci, writeCombining } from 'stagetwo';
import { describe, expect, it } from 'vitest';
import { twice } from '../helpers/twice.ts';

type Bars = {
  readonly cpu: Cpu;
  readonly bar: Parameters<Cpu['ioremap']>[0];
  readonly nowhere: Parameters<Cpu['ioremap']>[0];
};

/** One VM with a BAR of 64 KiB, whose vCPU 0 runs the program. */
const story = (
  program: (bars: Bars) => ReturnType<GuestProgram>,
  options: { readonly skip?: boolean } = {},
) =>
  scenario('one guest', ({ host }) => {
    const nic = host.plug(vfioPci('nic', { bars: [{ size: '64K' }] }));
    const vm = host.vm('guest', { onRunError: options.skip === true ? 'skip' : 'stop' });
    const bar = vm.assign(nic.bar(0), { at: 0x1000_0000 });
    const nowhere = vm.at(0x2000_0000, '64K');
    vm.vcpu(0).run((cpu) => program({ cpu, bar, nowhere }));
  });

describe('a run', () => {
  it('reports the leaf of a region, who chose it, and what the device received', () => {
    const run = runScenario(
      story(function* ({ cpu, bar }) {
        yield* cpu.store(cpu.ioremap(bar, writeCombining).at(0x10), { size: 8 });
      }),
      { kernel: '6.12' },
    );

    const [region] = run.regions;
    expect(region).toMatchObject({ vm: 'guest', region: 'nic.BAR0', ipa: 0x1000_0000, kind: 'vfio-pci' });
    expect(region?.leaves).toMatchObject([
      {
        ipa: 0x1000_0000,
        level: 3,
        memAttr: 0b0101,
        type: 'Normal Non-cacheable',
        write: true,
        exec: false,
        because: 'vma-allows-any-uncached',
        combined: ['Normal Non-cacheable'],
      },
    ]);
    expect(region?.leaves[0]?.descriptor.toString(16)).toMatch(/7d7$/);
    expect(run.devices[0]).toMatchObject({
      name: 'nic',
      writes: 1,
      reads: 0,
      bytesWritten: 8,
      shape: '1 x 8 B write',
    });
  });

  it('gives a program what it read, and the abort that it took', () => {
    const results: OpResult[] = [];
    runScenario(
      story(function* ({ cpu, bar }) {
        const registers = cpu.ioremap(bar, deviceNGnRE);
        yield* cpu.store(registers.at(8), { size: 4, value: 0xcafen });
        results.push(yield* cpu.load(registers.at(8), { size: 4 }));
        results.push(yield* cpu.load(registers.at(9), { size: 4 }));
      }),
      { kernel: '6.12' },
    );

    expect(results[0]).toEqual({ value: 0xcafen, aborted: null, skipped: null });
    // Alignment fault of the guest's own stage 1: EC 0x25, FSC 0x21.
    expect(results[1]?.aborted).toMatchObject({
      esr: 0x9600_0021n,
      from: 'stage-1',
      because: 'stage1-alignment',
    });
  });

  it('stops the VM when KVM_RUN fails, as QEMU does, and keeps both log lines', () => {
    const run = runScenario(
      story(function* ({ cpu, bar }) {
        yield* cpu.store(cpu.ioremap(bar, writeCombining).at(1), { size: 16 });
        yield* cpu.store(cpu.ioremap(bar, writeCombining).at(0), { size: 8 });
      }),
      { kernel: '6.1' },
    );

    const [vm] = run.vms;
    expect(vm?.dead).toMatchObject({
      errno: 14,
      errnoName: 'EFAULT',
      because: 'unsupported-fsc',
      log: [
        expect.stringMatching(/^kvm \[.*\]: Unsupported FSC: EC=0x24 xFSC=0x21 ESR_EL2=0x92000061$/),
        'error: kvm run failed Bad address',
      ],
    });
    expect(vm?.vcpus[0]?.finished).toBe(false);
    expect(vm?.vcpus[0]?.accesses).toHaveLength(1);
  });

  it('steps over the instruction where the VMM does', () => {
    const skipped: (number | null)[] = [];
    const run = runScenario(
      story(
        function* ({ cpu, bar }) {
          skipped.push((yield* cpu.store(cpu.ioremap(bar, writeCombining).at(1), { size: 16 })).skipped);
          skipped.push((yield* cpu.store(cpu.ioremap(bar, writeCombining).at(0), { size: 16 })).skipped);
        },
        { skip: true },
      ),
      { kernel: '6.1' },
    );

    expect(skipped).toEqual([14, null]);
    expect(run.vms[0]?.dead).toBeNull();
    expect(run.vms[0]?.skipped).toHaveLength(1);
    expect(run.vms[0]?.vcpus[0]?.finished).toBe(true);
  });

  it('lets the VMM answer with 0 where nothing is', () => {
    const values: (bigint | null)[] = [];
    runScenario(
      story(function* ({ cpu, nowhere }) {
        values.push((yield* cpu.load(cpu.ioremap(nowhere, deviceNGnRE).at(0), { size: 4 })).value);
      }),
    );

    expect(values).toEqual([0n]);
  });

  it('has a snapshot after every event, also without Immer', () => {
    const program = story(function* ({ cpu, bar }) {
      yield* cpu.store(cpu.ioremap(bar, writeCombining).at(0), { size: 8 });
    });
    const drafted = runScenario(program);
    const plain = runScenario(program, { state: 'plain' });
    const last = drafted.events.length - 1;

    expect(drafted.snapshot(0).vms).toEqual([]);
    expect(drafted.snapshot(last)).toBe(drafted.simulation.state);
    expect(plain.snapshot(last)).toEqual(drafted.snapshot(last));
    expect(() => drafted.snapshot(last + 1)).toThrow(/no snapshot/);
  });

  it('keeps no events where an observer follows instead', () => {
    const seen: string[] = [];
    const program = story(function* ({ cpu, bar }) {
      yield* cpu.store(cpu.ioremap(bar, writeCombining).at(0), { size: 8 });
    });
    const run = runScenario(program, {
      state: 'plain',
      events: 'drop',
      onSimulation: (simulation) => simulation.bus.all.subscribe(({ type }) => void seen.push(type)),
    });

    expect(run.events).toEqual([]);
    expect(seen).toEqual(runScenario(program).events.map(({ type }) => type));
    expect(() => run.snapshot(0)).toThrow(RangeError);
  });

  it('names the vCPU whose program throws', () => {
    const run = () =>
      runScenario(
        story(function* ({ cpu, bar }) {
          yield* cpu.store(cpu.ioremap(bar, writeCombining).at(0x1_0000), { size: 8 });
        }),
      );

    expect(run).toThrow(/guest vcpu 0: its program failed: nic.BAR0: offset 65536 is outside the mapping/);
  });

  it('refuses a kernel without a preset', () => {
    expect(() =>
      runScenario(
        story(function* () {}),
        { kernel: '2.6' },
      ),
    ).toThrow(/no preset for kernel 2.6; known are/);
  });
});

describe('several vCPUs', () => {
  const racing = scenario('two vCPUs on one page', ({ host, expect: expected }) => {
    const nic = host.plug(vfioPci('nic', { bars: [{ size: '64K' }] }));
    const vm = host.vm('guest');
    const bar = vm.assign(nic.bar(0), { at: 0x1000_0000 });
    for (const index of [0, 1]) {
      vm.vcpu(index).run(function* (cpu) {
        const wc = cpu.ioremap(bar, writeCombining);
        for (let page = 0; page < 4; page += 1) yield* cpu.store(wc.at(page * 4096), { size: 8 });
      });
    }
    expected.always(() => [vm.survived(), nic.received({ writes: 8 })]);
  });

  it('meet in the fault handler under some seeds: one maps, the other tries again', () => {
    const run = twice(
      (seed: number) => runScenario(racing, { kernel: '6.12', seed }),
      ({ events }) => events,
    );
    const runs = Array.from({ length: 30 }, (_, seed) => run(seed));
    const retried = runs.filter(({ events }) => events.some(({ type }) => type === 'fault-retried'));

    expect(runs.every(({ ok }) => ok)).toBe(true);
    expect(retried.length).toBeGreaterThan(0);
    expect(retried.length).toBeLessThan(runs.length);
    expect(new Set(runs.map(({ schedule }) => schedule.join())).size).toBeGreaterThan(20);
  });

  it('wait for signals, and a run says who waits for ever', () => {
    const run = runScenario(
      scenario('one waits', ({ host }) => {
        const never = host.signal('never');
        host
          .vm('guest')
          .vcpu(0)
          .run(function* (cpu) {
            yield* cpu.await(never);
          });
      }),
    );

    expect(run.stuck).toEqual(['guest vcpu 0']);
    expect(run.vms[0]?.vcpus[0]?.finished).toBe(false);
  });
});

describe('devices that a VMM cannot map', () => {
  it('a BAR that shares its page has no slot: the VMM reads and writes it for the guest', () => {
    const values: (bigint | null)[] = [];
    const run = runScenario(
      scenario('a small BAR', ({ host }) => {
        const nic = host.plug(vfioPci('nic', { bars: [{ size: '256' }, { size: '256', pa: 0x1000_0100 }] }));
        const vm = host.vm('guest');
        const bar = vm.assign(nic.bar(0), { at: 0x1000_0000 });
        vm.vcpu(0).run(function* (cpu) {
          const registers = cpu.ioremap(bar, deviceNGnRE);
          yield* cpu.store(registers.at(0x10), { size: 4, value: 7n });
          values.push((yield* cpu.load(registers.at(0x10), { size: 4 })).value);
        });
      }),
    );

    expect(values).toEqual([7n]);
    expect(run.regions[0]?.leaves).toEqual([]);
    expect(run.devices[0]?.transactions.map(({ by, kind }) => `${kind} by ${by}`)).toEqual([
      'write by mmio-exit',
      'read by mmio-exit',
    ]);
  });

  it('an emulated device has windows in several VMs', () => {
    const run = runScenario(
      scenario('a shared UART', ({ host }) => {
        const uart = host.plug(emulated('uart', { size: '4K' }));
        for (const [name, at] of [
          ['a', 0x0900_0000],
          ['b', 0x0a00_0000],
        ] as const) {
          const vm = host.vm(name);
          const window = vm.assign(uart.region(0), { at });
          vm.vcpu(0).run(function* (cpu) {
            yield* cpu.store(cpu.ioremap(window, deviceNGnRE).at(4), { size: 1 });
          });
        }
      }),
    );

    expect(run.devices[0]?.transactions.map(({ vm, offset }) => [vm, offset]).sort()).toEqual([
      [0, 4],
      [1, 4],
    ]);
  });
});

describe('variants', () => {
  const program = story(function* ({ cpu, bar }) {
    yield* cpu.store(cpu.ioremap(bar, writeCombining).at(0), { size: 8 });
  });

  it.each([
    ['vfio-pci', 'vma-allows-any-uncached'],
    ['vfio-platform', 'device-pfn-without-flag'],
    ['devmem', 'device-pfn-without-flag'],
    ['sysfs', 'device-pfn-without-flag'],
    ['gicv', 'gicv-is-a-shared-peripheral'],
  ] as const)('with %s the leaf is there because of %s', (device, because) => {
    const run = runScenario(program, { kernel: '6.12', vary: { device } });

    expect(run.regions.map(({ region, leaves }) => [region, leaves[0]?.because])).toEqual([
      ['nic.BAR0', because],
    ]);
    expect(run.devices[0]?.name).toBe('nic');
  });

  it('FWB changes no field of a BAR leaf, and the words stay', () => {
    const leaf = (fwb: boolean) =>
      runScenario(program, { kernel: '6.12', vary: { fwb } }).regions[0]?.leaves[0];

    expect(leaf(false)).toEqual(leaf(true));
  });

  it('a GICv2 cannot become another', () => {
    const taken = scenario('has a GIC', ({ host }) => {
      const nic = host.plug(vfioPci('nic', { bars: [{ size: '64K' }] }));
      host.plug(gicv2());
      host.vm('guest', { vgic: 2 }).assign(nic.bar(0), { at: 0x1000_0000 });
    });

    expect(() => runScenario(taken, { vary: { device: 'gicv' } })).toThrow(/has a GICv2 already/);
  });
});
