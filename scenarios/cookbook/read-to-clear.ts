// An interrupt cause that is cleared by reading it vanishes once the driver maps its BAR write-combining. What
// happened: Normal memory may be read without a load asking; a prefetch of the neighbouring line is enough. At stage 2
// Device the guest's mistake did no harm, from 6.9 on its own choice counts. Source: DDI0487 B2.10.1; PCI 3.0 6.2.5.1
// (such a BAR must not be prefetchable); SysArch-ACS PCI_MM_03 tests prefetchable BARs only. What to do: ioremap()
// for registers, ioremap_wc() for the frame buffer or queue alone, in separate mappings.

import { deviceNGnRE, kernelsBefore, kernelsFrom, scenario, vfioPci, writeCombining } from 'stagetwo';

const CAUSE = 0xc0;
const registers = [{ name: 'ICR', offset: CAUSE, access: 'RC', reset: 0x4 }] as const;

export default scenario('an interrupt cause that a read clears', ({ host, expect }) => {
  const careless = host.plug(vfioPci('careless', { bars: [{ size: '64K', registers }] }));
  const careful = host.plug(vfioPci('careful', { bars: [{ size: '64K', registers }] }));
  const vm = host.vm('guest', { ram: '16M' });
  const wc = vm.assign(careless.bar(0), { at: 0x1000_0000 });
  const io = vm.assign(careful.bar(0), { at: 0x1001_0000 });

  vm.vcpu(0).run(function* (cpu) {
    for (const [bar, type] of [
      [wc, writeCombining],
      [io, deviceNGnRE],
    ] as const) {
      const mapped = cpu.ioremap(bar, type);
      yield* cpu.load(mapped.at(0x80), { size: 4 });
      yield* cpu.prefetch(mapped.at(CAUSE));
      yield* cpu.load(mapped.at(CAUSE), { size: 4 });
    }
  });

  expect.when({ kernel: kernelsBefore('6.9'), device: 'vfio-pci' }, () =>
    vm.vcpu(0).loaded([0n, 4n, 0n, 4n]),
  );
  expect.when({ kernel: kernelsFrom('6.9'), device: 'vfio-pci' }, () => vm.vcpu(0).loaded([0n, 0n, 0n, 4n]));
  expect.device(['vfio-platform', 'devmem', 'sysfs'], () => vm.vcpu(0).loaded([0n, 4n, 0n, 4n]));
});
