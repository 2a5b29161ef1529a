// Interrupts through the whole machine: from a device's wire to a guest's handler and back to the device, stores that
// signal an eventfd, and a GICV that the hypervisor traps.

import type { Cpu, RunOptions, ScenarioRun, VmHandle } from 'stagetwo';
import {
  deviceNGnRE,
  e1000e,
  emulated,
  gicv2,
  hunt,
  kernelsBefore,
  runScenario,
  scenario,
  vfioPci,
  vfioPlatform,
} from 'stagetwo';
import { describe, expect, it } from 'vitest';
import gicvIar from '../../scenarios/cookbook/gicv-iar.ts';

const STATUS = [{ name: 'STATUS', offset: 0, access: 'W1C' }] as const;
const WIRE = { name: 'irq', status: 'STATUS' } as const;
const AT = 0x0a00_0000;
const INTID = 40;

/** Switches both interfaces on and enables SPI 40, as a level unless told otherwise. */
function* boot(cpu: Cpu, vm: VmHandle, edge = false) {
  const gicd = cpu.ioremap(vm.gicd(), deviceNGnRE);
  const gicc = cpu.ioremap(vm.gicc(), deviceNGnRE);
  if (!edge) yield* cpu.store(gicd.at(0xc08), { size: 4, value: 0n });
  yield* cpu.store(gicd.at(0x000), { size: 4, value: 1n });
  yield* cpu.store(gicd.at(0x104), { size: 4, value: 1n << 8n });
  yield* cpu.store(gicc.at(0x04), { size: 4, value: 0xf0n });
  yield* cpu.store(gicc.at(0x00), { size: 4, value: 1n });
  return gicc;
}

const typesOf = (run: ScenarioRun, ...wanted: string[]): string[] =>
  run.events.map(({ type }) => type).filter((type) => wanted.includes(type));

/** A device of some kind whose interrupt a guest handles; `clears` writes its status before the end. */
function handled(device: ReturnType<typeof vfioPlatform> | ReturnType<typeof emulated>, clears = true) {
  return scenario('a device interrupts', ({ host, expect: expected }) => {
    const plugged = host.plug(device);
    host.plug(gicv2('gic'));
    const vm = host.vm('guest', { ram: '16M', vgic: 2 });
    const window = vm.assign(plugged.region(0), { at: AT });
    vm.connect(plugged, 'irq', INTID - 32);
    vm.vcpu(0).run(function* (cpu) {
      const gicc = yield* boot(cpu, vm);
      const status = cpu.ioremap(window, deviceNGnRE).at(0);
      let left = 2;
      yield* cpu.vectors({
        *irq(handler) {
          const { value } = yield* handler.load(gicc.at(0x0c), { size: 4 });
          left -= 1;
          if (clears || left === 0) yield* handler.store(status, { size: 4, value: 1n });
          yield* handler.store(gicc.at(0x10), { size: 4, value: value ?? 0n });
        },
      });
      yield* cpu.wfi();
      yield* cpu.unmaskInterrupts();
    });
    host.run(function* (vmm) {
      yield* vmm.deviceSets(plugged, 'STATUS', 1n);
    });
    expected.always(() => vm.survived());
  });
}

const platform = () =>
  vfioPlatform('dev', { regions: [{ size: '4K', registers: STATUS }], interrupts: [WIRE] });

const seen = (run: ScenarioRun, vcpu = 0) => run.vms[0]?.vcpus[vcpu]?.interrupts.map(({ intid }) => intid);

describe('a level of a VFIO device', () => {
  it('is masked by VFIO, handled, and unmasked by the resampler once the guest has ended it', () => {
    const run = runScenario(handled(platform()));
    expect(seen(run)).toEqual([INTID]);
    expect(run.vms[0]?.vcpus[0]?.finished).toBe(true);
    expect(
      typesOf(
        run,
        'vfio-irq-masked',
        'interrupt-taken',
        'irq-acked',
        'vfio-irq-unmasked',
        'exception-returned',
      ),
    ).toEqual(['vfio-irq-masked', 'interrupt-taken', 'irq-acked', 'vfio-irq-unmasked', 'exception-returned']);
  });

  it('comes again if the device still asks at the end', () => {
    const run = runScenario(handled(platform(), false));
    expect(seen(run)).toEqual([INTID, INTID]);
  });

  it.each(kernelsBefore('7.0'))('is handled on %s, whoever goes first', (kernel) => {
    for (let seed = 1; seed <= 8; seed++) {
      expect(seen(runScenario(handled(platform()), { kernel, seed, state: 'plain' }))).toEqual([INTID]);
    }
  });
});

