// The same BAR, two ways into a VM: through vfio-pci it combines writes, through /sys/bus/pci/.../resource0 it does
// not. What happened: VM_ALLOW_ANY_UNCACHED is set by vfio-pci alone; sysfs, /dev/mem and UIO make a plain PFNMAP, and
// KVM maps what is not RAM without the flag as Device-nGnRE, whatever page_prot says (resource0_wc too). Source:
// a39d3a966a09; DPDK in guests with UIO, amzn/amzn-drivers 212. What to do: bind vfio-pci; there is no knob elsewhere.

import { kernelsFrom, scenario, vfioPci, writeCombining } from 'stagetwo';

export default scenario('a BAR through vfio-pci and one through sysfs', ({ host, expect }) => {
  const bars = [{ size: '64K', prefetchable: true }] as const;
  const bound = host.plug(vfioPci('bound', { bars }));
  const unbound = host.plug(vfioPci('unbound', { bars }));
  const vm = host.vm('guest', { ram: '16M' });
  const throughVfio = vm.assign(bound.bar(0), { at: 0x1000_0000 });
  const throughSysfs = vm.assign(unbound.bar(0), { at: 0x1001_0000, as: 'sysfs' });

  vm.vcpu(0).run(function* (cpu) {
    for (const bar of [throughVfio, throughSysfs]) {
      yield* cpu.burst(cpu.ioremap(bar, writeCombining).at(0), { count: 8, size: 8 });
    }
  });

  expect.when({ kernel: kernelsFrom('6.9'), device: 'vfio-pci' }, ({ variant }) => [
    throughVfio.leaf({ type: 'Normal Non-cacheable', because: 'vma-allows-any-uncached' }),
    bound.received({ writeSizes: [64] }),
    ...(variant.device === undefined
      ? [
          throughSysfs.leaf({ type: 'Device-nGnRE', because: 'device-pfn-without-flag' }),
          unbound.received({ writes: 8 }),
        ]
      : []),
  ]);
});
