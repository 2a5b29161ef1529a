import type { ScenarioRun, Variant } from 'stagetwo';
import { deviceNGnRE, nvme, runScenario, scenario, sysfsPci, vfioPci } from 'stagetwo';
import { describe, expect, it } from 'vitest';

/** Two VMs; in the first, a read and a write of a BAR whose memory is off without anybody having unmapped it. */
function run(kernel: string, pcieErrors: NonNullable<Variant['pcieErrors']>): ScenarioRun {
  const story = scenario('requests that nobody takes', ({ host }) => {
    const card = host.plug(sysfsPci('card', { regions: [{ size: '4K' }] }));
    const off = host.signal('memory is off');
    const vm = host.vm('guest', { ram: '16M' });
    const bar = vm.assign(card.region(0), { at: 0x1000_0000 });
    vm.vcpu(0).run(function* (cpu) {
      const registers = cpu.ioremap(bar, deviceNGnRE);
      yield* cpu.await(off);
      yield* cpu.load(registers.at(0), { size: 4 });
      yield* cpu.store(registers.at(4), { size: 4, value: 1n });
    });
    host.run(function* (vmm) {
      yield* vmm.pciCommand(card, { memory: false });
      yield* vmm.raise(off);
    });
    host.vm('neighbour', { ram: '16M' });
  });
  return runScenario(story, { kernel, vary: { pcieErrors } });
}

const accesses = (of: ScenarioRun) =>
  of.vms[0]?.vcpus[0]?.accesses.map(({ outcome, value, aborted }) => [outcome, value, aborted?.esr ?? null]);

describe('a request to a function that does not claim it', () => {
  it('reads all ones and loses writes where the host bridge contains the error', () => {
    expect(accesses(run('6.12', 'contained'))).toEqual([
      ['completed', 0xffff_ffffn, null],
      ['completed', null, null],
    ]);
  });

  it('is an SError for the guest where the bus reports it: KVM injects one for the read too, up to 6.17', () => {
    const serror = ['serror-injected', null, 0xbf00_0000n];
    expect(accesses(run('6.12', 'to-guest'))).toEqual([serror, serror]);
  });

  it('leaves KVM_RUN with KVM_EXIT_ARM_SEA for a read from 6.19 on', () => {
    expect(accesses(run('6.19', 'to-guest'))?.[0]).toEqual(['sea-exited', null, null]);
  });

  it('takes the host and every VM with it where firmware calls it fatal', () => {
    const { vms } = run('6.12', 'fatal');
    expect(vms.map(({ dead }) => dead?.because)).toEqual(['uncontained-bus-error', 'uncontained-bus-error']);
  });
});

describe('behind a BAR smaller than a page', () => {
  it('the rest of the page is mapped with it, and nobody answers there', () => {
    const story = scenario('256 bytes', ({ host, expect: wanted }) => {
      const nic = host.plug(vfioPci('nic', { bars: [{ size: 256 }] }));
      const vm = host.vm('guest', { ram: '16M' });
      const bar = vm.assign(nic.bar(0), { at: 0x1000_0000 });
      vm.vcpu(0).run(function* (cpu) {
        yield* cpu.load(cpu.ioremap(bar, deviceNGnRE).at(0x10), { size: 4 });
        yield* cpu.load(cpu.ioremap(vm.at(0x1000_0000), deviceNGnRE).at(0x800), { size: 4 });
      });
      wanted.always(() => [vm.vcpu(0).loaded([0n, 0xffff_ffffn]), bar.leaf({ level: 3 })]);
    });
    expect(runScenario(story, { kernel: '6.12' }).expectations.filter(({ ok }) => !ok)).toEqual([]);
  });
});

describe('config space from the VMM', () => {
  it('gives its value back, and errno 22 for a device that is not PCI', () => {
    const seen: unknown[] = [];
    runScenario(
      scenario('reads', ({ host }) => {
        const disk = host.plug(nvme('disk'));
        host.vm('guest', { ram: '16M' });
        host.run(function* (vmm) {
          yield* vmm.pciCommand(disk, { busMaster: true });
          const { value } = yield* vmm.configRead(disk, { offset: 4, size: 2 });
          seen.push(value, (yield* vmm.configRead({ name: 'nobody' }, { offset: 0 })).errno);
        });
      }),
    );
    expect(seen).toEqual([0x6, 22]);
  });
});
