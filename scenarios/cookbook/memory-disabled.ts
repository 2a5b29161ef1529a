// The guest's driver clears COMMAND.MEM while another part of it still polls the BAR: the VM aborts. What happened:
// vfio-pci zaps its mappings and its fault handler answers SIGBUS until memory is on again; KVM_RUN gives EFAULT.
// A reset does the same and ends with memory on: nobody notices. Source: lf-edge/eve PR 6179 (2026),
// vfio_pci_zap_and_down_write_memory_lock(). What to do: the VMM deletes the memslot before it lets the write through,
// as QEMU does, so that the access is emulated; in the guest, stop the pollers first.

import { deviceNGnRE, scenario, vfioPci } from 'stagetwo';

export default scenario('memory decoding off, or only reset, under a live guest', ({ host, expect }) => {
  const wifi = host.plug(vfioPci('wifi', { bars: [{ size: '64K' }] }));
  const vms = [host.vm('reset', { ram: '16M' }), host.vm('off', { ram: '16M' })] as const;
  const nvme = host.plug(vfioPci('nvme', { bars: [{ size: '64K' }] }));
  const bars = [
    vms[0].assign(nvme.bar(0), { at: 0x1000_0000 }),
    vms[1].assign(wifi.bar(0), { at: 0x1000_0000 }),
  ] as const;
  const polled = [host.signal('nvme polled'), host.signal('wifi polled')] as const;
  const done = host.signal('both devices changed');

  for (const index of [0, 1] as const) {
    vms[index].vcpu(0).run(function* (cpu) {
      const registers = cpu.ioremap(bars[index], deviceNGnRE);
      yield* cpu.load(registers.at(0), { size: 4 });
      yield* cpu.raise(polled[index]);
      yield* cpu.await(done);
      yield* cpu.load(registers.at(0), { size: 4 });
    });
  }
  host.run(function* (vmm) {
    for (const signal of polled) yield* vmm.await(signal);
    yield* vmm.reset(nvme);
    yield* vmm.pciCommand(wifi, { memory: false });
    yield* vmm.raise(done);
  });

  expect.device('vfio-pci', () => [
    vms[0].survived(),
    vms[0].vcpu(0).outcomes(['completed', 'completed']),
    vms[1].died({ errno: 'EFAULT', because: 'device-memory-disabled' }),
  ]);
});
