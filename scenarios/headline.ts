// A guest maps device memory write-combining, writes a burst of eight aligned 8-byte stores and then one store that
// is not aligned, as memcpy does. Whether the burst arrives as one write of 64 bytes, and whether the last store ends
// the VM, depends on the kernel and on who mapped the memory: vary both. Source: cover letter and commits of the 6.9
// change (8c47ce3e1d2c, a39d3a966a09): vfio-pci sets VM_ALLOW_ANY_UNCACHED, everyone else does not.

import { kernelsBefore, kernelsFrom, scenario, vfioPci, writeCombining } from 'stagetwo';

const UNSUPPORTED_FSC = /Unsupported FSC: EC=0x24 xFSC=0x21/;

export default scenario('a write-combining burst and one unaligned store', ({ host, expect }) => {
  const device = host.plug(vfioPci('device', { bars: [{ size: '16M', prefetchable: true }] }));
  const vm = host.vm('guest', { ram: '64M' });
  const bar = vm.assign(device.bar(0), { at: 0x1000_0000 });

  vm.vcpu(0).run(function* (cpu) {
    const wc = cpu.ioremap(bar, writeCombining);
    yield* cpu.burst(wc.at(0x000), { count: 8, size: 8, value: 0x0102_0304_0506_0708n });
    yield* cpu.dmb();
    yield* cpu.store(wc.at(0x104), { size: 8 }); // four bytes off: the tail of a memcpy
  });

  const isDevice = () => [
    bar.leaf({ type: 'Device-nGnRE', memAttr: 0b0001 }),
    vm.died({ errno: 'EFAULT', log: UNSUPPORTED_FSC, because: 'unsupported-fsc' }),
    device.received({ writeSizes: [8, 8, 8, 8, 8, 8, 8, 8] }),
  ];
  expect.kernel(kernelsBefore('6.9'), isDevice);
  expect.when({ kernel: kernelsFrom('6.9'), device: ['vfio-platform', 'devmem', 'sysfs', 'gicv'] }, isDevice);
  expect.when({ kernel: kernelsFrom('6.9'), device: 'vfio-pci' }, () => [
    bar.leaf({ type: 'Normal Non-cacheable', memAttr: 0b0101, because: 'vma-allows-any-uncached' }),
    vm.survived(),
    device.received({ writeSizes: [64, 8] }),
  ]);
});
