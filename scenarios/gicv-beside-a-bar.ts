// One VM, one host, two memory types: a PCI BAR becomes Normal-NC where the kernel allows it, the CPU interface of the
// GICv2 stays Device-nGnRE under every kernel. Reading GICC_IAR acknowledges an interrupt, so a read that nobody asked
// for, as Normal memory permits, would lose one: with Device one load is one acknowledge. Source: cover letter of the
// 6.9 change (v9, 24 February 2024), on why GICv2's virtual CPU interface was left out.

import { deviceNGnRE, gicv2, kernelsBefore, kernelsFrom, scenario, vfioPci, writeCombining } from 'stagetwo';

/** An SPI of the VMM's choice, and the offsets that concern it. */
const INTID = 40n;
const GICD_CTLR = 0x000;
const GICD_ISENABLER1 = 0x104;
const GICC_CTLR = 0x00;
const GICC_PMR = 0x04;
const GICC_IAR = 0x0c;
const GICC_EOIR = 0x10;
const SPURIOUS = 1023n;

export default scenario('GICV beside a BAR', ({ host, expect }) => {
  const gpu = host.plug(vfioPci('gpu', { bars: [{ size: '4M', prefetchable: true }] }));
  host.plug(gicv2('gic'));
  const vm = host.vm('guest', { vgic: 2 });
  const bar = vm.assign(gpu.bar(0), { at: 0x1000_0000 });
  const gicc = vm.gicc();
  const ready = host.signal('the guest takes interrupts');
  const high = host.signal('the line is high');
  const acknowledged = host.signal('the guest has acknowledged');
  const low = host.signal('the line is low');

  vm.vcpu(0).run(function* (cpu) {
    const distributor = cpu.ioremap(vm.gicd(), deviceNGnRE);
    const interrupts = cpu.ioremap(gicc, deviceNGnRE);
    const pixels = cpu.ioremap(bar, writeCombining);
    yield* cpu.store(distributor.at(GICD_CTLR), { size: 4, value: 1n });
    yield* cpu.store(distributor.at(GICD_ISENABLER1), { size: 4, value: 1n << (INTID - 32n) });
    yield* cpu.store(interrupts.at(GICC_PMR), { size: 4, value: 0xf0n });
    yield* cpu.store(interrupts.at(GICC_CTLR), { size: 4, value: 1n });
    yield* cpu.raise(ready);
    yield* cpu.await(high);
    const taken = yield* cpu.load(interrupts.at(GICC_IAR), { size: 4 });
    yield* cpu.raise(acknowledged);
    yield* cpu.burst(pixels.at(0), { count: 8, size: 8 });
    yield* cpu.await(low);
    if (taken.value !== null) yield* cpu.store(interrupts.at(GICC_EOIR), { size: 4, value: taken.value });
    yield* cpu.load(interrupts.at(GICC_IAR), { size: 4 });
  });

  host.run(function* (vmm) {
    yield* vmm.await(ready);
    yield* vmm.irqLine(vm, { intid: Number(INTID), level: true });
    yield* vmm.raise(high);
    yield* vmm.await(acknowledged);
    yield* vmm.irqLine(vm, { intid: Number(INTID), level: false });
    yield* vmm.raise(low);
  });

  expect.always(() => [
    vm.survived(),
    gicc.leaf({ type: 'Device-nGnRE', because: 'gicv-is-a-shared-peripheral' }),
    vm.vcpu(0).loaded([INTID, SPURIOUS]),
  ]);
  expect.kernel(kernelsBefore('6.9'), () => [
    bar.leaf({ type: 'Device-nGnRE' }),
    gpu.received({ writes: 8, bytes: 64 }),
  ]);
  expect.when({ kernel: kernelsFrom('6.9'), device: 'vfio-pci' }, () => [
    bar.leaf({ type: 'Normal Non-cacheable' }),
    gpu.received({ writes: 1, bytes: 64 }),
  ]);
});