describe('a level of an emulated device', () => {
  it('follows its line by KVM_IRQ_LINE, without an irqfd', () => {
    const uart = emulated('uart', { size: '4K', registers: STATUS, interrupts: [WIRE] });
    const run = runScenario(handled(uart));
    expect(seen(run)).toEqual([INTID]);
    expect(typesOf(run, 'vfio-irq-masked', 'irq-acked')).toEqual([]);
  });
});

describe('an MSI-X vector', () => {
  it('is an edge of the SPI that its irqfd names', () => {
    const story = scenario('a vector', ({ host }) => {
      const nic = host.plug(e1000e('nic'));
      host.plug(gicv2('gic'));
      const vm = host.vm('guest', { ram: '16M', vgic: 2 });
      const table = vm.assign(nic.bar(3), { at: AT });
      vm.connect(nic, 'MSI-X 2', INTID - 32);
      const ready = host.signal('the vector is unmasked');
      vm.vcpu(0).run(function* (cpu) {
        const gicc = yield* boot(cpu, vm, true);
        yield* cpu.store(cpu.ioremap(table, deviceNGnRE).at(0x2c), { size: 4, value: 0n });
        yield* cpu.raise(ready);
        yield* cpu.wfi();
        const { value } = yield* cpu.load(gicc.at(0x0c), { size: 4 });
        yield* cpu.store(gicc.at(0x10), { size: 4, value: value ?? 0n });
      });
      host.run(function* (vmm) {
        yield* vmm.await(ready);
        yield* vmm.configWrite(nic, { offset: 0x86, size: 2, value: 0x8000 });
        yield* vmm.raiseMsix(nic, 2);
      });
    });
    const run = runScenario(story);
    expect(seen(run)).toEqual([INTID]);
    expect(run.stuck).toEqual([]);
    expect(typesOf(run, 'msix-sent', 'vfio-irq-masked')).toEqual(['msix-sent']);
  });
});

describe('an interrupt wire', () => {
  it('wants registers that are there', () => {
    const bars = [{ size: '4K', registers: STATUS }] as const;
    expect(() => vfioPci('nic', { bars, interrupts: [{ name: 'INTA', status: 'ISR' }] })).toThrow(
      "device 'nic', interrupt INTA: region 0 has no register ISR",
    );
  });
});

/** A guest that stores into the window of a virtio device which has an ioeventfd there. */
function kicking(match: { size?: 1 | 2 | 4 | 8; value?: bigint }) {
  return scenario('a kick', ({ host }) => {
    const virtio = host.plug(emulated('virtio', { size: '4K', memory: true }));
    const vm = host.vm('guest', { ram: '16M', onRunError: 'skip' });
    const window = vm.assign(virtio.region(0), { at: AT });
    vm.ioeventfd('kick', { at: AT + 0x50, ...match });
    vm.vcpu(0).run(function* (cpu) {
      const notify = cpu.ioremap(window, deviceNGnRE);
      yield* cpu.store(notify.at(0x50), { size: 4, value: 7n });
      yield* cpu.store(notify.at(0x50), { size: 4, value: 8n });
      yield* cpu.store(notify.at(0x50), { size: 2, value: 7n });
      yield* cpu.store(notify.at(0x54), { size: 4, value: 7n });
      yield* cpu.load(notify.at(0x50), { size: 4 });
      yield* cpu.store(notify.at(0x50), { size: 4, value: 7n, form: 'post-index' });
    });
  });
}

