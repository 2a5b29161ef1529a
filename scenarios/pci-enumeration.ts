// A guest meets a passed-through function as its PCI core does: reads the ID, sizes a BAR by writing all ones, puts the
// address back and switches memory and bus mastering on. Each step is an MMIO exit of ECAM that the VMM hands on to
// vfio-pci, which keeps the BARs to itself (vfio_bar_fixup) and lets the command register through
// (vfio_basic_config_write).

import { deviceNGnRE, e1000e, scenario } from 'stagetwo';

const COMMAND = 0x04;
const BAR0 = 0x10;
const AT = 0x1000_0000;

export default scenario('a guest enumerates its NIC', ({ host, expect }) => {
  const nic = host.plug(e1000e('nic'));
  const vm = host.vm('guest', { ram: '16M' });
  const bar = vm.assign(nic.bar(0), { at: AT });
  const ecam = vm.config(nic, { at: 0x3f00_0000 });

  vm.vcpu(0).run(function* (cpu) {
    const config = cpu.ioremap(ecam, deviceNGnRE);
    yield* cpu.load(config.at(0x00), { size: 4 });
    yield* cpu.store(config.at(COMMAND), { size: 2, value: 0x0000n });
    yield* cpu.store(config.at(BAR0), { size: 4, value: 0xffff_ffffn });
    yield* cpu.load(config.at(BAR0), { size: 4 });
    yield* cpu.store(config.at(BAR0), { size: 4, value: BigInt(AT) });
    yield* cpu.load(config.at(BAR0), { size: 4 });
    yield* cpu.store(config.at(COMMAND), { size: 2, value: 0x0006n });
    yield* cpu.load(config.at(COMMAND), { size: 2 });
    yield* cpu.load(cpu.ioremap(bar, deviceNGnRE).at(0x08), { size: 4 });
  });

  expect.device('vfio-pci', () => [
    vm.survived(),
    vm.vcpu(0).loaded([0x10d3_8086n, 0xfffe_0000n, BigInt(AT), 0x0006n, 0x0008_0083n]),
  ]);
});
