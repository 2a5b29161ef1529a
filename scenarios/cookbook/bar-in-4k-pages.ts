// Why is my BAR mapped with 4K entries, thousands of faults? What happened: a block needs IPA, host virtual and
// physical address congruent modulo its size, and a host that maps BARs with PMDs. Older VMMs took whatever address
// mmap() gave. Source: get_vma_page_shift(), vfio_pci_mmap_huge_fault() (f9e54c3a2f5b), QEMU 9.2 "vfio/helpers: Align
// mmaps". What to do: QEMU from 9.2 on, a host from 6.12 on, and BARs at guest addresses aligned to their size.

import { deviceNGnRE, kernelsFrom, scenario, vfioPci } from 'stagetwo';

export default scenario('three ways to map 16M of BAR', ({ host, expect }) => {
  const bars = [{ size: '16M', prefetchable: true }] as const;
  const [aligned, oldVmm, oddIpa] = ['aligned', 'old-vmm', 'odd-ipa'].map((name) =>
    host.plug(vfioPci(name, { bars })),
  );
  if (aligned === undefined || oldVmm === undefined || oddIpa === undefined) return;
  const vm = host.vm('guest', { ram: '16M' });
  const good = vm.assign(aligned.bar(0), { at: 0x1000_0000 });
  const paged = vm.assign(oldVmm.bar(0), { at: 0x2000_0000, alignment: 'page' });
  const shifted = vm.assign(oddIpa.bar(0), { at: 0x3001_0000 });

  vm.vcpu(0).run(function* (cpu) {
    for (const bar of [good, paged, shifted])
      yield* cpu.load(cpu.ioremap(bar, deviceNGnRE).at(0), { size: 4 });
  });

  expect.when(
    { kernel: ['5.15', ...kernelsFrom('6.6')], device: 'vfio-pci' },
    ({ variant: { pageSize = 4096 } }) => [
      vm.survived(),
      ...(pageSize === 4096 ? [shifted.leaf({ level: 3, sizeBecause: 'not-congruent' })] : []),
    ],
  );
  expect.when({ kernel: '6.1', device: 'vfio-pci' }, () =>
    good.leaf({ level: 3, sizeBecause: 'device-pages-only' }),
  );
  expect.when({ kernel: kernelsFrom('6.12'), device: 'vfio-pci' }, () =>
    good.leaf({ level: 2, sizeBecause: 'host-maps-block' }),
  );
  expect.when({ kernel: '6.12', device: 'vfio-pci' }, () =>
    paged.leaf({ level: 3, sizeBecause: 'host-maps-pages' }),
  );
  expect.when({ kernel: kernelsFrom('6.13'), device: 'vfio-pci' }, () =>
    paged.leaf({ level: 3, sizeBecause: 'vma-pfn-not-congruent' }),
  );
});
