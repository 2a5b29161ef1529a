// A GPU whose memory is coherent (Grace Hopper) offers it as a cacheable mapping. What happened: up to 6.16 KVM sees a
// PFNMAP without VM_ALLOW_ANY_UNCACHED and maps Device-nGnRE, so that unaligned accesses kill the VM; from 6.17 on it
// is Normal if the host has FEAT_S2FWB and CTR_EL0.DIC, and without them the memslot is refused with EINVAL. Source:
// nvgrace-gpu, merge c535d132a30f (KVM_CAP_ARM_CACHEABLE_PFNMAP_SUPPORTED). What to do: 6.17 on such a CPU; ask for
// the capability before assigning. Try `compare ... --vary dic=on,off --vary kernel=6.12,6.17`.

import { graceHopper, kernelsBefore, kernelsFrom, normalWriteBack, scenario, writeCombining } from 'stagetwo';

export default scenario('coherent GPU memory as a cacheable PFNMAP', ({ host, expect }) => {
  const gpu = host.plug(graceHopper('gpu', { usemem: '16M', resmem: '16M' }));
  const vm = host.vm('guest', { ram: '16M' });
  const usemem = vm.assign(gpu.bar(4), { at: 0x1000_0000, mayBeRefused: true });
  const resmem = vm.assign(gpu.bar(2), { at: 0x2000_0000 });

  vm.vcpu(0).run(function* (cpu) {
    yield* cpu.store(cpu.ioremap(resmem, writeCombining).at(0), { size: 8 });
    yield* cpu.store(cpu.ioremap(usemem, normalWriteBack).at(0x04), { size: 8 });
  });

  const isPci = { device: 'vfio-pci' } as const;
  // The driver's own mmap of RESMEM sets no flag either: the guest's write combining is lost on every kernel.
  expect.device('vfio-pci', () => resmem.leaf({ type: 'Device-nGnRE' }));
  expect.when({ kernel: kernelsBefore('6.17'), ...isPci }, () => [
    usemem.leaf({ type: 'Device-nGnRE' }),
    vm.died({ errno: 'EFAULT', because: 'unsupported-fsc' }),
  ]);
  expect.when({ kernel: kernelsFrom('6.17'), ...isPci }, ({ variant: { fwb = true, dic = false } }) =>
    fwb && dic
      ? [usemem.leaf({ type: 'Normal iWB-oWB', because: 'cacheable-pfnmap' }), vm.survived()]
      : [usemem.neverMapped(), vm.vcpu(0).outcomes(['completed', 'mmio-exited'])],
  );
});
