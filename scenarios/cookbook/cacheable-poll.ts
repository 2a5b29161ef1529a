// A driver starts its device and polls for the end through memremap(MEMREMAP_WB), and the first polls come too early.
// What happened: stage 2 lowers the guest's Write-Back to Device or to Non-cacheable, so nothing is cached and the poll
// ends. At Device the non-posted read stays behind the posted write, from 6.9 on it may pass it. Source: DDI0487
// B2.10.1 and D8.6; Documentation/driver-api/device-io.rst. What to do: ioremap() for registers; through a
// Normal mapping a DSB between the command and the poll.

import { check, kernelsBefore, kernelsFrom, normalWriteBack, scenario, vfioPci } from 'stagetwo';

const START = 0x00;
const STATUS = 0x40;
const registers = [
  { name: 'START', offset: START, access: 'WO' },
  { name: 'STATUS', offset: STATUS, access: 'RO' },
] as const;

export default scenario('a status register polled through a cacheable mapping', ({ host, expect }) => {
  const dma = host.plug(vfioPci('dma', { bars: [{ size: '64K', registers }] }));
  const vm = host.vm('guest', { ram: '16M' });
  const bar = vm.assign(dma.bar(0), { at: 0x1000_0000 });

  vm.vcpu(0).run(function* (cpu) {
    const mapped = cpu.ioremap(bar, normalWriteBack);
    yield* cpu.store(mapped.at(START), { size: 4, value: 1n });
    yield* cpu.load(mapped.at(STATUS), { size: 4 });
    yield* cpu.dsb();
    yield* cpu.load(mapped.at(STATUS), { size: 4 });
  });

  const arrived = (...kinds: ('read' | 'write')[]) =>
    check('order at the device', kinds.join(', '), ({ devices }) =>
      (devices[0]?.transactions ?? []).map(({ kind }) => kind).join(', '),
    );
  expect.device(['vfio-platform', 'devmem', 'sysfs'], () => arrived('write', 'read', 'read'));
  expect.when({ kernel: kernelsBefore('6.9'), device: 'vfio-pci' }, () => arrived('write', 'read', 'read'));
  expect.when({ kernel: kernelsFrom('6.9'), device: 'vfio-pci' }, () => [
    bar.leaf({ type: 'Normal Non-cacheable' }),
    arrived('read', 'write', 'read'),
  ]);
});
