// A guest's memcpy into GPU memory ends the VM. What happened: for 17 to 32 bytes, copies load and store the first and
// the last 16, so the last store is not aligned; KVM had mapped the BAR Device-nGnRE. Source: "kvm/arm64: fixed
// passthrough gpu into vm on arm64" (1 April 2022), which quotes the line below. What to do: a host from 6.9 on (or
// with 8c47ce3e1d2c and a39d3a966a09), the BAR through vfio-pci; until then, aligned copies in the guest.

import { kernelsBefore, kernelsFrom, scenario, vfioPci, writeCombining } from 'stagetwo';

export default scenario('memcpy of 20 bytes into a BAR', ({ host, expect }) => {
  const gpu = host.plug(vfioPci('gpu', { bars: [{ size: '16M', prefetchable: true }] }));
  const vm = host.vm('guest', { ram: '16M' });
  const bar = vm.assign(gpu.bar(0), { at: 0x1000_0000 });

  vm.vcpu(0).run(function* (cpu) {
    const wc = cpu.ioremap(bar, writeCombining);
    yield* cpu.store(wc.at(0x00), { size: 16 });
    yield* cpu.store(wc.at(0x04), { size: 16 }); // the last 16 of 20 bytes
  });

  expect.when({ kernel: kernelsBefore('6.9'), device: 'vfio-pci' }, () =>
    vm.died({ errno: 'EFAULT', log: /Unsupported FSC: EC=0x24 xFSC=0x21 ESR_EL2=0x92000061/ }),
  );
  expect.when({ kernel: kernelsFrom('6.9'), device: 'vfio-pci' }, () => [
    vm.survived(),
    bar.leaf({ because: 'vma-allows-any-uncached' }),
    gpu.received({ writeSizes: [16, 16] }),
  ]);
});
