// Interrupts of four kinds reach a guest that handles them: a level of a vfio-platform device (irqfd with a resampler),
// a level of an emulated device (KVM_IRQ_LINE), a completion of a virtio device after a kick that did not exit
// (ioeventfd in, irqfd out), and an SGI from another vCPU. The handler reads IAR, serves the device, writes EOIR.

import type { Cpu, Steps } from 'stagetwo';
import { check, deviceNGnRE, emulated, gicv2, scenario, vfioPlatform } from 'stagetwo';

const GICD = { CTLR: 0x000, ISENABLER1: 0x104, ICFGR2: 0xc08, SGIR: 0xf00 } as const;
const GICC = { CTLR: 0x00, PMR: 0x04, IAR: 0x0c, EOIR: 0x10 } as const;
const SPI = { timer: 1, uart: 2, virtio: 3 } as const;
const FIRST_SPI = 32;
const SGI = 5n;

const STATUS = [{ name: 'STATUS', offset: 0x0, access: 'W1C' }] as const;
const wire = { name: 'irq', status: 'STATUS' } as const;

export default scenario('four ways for an interrupt to reach a guest', ({ host, expect }) => {
  const timer = host.plug(
    vfioPlatform('timer', { regions: [{ size: '4K', registers: STATUS }], interrupts: [wire] }),
  );
  const uart = host.plug(emulated('uart', { size: '4K', registers: STATUS, interrupts: [wire] }));
  const virtio = host.plug(emulated('virtio', { size: '4K', registers: STATUS, interrupts: [wire] }));
  host.plug(gicv2('gic'));
  const vm = host.vm('guest', { ram: '16M', vgic: 2 });
  const windows = {
    timer: vm.assign(timer.region(0), { at: 0x0a00_0000 }),
    uart: vm.assign(uart.region(0), { at: 0x0a00_1000 }),
    virtio: vm.assign(virtio.region(0), { at: 0x0a00_2000 }),
  };
  vm.connect(timer, 'irq', SPI.timer);
  vm.connect(uart, 'irq', SPI.uart);
  vm.connect(virtio, 'irq', SPI.virtio);
  const kick = vm.ioeventfd('kick', { at: 0x0a00_2050, size: 4 });
  const ready = host.signal('the guest takes interrupts');
  const served = host.signal('all devices are served');

  /** Both interfaces on, the three SPIs enabled and level-triggered, a handler for all of them. */
  function* boot(cpu: Cpu, handled: bigint[]): Steps<ReturnType<Cpu['ioremap']>> {
    const gicd = cpu.ioremap(vm.gicd(), deviceNGnRE);
    const gicc = cpu.ioremap(vm.gicc(), deviceNGnRE);
    yield* cpu.store(gicd.at(GICD.ICFGR2), { size: 4, value: 0n });
    yield* cpu.store(gicd.at(GICD.CTLR), { size: 4, value: 1n });
    yield* cpu.store(gicd.at(GICD.ISENABLER1), { size: 4, value: 0b1110n });
    yield* cpu.store(gicc.at(GICC.PMR), { size: 4, value: 0xf0n });
    yield* cpu.store(gicc.at(GICC.CTLR), { size: 4, value: 1n });
    yield* cpu.vectors({
      *irq(handler) {
        const { value } = yield* handler.load(gicc.at(GICC.IAR), { size: 4 });
        const device = Object.entries(SPI).find(([, spi]) => value === BigInt(spi + FIRST_SPI));
        if (device !== undefined) {
          const status = handler.ioremap(windows[device[0] as keyof typeof SPI], deviceNGnRE).at(0);
          const causes = yield* handler.load(status, { size: 4 });
          yield* handler.store(status, { size: 4, value: causes.value ?? 0n });
        }
        yield* handler.store(gicc.at(GICC.EOIR), { size: 4, value: value ?? 0n });
        handled.push(value ?? 0n);
      },
    });
    yield* cpu.unmaskInterrupts();
    return gicd;
  }

  vm.vcpu(0).run(function* (cpu) {
    const handled: bigint[] = [];
    const gicd = yield* boot(cpu, handled);
    yield* cpu.raise(ready);
    yield* cpu.store(cpu.ioremap(windows.virtio, deviceNGnRE).at(0x50), { size: 4, value: 0n });
    while (handled.length < 3) yield* cpu.wfi();
    yield* cpu.store(gicd.at(GICD.SGIR), { size: 4, value: (1n << 17n) | SGI });
    yield* cpu.raise(served);
  });

  vm.vcpu(1).run(function* (cpu) {
    const handled: bigint[] = [];
    yield* boot(cpu, handled);
    while (handled.length < 1) yield* cpu.wfi();
  });

  host.run(function* (vmm) {
    yield* vmm.await(ready);
    yield* vmm.deviceSets(timer, 'STATUS', 0b1n);
    yield* vmm.deviceSets(uart, 'STATUS', 0b1n);
    yield* vmm.await(served);
  });
  host.run(function* (vmm) {
    yield* vmm.awaitEventfd(kick);
    yield* vmm.deviceSets(virtio, 'STATUS', 0b1n);
  });

  expect.always(() => [
    vm.survived(),
    check('guest vcpu 0 served', [33, 34, 35], ({ vms }) =>
      vms[0]?.vcpus[0]?.interrupts.map(({ intid }) => intid).sort(),
    ),
    vm.vcpu(0).finished(),
    vm.vcpu(1).finished(),
    vm.vcpu(1).acknowledged([Number(SGI)]),
    kick.signalled(1),
  ]);
});
