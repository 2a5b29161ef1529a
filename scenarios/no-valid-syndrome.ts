// Three stores into an emulated register: one general register gives ESR_EL2.ISV = 1 and KVM can tell the VMM what to
// emulate; the post-indexed form gives ISV = 0, and KVM_RUN fails with ENOSYS. A VMM with KVM_CAP_ARM_NISV_TO_USER
// hears of the access instead and steps over it. Source: QNX `str w3, [x0], #4` (hsr 0x92000045), virtio-win 177,
// nvme-cli pull request 2397; io_mem_abort().

import { deviceNGnRE, emulated, scenario } from 'stagetwo';

export default scenario('an instruction without a valid syndrome', ({ host, expect }) => {
  const uart = host.plug(emulated('uart', { size: '4K', registers: [{ name: 'DR', offset: 0 }] }));
  const plain = host.vm('plain', { ram: '16M' });
  const willing = host.vm('willing', { ram: '16M', capabilities: { KVM_CAP_ARM_NISV_TO_USER: 1 } });

  for (const vm of [plain, willing]) {
    const window = vm.assign(uart.region(0), { at: 0x0900_0000 });
    vm.vcpu(0).run(function* (cpu) {
      const registers = cpu.ioremap(window, deviceNGnRE);
      yield* cpu.store(registers.at(0), { size: 4, value: 0x41n });
      yield* cpu.store(registers.at(0), { size: 4, value: 0x42n, form: 'post-index' });
      yield* cpu.store(registers.at(0), { size: 4, value: 0x43n });
    });
  }

  expect.always(() => [
    plain.died({ errno: 'ENOSYS', log: /no valid syndrome/ }),
    plain.vcpu(0).outcomes(['mmio-exited', 'run-failed']),
    willing.survived(),
    willing.vcpu(0).outcomes(['mmio-exited', 'nisv-exited', 'mmio-exited']),
    uart.received({ writes: 3, bytes: 12 }),
  ]);
});
