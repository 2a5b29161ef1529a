// A guest jumps into a BAR, as firmware would that runs an option ROM in place. Device memory is never executable at
// stage 2, Normal-NC or not: user_mem_abort() refuses with -ENOEXEC, nothing is mapped, and the guest takes a prefetch
// abort of KVM's making. 6.1 shows ESR_EL1 sign-extended. An ioremap() mapping would not get that far: stage 1 itself
// maps it execute-never. Source: measured on 6.1.192 and 6.12.117 (0xffffffff86000010 and 0x86000010).

import { deviceNGnRE, executable, scenario, vfioPci, writeCombining } from 'stagetwo';

export default scenario('execution from a BAR', ({ host, expect }) => {
  const nic = host.plug(vfioPci('nic', { bars: [{ size: '64K' }] }));
  const vm = host.vm('guest', { ram: '16M' });
  const rom = vm.assign(nic.bar(0), { at: 0x1000_0000 });

  vm.vcpu(0).run(function* (cpu) {
    yield* cpu.fetch(cpu.ioremap(rom, deviceNGnRE).at(0));
    const code = cpu.ioremap(rom, executable(writeCombining));
    const jump = yield* cpu.fetch(code.at(0));
    if (jump.aborted !== null) yield* cpu.store(cpu.ram(0), { size: 8 }); // the handler takes a note and goes on
  });

  expect.always(() => [
    vm.survived(),
    vm.saw({ abort: 'instruction', from: 'stage-1', because: 'stage1-refuses' }),
    vm.vcpu(0).outcomes(['stage1-faulted', 'abort-injected', 'completed']),
    nic.received({ reads: 0, writes: 0 }),
  ]);
  expect.device(['vfio-pci', 'vfio-platform', 'devmem', 'sysfs'], () => [
    rom.neverMapped(),
    vm.saw({ abort: 'instruction', from: 'host', because: 'exec-of-device' }),
  ]);
  expect.when({ kernel: '6.1', device: 'vfio-pci' }, () =>
    vm.saw({ abort: 'instruction', esr: 0xffff_ffff_8600_0010n }),
  );
  expect.when({ kernel: '6.12', device: 'vfio-pci' }, () =>
    vm.saw({ abort: 'instruction', esr: 0x8600_0010n }),
  );
});
