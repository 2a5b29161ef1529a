// A compiler merges two stores to a virtio device's registers into one STP, and the VM stops with "Function not
// implemented". What happened: pairs and vector registers give ESR_EL2.ISV = 0, and an emulated device has no memory
// to fall back on. Source: virtio-win/kvm-guest-drivers-windows 177, linux-nvme/nvme-cli PR 2397 (a volatile loop
// vectorised). What to do: write registers by accessors of one register each (WRITE_REGISTER_ULONG, writel()), mark
// the access volatile and forbid vectorisation, or enable KVM_CAP_ARM_NISV_TO_USER in the VMM.

import { deviceNGnRE, emulated, scenario } from 'stagetwo';

const registers = [
  { name: 'queue_desc', offset: 0x20, size: 8 },
  { name: 'queue_driver', offset: 0x28, size: 8 },
] as const;

export default scenario('two queue addresses in one store pair', ({ host, expect }) => {
  const virtio = host.plug(emulated('virtio', { size: '4K', registers }));
  const driver = host.vm('driver', { ram: '16M' });
  const fixed = host.vm('fixed', { ram: '16M' });
  const windows = [driver, fixed].map((vm) => vm.assign(virtio.region(0), { at: 0x0a00_0000 }));
  const [merged, single] = windows;
  if (merged === undefined || single === undefined) return;

  driver.vcpu(0).run(function* (cpu) {
    yield* cpu.storePair(cpu.ioremap(merged, deviceNGnRE).at(0x20), { size: 16 });
  });
  fixed.vcpu(0).run(function* (cpu) {
    yield* cpu.store(cpu.ioremap(single, deviceNGnRE).at(0x20), { size: 8, value: 0x4000_0000n });
    yield* cpu.store(cpu.ioremap(single, deviceNGnRE).at(0x28), { size: 8, value: 0x4000_1000n });
  });

  expect.always(() => [
    driver.died({ errno: 'ENOSYS', log: /Function not implemented/ }),
    fixed.survived(),
    virtio.received({ writeSizes: [8, 8] }),
  ]);
});