describe('an ioeventfd', () => {
  it.each([
    ['any store', {}, [true, true, true, false]],
    ['4 bytes of any value', { size: 4 }, [true, true, false, false]],
    ['4 bytes of value 7', { size: 4, value: 7n }, [true, false, false, false]],
  ] as const)(
    'for %s takes those that match; others, loads and what has no syndrome exit',
    (_what, match, takes) => {
      const run = runScenario(kicking(match));
      const outcomes = run.vms[0]?.vcpus[0]?.accesses.map(({ outcome }) => outcome);
      expect(outcomes).toEqual([
        ...takes.map((taken) => (taken ? 'mmio-handled' : 'mmio-exited')),
        'mmio-exited',
        'run-failed',
      ]);
      const signalled = takes.filter((taken) => taken).length;
      expect(run.eventfds).toEqual([{ vm: 'guest', eventfd: 'kick', signalled }]);
      expect(run.devices[0]?.writes).toBe(takes.length - signalled);
    },
  );

  it('is refused where another takes the same stores', () => {
    const story = scenario('two kicks', ({ host }) => {
      const vm = host.vm('guest');
      vm.ioeventfd('a', { at: AT, size: 4 });
      vm.ioeventfd('b', { at: AT, size: 4, value: 1n });
    });
    expect(() => runScenario(story)).toThrow('ioeventfd fails with errno 17');
  });
});

/** A guest that reads GICV_RPR where GICV starts off a host page, in 4 and in 2 bytes. */
const trapped = (sizes: readonly (2 | 4)[]) =>
  scenario('GICV off a page', ({ host }) => {
    host.plug(gicv2('gic', { pa: 0x0804_0800 }));
    const vm = host.vm('guest', { ram: '16M', vgic: 2 });
    vm.vcpu(0).run(function* (cpu) {
      const gicc = cpu.ioremap(vm.gicc(), deviceNGnRE);
      for (const size of sizes) yield* cpu.load(gicc.at(0x14), { size });
    });
  });

describe('a GICV that starts off a host page', () => {
  const of = (sizes: readonly (2 | 4)[], options: RunOptions = {}) => {
    const run = runScenario(trapped(sizes), options);
    return { run, accesses: run.vms[0]?.vcpus[0]?.accesses ?? [] };
  };

  it('is not mapped: the hypervisor makes each access, and the kernel sees none', () => {
    const { run, accesses } = of([4, 4]);
    expect(accesses).toMatchObject([
      { outcome: 'gicv-trapped', value: 0xffn, because: 'gicv-not-page-aligned' },
      { outcome: 'gicv-trapped', value: 0xffn },
    ]);
    expect(run.regions[0]?.leaves).toEqual([]);
    expect(typesOf(run, 'mmio-exited', 'mmio-handled', 'vgic-synced')).toEqual([]);
  });

  it('takes words only: anything else is skipped with an SError', () => {
    expect(of([2, 4]).accesses).toMatchObject([
      { outcome: 'serror-injected', value: null, because: 'gicv-trap-is-32-bit' },
      { outcome: 'gicv-trapped' },
    ]);
  });

  it('is what 64 KiB pages make of any GIC-400', () => {
    const aligned = scenario('64K', ({ host }) => {
      const vm = host.vm('guest', { ram: '16M', vgic: 2 });
      vm.vcpu(0).run(function* (cpu) {
        yield* cpu.load(cpu.ioremap(vm.gicc(), deviceNGnRE).at(0x14), { size: 4 });
      });
    });
    const run = runScenario(aligned, { vary: { pageSize: 65536 } });
    expect(run.vms[0]?.vcpus[0]?.accesses[0]?.outcome).toBe('gicv-trapped');
  });
});

describe('interrupts in a report', () => {
  it('tell what a speculative read of IAR took from the guest', () => {
    const { broken } = hunt(gicvIar, { vary: { gicv: 'normal-nc' }, runs: 400 });
    expect(broken?.run.vms[0]?.vcpus[0]?.interrupts).toMatchObject([{ intid: 5, from: 0, lost: true }]);
  });
});

describe('a vGICv2', () => {
  it('has room for eight vCPUs', () => {
    const story = scenario('nine', ({ host }) => {
      host
        .vm('guest', { vgic: 2 })
        .vcpu(8)
        .run(function* (cpu) {
          yield* cpu.dsb();
        });
    });
    expect(() => runScenario(story)).toThrow('create-vgic fails with errno 7');
  });
});
