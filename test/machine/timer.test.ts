// The virtual timer and its PPI 27: a level that KVM maps to the physical interrupt, so that only its deactivation lets
// it come again.

import type { Cpu, GuestProgram, ScenarioRun, VmHandle } from 'stagetwo';
import { deviceNGnRE, gicv2, kernelsFrom, runScenario, scenario } from 'stagetwo';
import { describe, expect, it } from 'vitest';

const VTIMER = 27;
const IAR = 0x0c;
const EOIR = 0x10;

/** Both interfaces on, PPI 27 enabled. */
function* boot(cpu: Cpu, vm: VmHandle) {
  const gicd = cpu.ioremap(vm.gicd(), deviceNGnRE);
  const gicc = cpu.ioremap(vm.gicc(), deviceNGnRE);
  yield* cpu.store(gicd.at(0x000), { size: 4, value: 1n });
  yield* cpu.store(gicd.at(0x100), { size: 4, value: 1n << BigInt(VTIMER) });
  yield* cpu.store(gicc.at(0x04), { size: 4, value: 0xf0n });
  yield* cpu.store(gicc.at(0x00), { size: 4, value: 1n });
  return { gicd, gicc };
}

type Frames = { readonly [Name in 'gicd' | 'gicc']: ReturnType<Cpu['ioremap']> };

const told = (run: (cpu: Cpu, frames: Frames) => ReturnType<GuestProgram>, kernel = '6.12') =>
  runScenario(
    scenario('a timer', ({ host, expect: expected }) => {
      host.plug(gicv2('gic'));
      const vm = host.vm('guest', { ram: '16M', vgic: 2 });
      vm.vcpu(0).run(function* (cpu) {
        yield* run(cpu, yield* boot(cpu, vm));
      });
      expected.always(() => vm.vcpu(0).finished());
    }),
    { kernel },
  );

const seen = (run: ScenarioRun) => run.vms[0]?.vcpus[0]?.interrupts.map(({ intid }) => intid);
const taken = (run: ScenarioRun) => run.events.filter(({ type }) => type === 'timer-interrupt').length;

describe('a timer that expires in WFI', () => {
  it.each(['5.15', '6.1', ...kernelsFrom('6.12')])('ends it, and is handled once (%s)', (kernel) => {
    const run = told(function* (cpu, { gicc }) {
      yield* cpu.vectors({
        *irq(handler) {
          const { value } = yield* handler.load(gicc.at(IAR), { size: 4 });
          yield* handler.setTimer({ enabled: false });
          yield* handler.store(gicc.at(EOIR), { size: 4, value: value ?? 0n });
        },
      });
      yield* cpu.setTimer({ after: 1_000_000 });
      yield* cpu.wfi();
      yield* cpu.unmaskInterrupts();
    }, kernel);
    expect(run.ok).toBe(true);
    expect(seen(run)).toEqual([VTIMER]);
    expect(taken(run)).toBe(1);
    const met = run.events.find(({ type }) => type === 'timer-condition-met');
    const written = run.events.find(({ type }) => type === 'timer-written');
    expect((met?.at ?? 0) - (written?.at ?? 0)).toBe(1_000_000);
  });
});

describe('a timer that expires while the guest runs', () => {
  it('interrupts the program between two instructions, as time comes', () => {
    const run = told(function* (cpu, { gicc, gicd }) {
      let ticks = 0;
      yield* cpu.vectors({
        *irq(handler) {
          const { value } = yield* handler.load(gicc.at(IAR), { size: 4 });
          ticks += 1;
          yield* handler.setTimer(ticks < 3 ? { after: 40 } : { enabled: false });
          yield* handler.store(gicc.at(EOIR), { size: 4, value: value ?? 0n });
        },
      });
      yield* cpu.setTimer({ after: 40 });
      yield* cpu.unmaskInterrupts();
      while (ticks < 3) yield* cpu.load(gicd.at(0x004), { size: 4 });
    });
    expect(run.ok).toBe(true);
    expect(seen(run)).toEqual([VTIMER, VTIMER, VTIMER]);
  });

  it('comes again after its end if the handler leaves the condition met', () => {
    const run = told(function* (cpu, { gicc }) {
      let left = 2;
      yield* cpu.vectors({
        *irq(handler) {
          const { value } = yield* handler.load(gicc.at(IAR), { size: 4 });
          left -= 1;
          if (left === 0) yield* handler.setTimer({ masked: true });
          yield* handler.store(gicc.at(EOIR), { size: 4, value: value ?? 0n });
        },
      });
      yield* cpu.setTimer({ after: 0 });
      yield* cpu.unmaskInterrupts();
    });
    expect(seen(run)).toEqual([VTIMER, VTIMER]);
    expect(taken(run)).toBe(2);
  });
});

