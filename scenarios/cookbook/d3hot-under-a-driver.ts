// A guest's runtime power management puts a disk to sleep, and something polls its status register. What happened: a
// function in D3hot answers no memory request. Up to 5.18 vfio-pci left the BARs mapped, and the poller read all ones;
// since 5.19 it zaps them and its fault handler answers SIGBUS, so that KVM_RUN fails with EFAULT and the VM is gone.
// Back in D0 the next access maps again. Source: vfio_lock_and_set_power_state() (vfio_pci_config.c), PCIe 5.3.1. What
// to do: wake the function before touching it, as pm_runtime_get_sync() does; in the VMM, hide the capability.

import { deviceNGnRE, kernelsFrom, nvme, scenario } from 'stagetwo';

const CSTS = 0x1c;
const PMCSR = 0x44;
const [D0, D3HOT] = [8n, 11n];

export default scenario('a disk in D3hot under a poller', ({ host, expect }) => {
  const disks = [host.plug(nvme('woken')), host.plug(nvme('asleep'))] as const;
  const vms = [host.vm('careful', { ram: '16M' }), host.vm('poller', { ram: '16M' })] as const;

  vms.forEach((vm, index) => {
    const disk = disks[index === 0 ? 0 : 1];
    const bar = vm.assign(disk.bar(0), { at: 0x1000_0000 });
    const config = vm.config(disk, { at: 0x3f00_0000 });
    vm.vcpu(0).run(function* (cpu) {
      const [registers, pm] = [cpu.ioremap(bar, deviceNGnRE), cpu.ioremap(config, deviceNGnRE)];
      yield* cpu.load(registers.at(CSTS), { size: 4 });
      yield* cpu.store(pm.at(PMCSR), { size: 2, value: D3HOT });
      if (index === 0) yield* cpu.store(pm.at(PMCSR), { size: 2, value: D0 });
      yield* cpu.load(registers.at(CSTS), { size: 4 });
    });
  });

  expect.device('vfio-pci', () => [vms[0].survived(), vms[0].vcpu(0).loaded([1n, 1n])]);
  expect.when({ kernel: '5.15', device: 'vfio-pci' }, () => vms[1].vcpu(0).loaded([1n, 0xffff_ffffn]));
  expect.when({ kernel: ['6.1', ...kernelsFrom('6.6')], device: 'vfio-pci' }, () =>
    vms[1].died({ errno: 'EFAULT', because: 'device-in-d3hot' }),
  );
});
