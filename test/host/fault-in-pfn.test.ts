// VFIO's fault handlers, and mappings of devices that have none: who may touch a page, who is listed for zaps, and
// where the host itself maps a block (vfio_pci_mmap_fault(), vfio_pci_mmap_huge_fault()).

import { describe, expect, it } from 'vitest';
import type { VmaBacking } from '../../src/host/vma.ts';
import type { MachineOptions } from '../helpers/host.ts';
import { anon, GPU, K, M, machine, pfnmap, RAM_HVA, RAM_IPA } from '../helpers/host.ts';

const PAGE = 4 * K;

function withDevice(options: MachineOptions, backing: VmaBacking) {
  const m = machine(options);
  m.vm.mmap(RAM_HVA, 4 * M, backing);
  m.vm.slot(0, { ipa: RAM_IPA, size: 4 * M, hva: RAM_HVA });
  return m;
}

describe('pages of a device', () => {
  const BAR = { kernel: '6.1', thp: 'never' } as const;

  it('cannot be touched while memory decoding is off or the function sleeps, if vfio-pci maps them', () => {
    const m = withDevice({ kernel: '6.12' }, pfnmap('vfio-pci', undefined, { device: GPU }));
    m.pciCommand(0);
    expect(m.vm.read(RAM_IPA)).toMatchObject({ errno: 14, because: 'device-memory-disabled' });
    m.pciCommand(2);
    expect(m.vm.read(RAM_IPA).kind).toBe('access-completed');
  });

  it('cannot be touched in D3hot where vfio-pci guards it, and can in D0', () => {
    const m = withDevice(
      { features: { vfioGuardsD3hot: true } },
      pfnmap('vfio-pci', undefined, { device: GPU }),
    );
    const sleeping = withDevice({}, pfnmap('vfio-pci', undefined, { device: '0000:02:00.0' }));
    for (const { simulation } of [m, sleeping])
      simulation.dispatch({ type: 'pci-power-written', device: GPU, state: 'D3hot' });
    expect(m.vm.read(RAM_IPA)).toMatchObject({ errno: 14, because: 'device-in-d3hot' });
    expect(sleeping.vm.read(RAM_IPA).kind).toBe('access-completed');
    m.simulation.dispatch({ type: 'pci-power-written', device: GPU, state: 'D0' });
    expect(m.vm.read(RAM_IPA).kind).toBe('access-completed');
  });

  it('of another function, of no function or of another driver can be touched all the same', () => {
    for (const backing of [
      pfnmap('vfio-pci', undefined, { device: '0000:02:00.0' }),
      pfnmap('vfio-pci'),
      pfnmap('sysfs', undefined, { device: GPU }),
      pfnmap('vfio-platform', undefined, { device: GPU }),
    ]) {
      const m = withDevice({ ...BAR, features: { vfioGuardsD3hot: true } }, backing);
      m.vm.read(RAM_IPA);
      m.pciCommand(0);
      m.simulation.dispatch({ type: 'pci-power-written', device: GPU, state: 'D3hot' });
      expect(m.vm.read(RAM_IPA + PAGE)).toMatchObject({ kind: 'access-completed', faults: [0x07] });
    }
  });

  it('are listed by vfio-pci alone, once a mapping', () => {
    const listed = (backing: VmaBacking) => {
      const m = withDevice(BAR, backing);
      m.vm.read(RAM_IPA);
      m.vm.read(RAM_IPA + PAGE);
      return m.log.filter(({ type }) => type === 'vfio-vma-listed').length;
    };
    expect(listed(pfnmap('vfio-pci'))).toBe(1);
    expect(listed(pfnmap('vfio-platform'))).toBe(0);
  });

  it('are a block of the host where the window lies in the mapping, with vfio_pci_mmap_huge_fault() only', () => {
    const levelAt = (offset: number, hva: number, size: number, vfioHugeFault: boolean) => {
      const m = machine({ kernel: '6.12', features: { vfioHugeFault } });
      m.vm.mmap(RAM_HVA, 16 * M, anon());
      m.vm.mmap(hva, size, pfnmap('vfio-pci', 0x60_0000_0000 + (hva - RAM_HVA)));
      m.vm.slot(0, { ipa: RAM_IPA, size: 16 * M, hva: RAM_HVA });
      m.vm.read(RAM_IPA + offset);
      return m.vm.leafAt(RAM_IPA + offset)?.level;
    };
    expect(levelAt(2 * M, RAM_HVA + M, 4 * M, true)).toBe(2);
    expect(levelAt(2 * M, RAM_HVA + M, 4 * M, false)).toBe(3);
    expect(levelAt(M, RAM_HVA + M, 4 * M, true)).toBe(3);
    expect(levelAt(4 * M, RAM_HVA + M, 4 * M, true)).toBe(3);
  });
});
