// A NIC in a guest loses most of its packet rate. What happened: ENA's low-latency queue and mlx5's BlueFlame push
// descriptors by write-combining stores; at stage 2 Device-nGnRE each 8 bytes become a write of their own. Source:
// amzn/amzn-drivers PR 94, 202, 212, 215, PR 342, 348; mlx5: NVIDIA/NV-Kernels PR 17. What to do: vfio-pci on a host
// from 6.9 on, and a guest driver that maps the queue with ioremap_wc(); a BAR from sysfs stays Device (see
// sysfs-against-vfio).

import { kernelsBefore, kernelsFrom, scenario, vfioPci, writeCombining } from 'stagetwo';

const DOORBELL = 0x1000;

export default scenario('a descriptor of 128 bytes pushed to a NIC', ({ host, expect }) => {
  const nic = host.plug(vfioPci('nic', { bars: [{ size: '64K', prefetchable: true }] }));
  const vm = host.vm('guest', { ram: '16M' });
  const queue = vm.assign(nic.bar(0), { at: 0x1000_0000 });

  vm.vcpu(0).run(function* (cpu) {
    const llq = cpu.ioremap(queue, writeCombining);
    yield* cpu.burst(llq.at(0), { count: 16, size: 8 });
    yield* cpu.dmb(); // wmb() before the doorbell
    yield* cpu.store(llq.at(DOORBELL), { size: 4, value: 1n });
  });

  const eights = Array.from({ length: 16 }, () => 8);
  expect.when({ kernel: kernelsBefore('6.9'), device: 'vfio-pci' }, () =>
    nic.received({ writeSizes: [...eights, 4] }),
  );
  expect.device(['vfio-platform', 'devmem', 'sysfs'], () => nic.received({ writeSizes: [...eights, 4] }));
  expect.when({ kernel: kernelsFrom('6.9'), device: 'vfio-pci' }, () =>
    nic.received({ writeSizes: [64, 64, 4] }),
  );
});
