// A GICv2 saved from one VM and restored into another: KVM_DEV_ARM_VGIC_GRP_DIST_REGS and _CPU_REGS.

import type { Cpu, VmHandle, Vmm } from 'stagetwo';
import { deviceNGnRE, gicv2, runScenario, scenario } from 'stagetwo';
import { describe, expect, it } from 'vitest';

const INTID = 40;
const SAVED = [
  ['dist', 0x008],
  ['dist', 0x000],
  ['dist', 0x100],
  ['dist', 0x104],
  ['dist', 0x428],
  ['dist', 0xc08],
  ['dist', 0x204],
  ['dist', 0x304],
  ['cpu', 0x00],
  ['cpu', 0x04],
  ['cpu', 0xd0],
] as const;

function* boot(cpu: Cpu, vm: VmHandle) {
  const gicd = cpu.ioremap(vm.gicd(), deviceNGnRE);
  const gicc = cpu.ioremap(vm.gicc(), deviceNGnRE);
  yield* cpu.store(gicd.at(0x000), { size: 4, value: 1n });
  yield* cpu.store(gicd.at(0x104), { size: 4, value: 1n << 8n });
  yield* cpu.store(gicd.at(0x428), { size: 1, value: 0x80n });
  yield* cpu.store(gicc.at(0x04), { size: 4, value: 0xf0n });
  yield* cpu.store(gicc.at(0x00), { size: 4, value: 1n });
  return gicc;
}

/** What a program of the VMM sees of one VM that waits, stopped unless told otherwise. */
function ask(
  program: (vmm: Vmm, vm: VmHandle) => Generator,
  stopped = true,
  revision: '5.15' | '6.12' = '6.12',
) {
  const story = scenario('asked', ({ host, expect: expected }) => {
    host.plug(gicv2('gic'));
    const vm = host.vm('guest', { ram: '16M', vgic: 2 });
    const up = host.signal('up');
    vm.vcpu(0).run(function* (cpu) {
      yield* boot(cpu, vm);
      yield* cpu.raise(up);
      yield* cpu.dsb();
    });
    host.run(function* (vmm) {
      yield* vmm.await(up);
      if (stopped) yield* vmm.stop(vm);
      yield* program(vmm, vm) as Generator<never>;
      yield* vmm.resume(vm);
    });
    expected.always(() => vm.vcpu(0).finished());
  });
  const run = runScenario(story, { kernel: revision });
  expect(run.ok).toBe(true);
  return run;
}

