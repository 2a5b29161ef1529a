// memset() of zeros kills a VM although every address is aligned. What happened: large memsets use DC ZVA, which takes
// an Alignment fault on any Device type, however aligned (DDI0487 B2.10.2). Source: GPUs on Arm boards,
// geerlingguy/raspberry-pi-pcie-devices 4, 6, 222, 336 (memcpy and DC ZVA in user drivers). What to do: a host from
// 6.9 on with vfio-pci; until then memset_io() in drivers, and a loop of plain stores in user space.

import { kernelsBefore, kernelsFrom, scenario, vfioPci, writeCombining } from 'stagetwo';

export default scenario('memset of zeros into a BAR', ({ host, expect }) => {
  const gpu = host.plug(vfioPci('gpu', { bars: [{ size: '16M', prefetchable: true }] }));
  const vm = host.vm('guest', { ram: '16M' });
  const bar = vm.assign(gpu.bar(0), { at: 0x1000_0000 });

  vm.vcpu(0).run(function* (cpu) {
    const wc = cpu.ioremap(bar, writeCombining);
    yield* cpu.store(wc.at(0x00), { size: 16, value: 0n });
    yield* cpu.dcZva(wc.at(0x40));
    yield* cpu.dcZva(wc.at(0x80));
  });

  expect.when({ kernel: kernelsBefore('6.9'), device: 'vfio-pci' }, () => [
    vm.died({ errno: 'EFAULT', because: 'unsupported-fsc' }),
    gpu.received({ writeSizes: [16] }),
  ]);
  expect.when({ kernel: kernelsFrom('6.9'), device: 'vfio-pci' }, () => [
    vm.survived(),
    gpu.received({ writeSizes: [64, 64, 16] }),
  ]);
});
