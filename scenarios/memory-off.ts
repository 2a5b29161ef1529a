// Someone clears the PCI command register's memory enable while a guest uses the BAR: vfio-pci zaps every mapping, the
// MMU notifier empties stage 2, and the guest's next access finds a VFIO fault handler that answers SIGBUS. KVM_RUN
// fails with EFAULT and the VM is dead, unless the VMM took the memslot away first: then the same access is an MMIO
// exit. Source: EVE-OS pull request 6179 (2026), vfio_pci_zap_and_down_write_memory_lock().

import { deviceNGnRE, scenario, vfioPci } from 'stagetwo';

export default scenario('PCI memory switched off under a live guest', ({ host, expect }) => {
  const wifi = host.plug(vfioPci('wifi', { bars: [{ size: '64K' }] }));
  const bluetooth = host.plug(vfioPci('bluetooth', { bars: [{ size: '64K' }] }));
  const hasty = host.vm('hasty', { ram: '16M' });
  const tidy = host.vm('tidy', { ram: '16M' });
  const wifiBar = hasty.assign(wifi.bar(0), { at: 0x1000_0000 });
  const bluetoothBar = tidy.assign(bluetooth.bar(0), { at: 0x1000_0000 });
  const running = [host.signal('hasty runs'), host.signal('tidy runs')] as const;
  const off = host.signal('memory is off');

  hasty.vcpu(0).run(function* (cpu) {
    const registers = cpu.ioremap(wifiBar, deviceNGnRE);
    yield* cpu.load(registers.at(0), { size: 4 });
    yield* cpu.raise(running[0]);
    yield* cpu.await(off);
    yield* cpu.load(registers.at(0), { size: 4 });
  });
  tidy.vcpu(0).run(function* (cpu) {
    const registers = cpu.ioremap(bluetoothBar, deviceNGnRE);
    yield* cpu.load(registers.at(0), { size: 4 });
    yield* cpu.raise(running[1]);
    yield* cpu.await(off);
    yield* cpu.load(registers.at(0), { size: 4 });
  });

  host.run(function* (vmm) {
    for (const signal of running) yield* vmm.await(signal);
    yield* vmm.pciCommand(wifi, { memory: false });
    yield* vmm.deleteSlot(bluetoothBar); // by hand, and first: a VMM that follows its guest's config space is later
    yield* vmm.pciCommand(bluetooth, { memory: false });
    yield* vmm.raise(off);
  });

  expect.device('vfio-pci', () => [
    hasty.died({ errno: 'EFAULT', because: 'device-memory-disabled' }),
    tidy.survived(),
    tidy.vcpu(0).outcomes(['completed', 'mmio-exited']),
    wifi.received({ reads: 1 }),
  ]);
  expect.device('devmem', () => [hasty.survived(), wifi.received({ reads: 2 })]);
});
