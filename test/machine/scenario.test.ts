import type { Story } from 'stagetwo';
import {
  deviceNGnRE,
  emulated,
  kernelsBefore,
  kernelsFrom,
  outline,
  runScenario,
  scenario,
  vfioPci,
} from 'stagetwo';
import { describe, expect, it } from 'vitest';

/** A guest that reads the first register of a BAR. */
const reader = ({ host }: Story) => {
  const nic = host.plug(vfioPci('nic', { bars: [{ size: '64K' }] }));
  const vm = host.vm('guest');
  const bar = vm.assign(nic.bar(0), { at: 0x1000_0000 });
  vm.vcpu(0).run(function* (cpu) {
    yield* cpu.load(cpu.ioremap(bar, deviceNGnRE).at(0), { size: 4 });
  });
  return { nic, vm, bar };
};

describe('a scenario', () => {
  it('says what it expects, and a run says whether it came true', () => {
    const story = scenario('one load', (tell) => {
      const { nic, vm, bar } = reader(tell);
      tell.expect.always(() => [vm.survived(), nic.received({ reads: 1, bytes: 4 })]);
      tell.expect.kernel('6.12', () => bar.leaf({ type: 'Normal Non-cacheable' }));
    });

    const run = runScenario(story, { kernel: '6.12' });

    expect(run.ok).toBe(true);
    expect(run.expectations).toEqual([
      { what: 'guest survived', expected: 'alive', actual: 'alive', ok: true },
      {
        what: 'nic received',
        expected: 'reads 1, bytes 4',
        actual: 'reads 1, bytes 4 (1 x 4 B read)',
        ok: true,
      },
      {
        what: 'guest nic.BAR0 leaf',
        expected: 'type Normal Non-cacheable',
        actual: 'type Normal Non-cacheable',
        ok: true,
      },
    ]);
  });

  it('fails an expectation as data, with what was found instead', () => {
    const story = scenario('one load', (tell) => {
      const { nic, vm } = reader(tell);
      tell.expect.always(() => [vm.died({ errno: 'EFAULT' }), nic.received({ writes: 3 })]);
    });

    const run = runScenario(story);

    expect(run.ok).toBe(false);
    expect(run.expectations.map(({ actual, ok }) => ({ actual, ok }))).toEqual([
      { actual: 'alive', ok: false },
      { actual: 'writes 0 (1 x 4 B read)', ok: false },
    ]);
  });

  it('asks only what concerns the kernel and the device of the run', () => {
    const story = scenario('one load', (tell) => {
      const { vm } = reader(tell);
      tell.expect.kernel(['6.1', '6.6'], () => vm.survived());
      tell.expect.device('gicv', () => vm.survived());
      tell.expect.when({ kernel: '6.12', device: 'vfio-pci' }, () => vm.survived());
    });
    const asked = (kernel: string, device?: 'gicv') =>
      runScenario(story, { kernel, vary: device === undefined ? {} : { device } }).expectations.length;

    expect(asked('6.1')).toBe(1);
    expect(asked('6.8')).toBe(0);
    expect(asked('6.12')).toBe(1);
    expect(asked('6.12', 'gicv')).toBe(1);
    expect(asked('6.6', 'gicv')).toBe(2);
  });

  it('is outlined without being run', () => {
    const story = scenario('one load', (tell) => {
      const { vm } = reader(tell);
      tell.expect.kernel(['6.1', '6.12'], () => vm.survived());
      tell.expect.when({ kernel: '6.1', device: 'gicv' }, () => vm.survived());
    });

    expect(outline(story)).toEqual({
      name: 'one load',
      kernels: ['6.1', '6.12'],
      deviceKinds: ['gicv'],
      devices: ['nic'],
      vms: ['guest'],
    });
  });

  it('names kernels by their place in history', () => {
    expect(kernelsBefore('6.9')).toEqual(['5.15', '6.1', '6.6', '6.8']);
    expect(kernelsFrom('6.9')[0]).toBe('6.9');
    expect([...kernelsBefore('6.12'), ...kernelsFrom('6.12')]).toEqual(kernelsFrom('5.15'));
    expect(kernelsFrom('6.11')).toEqual(kernelsFrom('6.12'));
    expect(() => kernelsFrom('latest')).toThrow(/'latest' is no release of Linux/);
  });
});

describe('a story that contradicts itself', () => {
  const telling = (tell: (story: Story) => void) => () => runScenario(scenario('wrong', tell));

  it.each<[string, RegExp, (story: Story) => void]>([
    [
      'expects something of a kernel without a preset',
      /expects something of kernel 6.99; there are 5.15, 6.1,/,
      ({ host, expect: expected }) => expected.kernel('6.99', () => host.vm('a').survived()),
    ],
    ['has no VM', /no VM; give it one/, () => {}],
    [
      'has two VMs of one name',
      /VM called 'a' is there already/,
      ({ host }) => void [host.vm('a'), host.vm('a')],
    ],
    [
      'has two devices of one name',
      /device called 'x' is plugged already/,
      ({ host }) => {
        for (const size of ['4K', '8K']) host.plug(emulated('x', { size }));
      },
    ],
    [
      'assigns a BAR that is not there',
      /'nic' has no region 3/,
      ({ host }) => void host.plug(vfioPci('nic', { bars: [{ size: '4K' }] })).bar(3),
    ],
    [
      'assigns two regions to one place',
      /nic.BAR1 at 0x10000000 of VM 'a': nic.BAR0 is there/,
      ({ host }) => {
        const nic = host.plug(vfioPci('nic', { bars: [{ size: '4K' }, { size: '4K' }] }));
        const vm = host.vm('a');
        for (const bar of [0, 1]) vm.assign(nic.bar(bar), { at: 0x1000_0000 });
      },
    ],
    [
      'assigns a region over RAM',
      /RAM is there at 0x40000000/,
      ({ host }) => {
        const nic = host.plug(vfioPci('nic', { bars: [{ size: '4K' }] }));
        host.vm('a').assign(nic.bar(0), { at: 0x4000_0000 });
      },
    ],
    [
      'assigns a region off page alignment',
      /multiple of the page size/,
      ({ host }) => {
        const nic = host.plug(vfioPci('nic', { bars: [{ size: '4K' }] }));
        host.vm('a').assign(nic.bar(0), { at: 0x1000_0800 });
      },
    ],
    [
      'assigns a region beyond the IPA size',
      /beyond the 32 bits of IPA/,
      ({ host }) => {
        const nic = host.plug(vfioPci('nic', { bars: [{ size: '4K' }] }));
        host.vm('a', { ipaBits: 32 }).assign(nic.bar(0), { at: 2 ** 33 });
      },
    ],
    [
      'asks for more IPA than the host has',
      /50 bits of IPA; this host has 48/,
      ({ host }) => void host.vm('a', { ipaBits: 50 }),
    ],
    [
      'runs two programs on one vCPU',
      /vCPU 0 has a program already/,
      ({ host }) => {
        const vcpu = host.vm('a').vcpu(0);
        for (const _ of [0, 1]) vcpu.run(function* () {});
      },
    ],
    [
      'asks for the GICC of a VM without GICv2',
      /no GICC; give it vgic: 2/,
      ({ host }) => void host.vm('a').gicc(),
    ],
    [
      'gives a VM a size that is none',
      /VM 'a': size 64 MB is no number/,
      ({ host }) => void host.vm('a', { ram: '64 MB' }),
    ],
  ])('%s', (_what, words, tell) => expect(telling(tell)).toThrow(words));
});
