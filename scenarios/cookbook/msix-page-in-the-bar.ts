// A page of MSI-X table in the middle of a BAR, and its first 2 MiB come in 4K pages. What happened: the VMM keeps
// the table's page to itself, so the BAR becomes two memslots; a block that would reach over the hole fits into
// neither. Accesses to the table are MMIO exits, and so is all else in its page. Source: QEMU
// vfio_pci_fixup_msix_region(), fault_supports_stage2_huge_mapping(); cloud-hypervisor PR 7991. What to do: devices
// with the table in a BAR of its own; on hosts with 64K pages look which registers share the page.

import { deviceNGnRE, kernelsFrom, scenario, vfioPci } from 'stagetwo';

const TABLE = 0x2000;
const bars = [{ size: '4M', registers: [{ name: 'DOORBELL', offset: TABLE + 0x800 }] }] as const;
const msix = { vectors: 8, table: { bar: 0, offset: TABLE } } as const;

export default scenario('an MSI-X table in a BAR of 4M', ({ host, expect }) => {
  const [inside, alone] = [
    host.plug(vfioPci('inside', { bars, msix })),
    host.plug(vfioPci('alone', { bars })),
  ];
  const vm = host.vm('guest', { ram: '16M' });
  const cut = vm.assign(inside.bar(0), { at: 0x1000_0000 });
  const whole = vm.assign(alone.bar(0), { at: 0x2000_0000 });

  vm.vcpu(0).run(function* (cpu) {
    const registers = cpu.ioremap(cut, deviceNGnRE);
    yield* cpu.load(registers.at(0), { size: 4 });
    yield* cpu.load(registers.at(TABLE + 0x0c), { size: 4 }); // vector control: masked after reset
    yield* cpu.load(registers.at(TABLE + 0x800), { size: 4 }); // no MSI-X, but the same page
    yield* cpu.load(registers.at(TABLE + 0x1000), { size: 4 });
    yield* cpu.load(cpu.ioremap(whole, deviceNGnRE).at(0), { size: 4 });
  });

  expect.device('vfio-pci', () => [
    vm.survived(),
    vm.vcpu(0).loaded([0n, 1n, 0n, 0n, 0n]),
    vm.vcpu(0).outcomes(['completed', 'mmio-exited', 'mmio-exited', 'completed', 'completed']),
  ]);
  expect.when({ kernel: kernelsFrom('6.12'), device: 'vfio-pci' }, () => [
    cut.leaf({ level: 3, sizeBecause: 'block-leaves-slot' }),
    whole.leaf({ level: 2, sizeBecause: 'host-maps-block' }),
  ]);
});
