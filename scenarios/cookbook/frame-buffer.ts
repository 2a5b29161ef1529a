// Why vfio-pci may let a guest choose Normal-NC for a frame buffer: whatever a processor makes of it, what was written
// is what is read. What happened: nothing, on any kernel; `stagetwo hunt frame-buffer` looks for the behaviour that
// would break it and finds none. Source: a39d3a966a09; PCI 3.0 6.2.5.1 (prefetchable: reads without side effects,
// writes that may be merged). What to do: mark such BARs prefetchable in a device of your own, and keep registers with
// side effects in another BAR.

import { scenario, vfioPci, writeCombining } from 'stagetwo';

export default scenario('pixels into a frame buffer and back', ({ host, expect }) => {
  const gpu = host.plug(vfioPci('gpu', { bars: [{ size: '64K', prefetchable: true }] }));
  const vm = host.vm('guest', { ram: '16M' });
  const pixels = vm.assign(gpu.bar(0), { at: 0x1000_0000 });

  vm.vcpu(0).run(function* (cpu) {
    const wc = cpu.ioremap(pixels, writeCombining);
    yield* cpu.store(wc.at(0x00), { size: 8, value: 0x1111_1111n });
    yield* cpu.store(wc.at(0x08), { size: 4, value: 0x2222n });
    yield* cpu.store(wc.at(0x00), { size: 4, value: 0x3333n });
    yield* cpu.load(wc.at(0x00), { size: 8 });
    yield* cpu.dsb();
    yield* cpu.load(wc.at(0x08), { size: 4 });
  });

  expect.device(['vfio-pci', 'vfio-platform', 'devmem', 'sysfs'], () => [
    vm.survived(),
    vm.vcpu(0).loaded([0x3333n, 0x2222n]),
  ]);
});