describe('the registers of a GICv2', () => {
  it('are saved from a stopped VM and restored into another, where the active interrupt is ended', () => {
    const story = scenario('migration', ({ host, expect: expected }) => {
      host.plug(gicv2('gic'));
      const [source, target] = [
        host.vm('source', { ram: '16M', vgic: 2 }),
        host.vm('target', { ram: '16M', vgic: 2 }),
      ];
      const [raised, restored] = [host.signal('raised'), host.signal('restored')];
      const [up, taken] = [host.signal('up'), host.signal('taken')];
      source.vcpu(0).run(function* (cpu) {
        const gicc = yield* boot(cpu, source);
        yield* cpu.raise(up);
        yield* cpu.await(raised);
        yield* cpu.load(gicc.at(0x0c), { size: 4 });
        yield* cpu.raise(taken);
      });
      target.vcpu(0).run(function* (cpu) {
        const gicc = cpu.ioremap(target.gicc(), deviceNGnRE);
        yield* cpu.await(restored);
        yield* cpu.load(gicc.at(0x14), { size: 4 });
        yield* cpu.store(gicc.at(0x10), { size: 4, value: BigInt(INTID) });
        yield* cpu.load(gicc.at(0x14), { size: 4 });
      });
      host.run(function* (vmm) {
        yield* vmm.await(up);
        yield* vmm.irqLine(source, { intid: INTID, level: true });
        yield* vmm.raise(raised);
        yield* vmm.await(taken);
        yield* vmm.stop(source);
        yield* vmm.stop(target);
        for (const [group, offset] of SAVED) {
          const { value = 0 } = yield* vmm.gicRegister(source, { group, cpu: 0, offset });
          const { errno } = yield* vmm.gicRegister(target, { group, cpu: 0, offset, value });
          if (errno !== 0) throw new Error(`errno ${errno} at ${offset}`);
        }
        yield* vmm.resume(target);
        yield* vmm.raise(restored);
      });
      expected.always(() => [target.survived(), target.vcpu(0).loaded([0x80n, 0xffn])]);
    });
    const run = runScenario(story, { kernel: '6.12' });
    expect(run.expectations.filter(({ ok }) => !ok)).toEqual([]);
  });

  it('are refused while the VM runs: EBUSY', () => {
    ask(function* (vmm, vm) {
      const { errno } = yield* vmm.gicRegister(vm, { group: 'dist', cpu: 0, offset: 0 });
      expect(errno).toBe(16);
    }, false);
  });

  it('have PMR in 5 bits, an identity of KVM’s own, and zeros elsewhere', () => {
    ask(function* (vmm, vm) {
      const read = function* (offset: number) {
        return (yield* vmm.gicRegister(vm, { group: 'cpu', cpu: 0, offset })).value;
      };
      expect([yield* read(0x04), yield* read(0xfc), yield* read(0x0c)]).toEqual([0x1e, 0x04b2_043b, 0]);
      expect((yield* vmm.gicRegister(vm, { group: 'cpu', cpu: 3, offset: 0 })).errno).toBe(22);
    });
  });

  it.each<['5.15' | '6.12', number, number]>([
    ['6.12', 0x4b00_343b, 0],
    ['6.12', 0x4b00_243b, 0],
    ['6.12', 0x4b00_143b, 22],
    ['6.12', 0x1234_343b, 22],
    ['5.15', 0x4b00_343b, 22],
  ])('on %s take an IIDR of %i with errno %i', (kernel, value, wanted) => {
    ask(
      function* (vmm, vm) {
        const { errno } = yield* vmm.gicRegister(vm, { group: 'dist', cpu: 0, offset: 0x008, value });
        expect(errno).toBe(wanted);
      },
      true,
      kernel,
    );
  });

  it('let groups be restored only behind an IIDR', () => {
    ask(function* (vmm, vm) {
      const place = { group: 'dist', cpu: 0, offset: 0x084 } as const;
      yield* vmm.gicRegister(vm, { ...place, value: 0xff });
      expect((yield* vmm.gicRegister(vm, place)).value).toBe(0);
      yield* vmm.gicRegister(vm, { group: 'dist', cpu: 0, offset: 0x008, value: 0x4b00_343b });
      yield* vmm.gicRegister(vm, { ...place, value: 0xff });
      expect((yield* vmm.gicRegister(vm, place)).value).toBe(0xff);
    });
  });

  it('give the guest what was restored pending, once it is resumed', () => {
    const run = ask(function* (vmm, vm) {
      yield* vmm.gicRegister(vm, { group: 'dist', cpu: 0, offset: 0x204, value: 1 << 8 });
    });
    const loaded = run.events.findLast(({ type }) => type === 'vgic-flushed');
    const gic = run.snapshot(loaded?.seq ?? 0).devices.find(({ vgics }) => vgics[0] !== undefined);
    expect((gic?.vgics[0]?.cpus[0]?.lrs[0] ?? 0) % 1024).toBe(INTID);
  });

  it('make SGIs pending, which a guest cannot, with the vCPU itself as their sender', () => {
    ask(function* (vmm, vm) {
      yield* vmm.gicRegister(vm, { group: 'dist', cpu: 0, offset: 0x200, value: 1 << 3 });
      expect((yield* vmm.gicRegister(vm, { group: 'dist', cpu: 0, offset: 0xf20 })).value).toBe(1 << 24);
      yield* vmm.gicRegister(vm, { group: 'dist', cpu: 0, offset: 0x280, value: 1 << 3 });
      expect((yield* vmm.gicRegister(vm, { group: 'dist', cpu: 0, offset: 0x200 })).value).toBe(0);
    });
  });
});
