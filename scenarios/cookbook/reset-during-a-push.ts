// A guest resets its NIC while another CPU is half way through a work queue entry. What happened: vfio-pci zaps the BAR
// before the function-level reset; the DSB of that invalidation sends out what the store buffer has gathered so far, so
// that the device sees a doorbell instead of an entry, and the other half, after the refault, is a stranger to it.
// Nobody dies. Source: vfio_exp_config_write(), DDI0487 D8.17, MLX5_BF_OFFSET. What to do: stop the queues before a
// reset; a driver must not think that write-combined stores arrive together unless it knows that nothing comes between.

import { connectx, kernelsBefore, kernelsFrom, scenario, writeCombining } from 'stagetwo';

const BLUE_FLAME = 0x1800;
const DEVCTL = 0x50;
const INITIATE_FLR = 0xa810n;
const HALF = { count: 4, size: 8 } as const;

export default scenario('a function-level reset between two halves of a push', ({ host, expect }) => {
  const nic = host.plug(connectx('nic'));
  const vm = host.vm('guest', { ram: '16M' });
  const uar = vm.assign(nic.bar(0), { at: 0x1000_0000 });
  const config = vm.config(nic, { at: 0x3f00_0000 });
  const [half, reset] = [host.signal('half an entry is written'), host.signal('the NIC is reset')];

  vm.vcpu(0).run(function* (cpu) {
    const wc = cpu.ioremap(uar, writeCombining);
    yield* cpu.burst(wc.at(BLUE_FLAME), { count: 8, size: 8 });
    yield* cpu.burst(wc.at(BLUE_FLAME + 0x100), HALF);
    yield* cpu.raise(half);
    yield* cpu.await(reset);
    yield* cpu.burst(wc.at(BLUE_FLAME + 0x120), HALF);
  });
  vm.vcpu(1).run(function* (cpu) {
    yield* cpu.await(half);
    yield* cpu.store(cpu.physical(config).at(DEVCTL), { size: 2, value: INITIATE_FLR });
    yield* cpu.raise(reset);
  });

  const [entry, doorbell] = [
    'a whole entry in one write: it is taken from here',
    'rings the doorbell: the entry is fetched from memory',
  ];
  const part = 'a part of an entry: dropped';
  expect.device('vfio-pci', () => vm.survived());
  expect.when({ kernel: kernelsFrom('6.9'), device: 'vfio-pci' }, () =>
    nic.received({ writeSizes: [64, 32, 32], writeEffects: [entry, doorbell, part] }),
  );
  expect.when({ kernel: kernelsBefore('6.9'), device: 'vfio-pci' }, () => nic.received({ writes: 16 }));
});
