// A driver clears its status through a write-combining mapping, ends the interrupt, and gets it again for nothing.
// What happened: from 6.9 on the store waits in the store buffer while the EOI goes ahead; VFIO unmasks and finds the
// line high. Before, stage 2 made it Device. Source: 8c47ce3e1d2c (Normal-NC), Linux driver-api/device-io.rst on
// ioremap_wc(). What to do: map registers with ioremap(), or put a DSB or a load of the register before the EOI.

import { deviceNGnRE, gicv2, kernelsBefore, kernelsFrom, scenario, vfioPci, writeCombining } from 'stagetwo';

const registers = [{ name: 'ISR', offset: 0x0, access: 'W1C' }] as const;

export default scenario('a level interrupt that comes twice', ({ host, expect }) => {
  const interrupts = [{ name: 'INTA', status: 'ISR' }];
  const nic = host.plug(vfioPci('nic', { bars: [{ size: '4K', registers }], interrupts }));
  host.plug(gicv2('gic'));
  const vm = host.vm('guest', { ram: '16M', vgic: 2 });
  const bar = vm.assign(nic.bar(0), { at: 0x1000_0000 });
  vm.connect(nic, 'INTA', 8); // INTID 40

  vm.vcpu(0).run(function* (cpu) {
    const gicd = cpu.ioremap(vm.gicd(), deviceNGnRE);
    const gicc = cpu.ioremap(vm.gicc(), deviceNGnRE);
    const isr = cpu.ioremap(bar, writeCombining).at(0);
    yield* cpu.store(gicd.at(0xc08), { size: 4, value: 0n }); // GICD_ICFGR2: levels
    yield* cpu.store(gicd.at(0x000), { size: 4, value: 1n }); // GICD_CTLR
    yield* cpu.store(gicd.at(0x104), { size: 4, value: 1n << 8n }); // GICD_ISENABLER1
    yield* cpu.store(gicc.at(0x04), { size: 4, value: 0xf0n }); // GICC_PMR
    yield* cpu.store(gicc.at(0x00), { size: 4, value: 1n }); // GICC_CTLR
    yield* cpu.vectors({
      *irq(handler) {
        yield* handler.load(gicc.at(0x0c), { size: 4 }); // GICC_IAR
        const causes = yield* handler.load(isr, { size: 4 });
        if (causes.value !== 0n) yield* handler.store(isr, { size: 4, value: 1n });
        yield* handler.store(gicc.at(0x10), { size: 4, value: 40n }); // GICC_EOIR
      },
    });
    yield* cpu.wfi();
    yield* cpu.unmaskInterrupts();
  });
  host.run(function* (vmm) {
    yield* vmm.deviceSets(nic, 'ISR', 1n);
  });

  expect.kernel(kernelsBefore('6.9'), () => vm.vcpu(0).acknowledged([40]));
  expect.when({ kernel: kernelsFrom('6.9'), device: 'vfio-pci' }, () => vm.vcpu(0).acknowledged([40, 40]));
});
