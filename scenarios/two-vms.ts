// Two VMs on one host, a device each at the same guest address: separate tables, separate fates. One guest writes its
// BAR with aligned stores only, the other ends with an unaligned one; before 6.9 that costs the second its life and
// the first nothing. The order in which their vCPUs go is drawn from the seed and recorded with the run. Source: case
// of two VMs with the same gpa (separate VMIDs, roots and entries; a VFIO group is never in both).

import { kernelsBefore, kernelsFrom, scenario, vfioPci, writeCombining } from 'stagetwo';

export default scenario('two VMs with a device each', ({ host, expect }) => {
  const nic = host.plug(vfioPci('nic', { bars: [{ size: '64K' }] }));
  const gpu = host.plug(vfioPci('gpu', { bars: [{ size: '64K' }] }));
  const careful = host.vm('careful', { ram: '16M' });
  const careless = host.vm('careless', { ram: '16M' });
  const doorbells = careful.assign(nic.bar(0), { at: 0x1000_0000 });
  const pixels = careless.assign(gpu.bar(0), { at: 0x1000_0000 });

  for (const index of [0, 1]) {
    careful.vcpu(index).run(function* (cpu) {
      const wc = cpu.ioremap(doorbells, writeCombining);
      for (let page = 0; page < 4; page += 1)
        yield* cpu.store(wc.at(0x1000 * page + 64 * index), { size: 8 });
    });
  }
  careless.vcpu(0).run(function* (cpu) {
    const wc = cpu.ioremap(pixels, writeCombining);
    yield* cpu.burst(wc.at(0), { count: 4, size: 8 });
    yield* cpu.dmb();
    yield* cpu.store(wc.at(0x21), { size: 8 });
  });

  expect.always(() => [careful.survived(), careful.vcpu(0).finished(), careful.vcpu(1).finished()]);
  expect.device(['vfio-pci', 'vfio-platform', 'devmem', 'sysfs'], () =>
    nic.received({ writes: 8, bytes: 64 }),
  );
  expect.when({ kernel: kernelsBefore('6.9'), device: 'vfio-pci' }, () => [
    careless.died({ errno: 'EFAULT' }),
    gpu.received({ writes: 4, bytes: 32 }),
  ]);
  expect.when({ kernel: kernelsFrom('6.9'), device: 'vfio-pci' }, () => [
    careless.survived(),
    gpu.received({ writes: 2, bytes: 40 }),
  ]);
});
