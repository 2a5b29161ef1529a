// One unaligned 16-byte store ends a VM. A guest with a passed-through GPU runs vulkaninfo; its memcpy writes GPU
// memory that stage 1 maps write-combining, one store of it not aligned. Stage 2 says Device, the alignment fault goes
// to EL2, the host logs `Unsupported FSC`, KVM_RUN returns EFAULT and QEMU stops with `kvm run failed Bad address`.
// From 6.9 on KVM maps the BAR Normal-NC and the same store completes. Source: qemu-devel, 27 January 2025.

import { kernelsBefore, kernelsFrom, scenario, vfioPci, writeCombining } from 'stagetwo';

export default scenario('one unaligned store into a PCI BAR', ({ host, expect }) => {
  const gpu = host.plug(vfioPci('gpu', { bars: [{ size: '16M', prefetchable: true }] }));
  const vm = host.vm('guest', { ram: '64M' });
  const bar = vm.assign(gpu.bar(0), { at: 0x1000_0000 });

  vm.vcpu(0).run(function* (cpu) {
    const wc = cpu.ioremap(bar, writeCombining);
    yield* cpu.store(wc.at(0x0a0), { size: 16 });
    yield* cpu.dsb();
    yield* cpu.store(wc.at(0x0c4), { size: 16 }); // the memcpy: 12 bytes short of a vector's alignment
  });

  expect.when({ kernel: kernelsBefore('6.9'), device: 'vfio-pci' }, () => [
    bar.leaf({ type: 'Device-nGnRE', because: 'kernel-before-normal-nc' }),
    vm.died({ errno: 'EFAULT', log: /Unsupported FSC: EC=0x24 xFSC=0x21 ESR_EL2=0x92000061/ }),
    vm.died({ log: /kvm run failed Bad address/ }),
    gpu.received({ writes: 1, bytes: 16 }),
  ]);
  expect.when({ kernel: kernelsFrom('6.9'), device: 'vfio-pci' }, () => [
    bar.leaf({ type: 'Normal Non-cacheable', because: 'vma-allows-any-uncached' }),
    vm.survived(),
    vm.vcpu(0).finished(),
    gpu.received({ writes: 2, bytes: 32 }),
  ]);
});
