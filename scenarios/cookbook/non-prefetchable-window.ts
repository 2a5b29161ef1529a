// The GPU's BAR lies in a non-prefetchable window, the guest's driver maps it with ioremap(), and the program that
// copies into it takes SIGBUS on every kernel. What happened: stage 1 itself is Device, so that the Alignment fault
// goes to the guest's EL1 and KVM never hears of it. Source: geerlingguy/raspberry-pi-pcie-devices 336 (SOQuartz;
// Robin Murphy's explanation). What to do: a 64-bit prefetchable window in the guest's device tree or firmware, so
// that its driver maps write-combining; a newer host changes nothing here.

import { deviceNGnRE, scenario, vfioPci, writeCombining } from 'stagetwo';

/** EC 0x25, IL, WnR, DFSC 0x21. */
const ALIGNMENT_FAULT_AT_EL1 = 0x9600_0061n;

export default scenario('a GPU behind a non-prefetchable window', ({ host, expect }) => {
  const bars = [
    { size: '16M', prefetchable: false, memory: true },
    { size: '16M', prefetchable: true },
  ] as const;
  const gpu = host.plug(vfioPci('gpu', { bars }));
  const vm = host.vm('guest', { ram: '16M' });
  const wrong = vm.assign(gpu.bar(0), { at: 0x1000_0000 });
  const right = vm.assign(gpu.bar(1), { at: 0x2000_0000 });

  vm.vcpu(0).run(function* (cpu) {
    const copied = yield* cpu.store(cpu.ioremap(wrong, deviceNGnRE).at(0x04), { size: 16 });
    if (copied.aborted === null) return;
    yield* cpu.store(cpu.ioremap(right, writeCombining).at(0x00), { size: 16 });
  });

  expect.device(['vfio-pci', 'vfio-platform', 'devmem', 'sysfs'], () => [
    vm.survived(),
    vm.saw({ abort: 'data', from: 'stage-1', because: 'stage1-alignment', esr: ALIGNMENT_FAULT_AT_EL1 }),
    wrong.neverMapped(),
  ]);
  expect.device('vfio-pci', () => gpu.received({ writeSizes: [16] }));
});
