// QNX does not boot under KVM: it initialises the distributor with `str w3, [x0], #4`. What happened: writeback gives
// ESR_EL2.ISV = 0, so KVM cannot decode the store, even into a device of its own; KVM_RUN fails with ENOSYS. Source:
// QNX log, GICD + 0x420, hsr 0x92000045; io_mem_abort(). What to do: store without writeback in the guest (Linux' own
// accessors do), or a VMM that enables KVM_CAP_ARM_NISV_TO_USER and decodes the instruction itself.

import { deviceNGnRE, scenario } from 'stagetwo';

const GICD_IPRIORITYR8 = 0x420;

export default scenario('a post-indexed store into the distributor', ({ host, expect }) => {
  const qnx = host.vm('qnx', { ram: '16M', vgic: 2 });
  const helped = host.vm('helped', { ram: '16M', vgic: 2, capabilities: { KVM_CAP_ARM_NISV_TO_USER: 1 } });

  for (const vm of [qnx, helped]) {
    vm.vcpu(0).run(function* (cpu) {
      const gicd = cpu.ioremap(vm.gicd(), deviceNGnRE);
      yield* cpu.store(gicd.at(GICD_IPRIORITYR8), { size: 4, value: 0xa0a0_a0a0n });
      yield* cpu.store(gicd.at(GICD_IPRIORITYR8 + 4), { size: 4, value: 0xa0a0_a0a0n, form: 'post-index' });
    });
  }

  expect.always(() => [
    qnx.vcpu(0).outcomes(['mmio-handled', 'run-failed']),
    qnx.died({ errno: 'ENOSYS', because: 'no-valid-syndrome' }),
    helped.survived(),
    helped.vcpu(0).outcomes(['mmio-handled', 'nisv-exited']),
  ]);
});