describe('the mapped interrupt', () => {
  it('names the physical one in its list register, and asks for no maintenance interrupt', () => {
    const run = told(function* (cpu, { gicc }) {
      yield* cpu.setTimer({ after: 0 });
      yield* cpu.load(gicc.at(IAR), { size: 4 });
      yield* cpu.setTimer({ enabled: false });
      yield* cpu.store(gicc.at(EOIR), { size: 4, value: BigInt(VTIMER) });
    });
    const flushed = run.events.findLast(({ type }) => type === 'vgic-flushed');
    const vgic = run.snapshot(flushed?.seq ?? 0).devices.find(({ vgics }) => vgics[0] !== undefined)
      ?.vgics[0];
    const word = vgic?.cpus[0]?.lrs[0] ?? 0;
    // HW, pending, physical ID 27, virtual ID 27.
    expect(word.toString(16)).toBe((0x9000_0000 + (VTIMER << 10) + VTIMER).toString(16));
    expect(run.events.some(({ type }) => type === 'maintenance-interrupt')).toBe(false);
  });

  it('is taken back at an exit if the guest masked the timer before it acknowledged', () => {
    const run = told(function* (cpu, { gicc, gicd }) {
      yield* cpu.setTimer({ after: 0 });
      yield* cpu.setTimer({ masked: true });
      // Still in the list register, until an exit samples the line: kvm_arch_timer_get_input_level().
      yield* cpu.load(gicc.at(0x18), { size: 4 });
      yield* cpu.load(gicd.at(0x004), { size: 4 });
      yield* cpu.load(gicc.at(0x18), { size: 4 });
      // And comes again, since the physical one was made inactive.
      yield* cpu.setTimer({});
      yield* cpu.load(gicc.at(0x18), { size: 4 });
    });
    const values = run.vms[0]?.vcpus[0]?.accesses
      .filter(({ kind }) => kind === 'read')
      .map(({ value }) => value);
    expect([values?.[0], values?.[2], values?.[3]]).toEqual([27n, 1023n, 27n]);
    expect(taken(run)).toBe(2);
  });

  it('waits behind a disabled PPI, active at the host, until the guest enables it', () => {
    const run = told(function* (cpu, { gicc, gicd }) {
      yield* cpu.store(gicd.at(0x180), { size: 4, value: 1n << BigInt(VTIMER) });
      yield* cpu.setTimer({ after: 0 });
      yield* cpu.load(gicc.at(0x18), { size: 4 });
      yield* cpu.store(gicd.at(0x100), { size: 4, value: 1n << BigInt(VTIMER) });
      yield* cpu.load(gicc.at(0x18), { size: 4 });
    });
    const values = run.vms[0]?.vcpus[0]?.accesses
      .filter(({ kind }) => kind === 'read')
      .map(({ value }) => value);
    expect(values).toEqual([1023n, 27n]);
    expect(taken(run)).toBe(1);
  });

  it('is nobody else’s: KVM_IRQ_LINE of PPI 27 does nothing (vgic_validate_injection())', () => {
    const run = runScenario(
      scenario('a line of the timer', ({ host, expect: expected }) => {
        host.plug(gicv2('gic'));
        const vm = host.vm('guest', { ram: '16M', vgic: 2 });
        vm.vcpu(0).run(function* (cpu) {
          yield* boot(cpu, vm);
        });
        host.run(function* (vmm) {
          const { errno } = yield* vmm.irqLine(vm, { intid: VTIMER, level: true, cpu: 0 });
          if (errno !== 0) throw new Error(`errno ${errno}`);
        });
        expected.always(() => vm.survived());
      }),
    );
    expect(run.events.some(({ type }) => type === 'interrupt-line-changed')).toBe(false);
  });
});

describe('a VM without a GICv2', () => {
  it('has no timer to set', () => {
    const story = scenario('no GIC', ({ host }) => {
      host
        .vm('guest', { ram: '16M' })
        .vcpu(0)
        .run(function* (cpu) {
          yield* cpu.setTimer({ after: 1 });
        });
    });
    expect(() => runScenario(story)).toThrow(
      "VM 'guest' has no GICv2 for its timer to interrupt; give it vgic: 2",
    );
  });
});
