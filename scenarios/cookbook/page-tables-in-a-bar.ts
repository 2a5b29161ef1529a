// A boot loader puts its page tables into the fast memory of a card's BAR, and on an older host the guest hangs at the
// first instruction behind the switch of the MMU, at full load, without a message. What happened: KVM runs guests with
// HCR_EL2.PTW, so that a walk which meets Device memory at stage 2 takes a permission fault; KVM takes that for a
// write, widens permissions that are wide already, and the walk faults again. Over Normal-NC it reads the tables.
// Source: HCR_GUEST_FLAGS in asm/kvm_arm.h ("Take a stage2 fault if a stage1 walk steps in device memory"),
// kvm_is_write_fault(), DDI0487 D8.6.3. What to do: keep page tables in RAM; a BAR cannot hold them before Linux 6.9.

import { deviceNGnRnE, kernelsBefore, kernelsFrom, scenario, stage1Tables, vfioPci } from 'stagetwo';

const VA = 0x8000_0000;
const SECRET = 0x600d_cafen;

export default scenario('page tables in a BAR', ({ host, expect }) => {
  const card = host.plug(vfioPci('card', { bars: [{ size: '64K', prefetchable: true }, { size: '64K' }] }));
  const vm = host.vm('guest', { ram: '16M' });
  const bar = vm.assign(card.bar(0), { at: 0x1000_0000 });
  const data = vm.assign(card.bar(1), { at: 0x1010_0000 });

  vm.vcpu(0).run(function* (cpu) {
    yield* cpu.store(cpu.physical(data).at(0x40), { value: SECRET });
    const map = [{ va: VA, ipa: data.ipa, size: 0x1_0000, attribute: deviceNGnRnE }];
    const { aborted } = yield* cpu.useTables(stage1Tables({ in: bar, map }));
    if (aborted === null) yield* cpu.load(cpu.va(VA + 0x40));
  });

  const works = [vm.vcpu(0).finished(), vm.vcpu(0).loaded([SECRET])];
  const spins = [vm.survived(), vm.vcpu(0).ended('livelocked')];
  expect.when({ kernel: kernelsFrom('6.9'), device: 'vfio-pci' }, () => works);
  expect.when({ kernel: kernelsBefore('6.9'), device: 'vfio-pci' }, () => spins);
  expect.device(['vfio-platform', 'devmem', 'sysfs'], () => spins);
});
