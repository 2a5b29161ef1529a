// A read-only memslot over a BAR: loads use the mapping, stores are no business of stage 2. KVM maps the page without
// write permission, and a store into it leaves to the VMM as KVM_EXIT_MMIO; the leaf keeps its memory type. With a
// store pair there is no syndrome to emulate from, and the VM dies of ENOSYS. Source: measured leaves of read-only
// slots on 6.1.192 and 6.12.117 (prot 0xc and 0x14), io_mem_abort().

import { deviceNGnRE, scenario, vfioPci } from 'stagetwo';

export default scenario('a read-only slot over a BAR', ({ host, expect }) => {
  const flash = host.plug(vfioPci('flash', { bars: [{ size: '64K' }] }));
  const vm = host.vm('guest', { ram: '16M' });
  const rom = vm.assign(flash.bar(0), { at: 0x1000_0000, readonly: true });

  vm.vcpu(0).run(function* (cpu) {
    const mapped = cpu.ioremap(rom, deviceNGnRE);
    yield* cpu.load(mapped.at(0x10), { size: 4 });
    yield* cpu.store(mapped.at(0x10), { size: 4, value: 0x90n });
    yield* cpu.load(mapped.at(0x14), { size: 4 });
    yield* cpu.storePair(mapped.at(0x20), { size: 16 });
  });

  expect.device(['vfio-pci', 'vfio-platform', 'devmem', 'sysfs'], () => [
    rom.leaf({ write: false }),
    vm.vcpu(0).outcomes(['completed', 'mmio-exited', 'completed', 'run-failed']),
    vm.died({ errno: 'ENOSYS', because: 'no-valid-syndrome' }),
  ]);
  expect.kernel('6.1', () => rom.leaf({ type: 'Device-nGnRE' }));
  expect.when({ kernel: '6.12', device: 'vfio-pci' }, () => rom.leaf({ type: 'Normal Non-cacheable' }));
});
