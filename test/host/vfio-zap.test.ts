// Which mappings of a PCI function go when it stops answering, why and in which order, and what stays
// (vfio_pci_zap_and_down_write_memory_lock()).

import { describe, expect, it } from 'vitest';
import type { MachineOptions } from '../helpers/host.ts';
import { anon, BAR_HVA, BAR_PA, G, GPU, M, machine, pfnmap } from '../helpers/host.ts';

/** Mappings 1G apart, two of the function with one file offset, and everything that is not its BAR. */
function withMappings(options: MachineOptions) {
  const m = machine(options);
  const bar = { device: GPU, fileOffset: 2 ** 40 };
  const mappings = [
    pfnmap('vfio-pci', BAR_PA, { ...bar, fileOffset: 2 * 2 ** 40 }),
    pfnmap('vfio-pci', BAR_PA + G, bar),
    pfnmap('vfio-pci', BAR_PA + G, bar),
    pfnmap('vfio-pci', BAR_PA, { device: '0000:02:00.0' }),
    pfnmap('sysfs', BAR_PA, { device: GPU }),
    anon(),
  ];
  // Mapped from the highest address down, so that the order of mmap is not that of addresses.
  for (const [index, backing] of [...mappings.entries()].reverse())
    m.vm.mmap(BAR_HVA + index * G, 2 * M, backing);
  /** [mapping, reason] of each notifier that the dispatched event causes. */
  const zapped = (dispatch: () => unknown) => {
    const from = m.log.length;
    dispatch();
    return m.log
      .slice(from)
      .flatMap((event) =>
        event.type === 'notifier-invalidated' ? [[(event.start - BAR_HVA) / G, event.because] as const] : [],
      );
  };
  const power = (state: 'D0' | 'D3hot') => () =>
    m.simulation.dispatch({ type: 'pci-power-written', device: GPU, state });
  return { ...m, zapped, power };
}

describe('a PCI function that stops answering', () => {
  it('loses its own BARs, by file offset and then in the order of mmap, faulted or not, from 6.10 on', () => {
    const { zapped, pciCommand } = withMappings({ kernel: '6.12' });
    expect(zapped(() => pciCommand(0))).toEqual([
      [2, 'memory-off'],
      [1, 'memory-off'],
      [0, 'memory-off'],
    ]);
  });

  it('loses a BAR that was cut behind others of its offset: the split puts its parts into the tree again', () => {
    const { vm, zapped, pciCommand } = withMappings({ kernel: '6.12' });
    vm.mprotect(BAR_HVA + 2 * G + M, M, 'read');
    expect(zapped(() => pciCommand(0)).map(([mapping]) => mapping)).toEqual([1, 2, 2 + M / G, 0]);
    vm.munmap(BAR_HVA + G + M, M);
    expect(zapped(() => pciCommand(0)).map(([mapping]) => mapping)).toEqual([2, 1, 2 + M / G, 0]);
  });

  it('puts a part in again that keeps its beginning, and leaves alone what is protected as a whole', () => {
    const { vm, zapped, pciCommand } = withMappings({ kernel: '6.12' });
    vm.mprotect(BAR_HVA + 2 * G, 2 * M, 'read');
    expect(zapped(() => pciCommand(0)).map(([mapping]) => mapping)).toEqual([2, 1, 0]);
    vm.mprotect(BAR_HVA + 2 * G, M, 'none');
    expect(zapped(() => pciCommand(0)).map(([mapping]) => mapping)).toEqual([1, 2, 2 + M / G, 0]);
  });

  it('loses what has been faulted before 6.10, the latest first, and forgets it', () => {
    const { vm, log, zapped, pciCommand } = withMappings({ kernel: '6.1' });
    for (const [slot, index] of [2, 0].entries()) {
      vm.slot(slot, { ipa: slot * G, size: 2 * M, hva: BAR_HVA + index * G });
      vm.read(slot * G);
    }
    expect(zapped(() => pciCommand(0))).toEqual([
      [0, 'memory-off'],
      [2, 'memory-off'],
    ]);
    expect(log.filter(({ type }) => type === 'vfio-vma-unlisted')).toHaveLength(2);
    expect(zapped(() => pciCommand(0))).toEqual([]);
  });

  it('loses nothing more when memory comes on again', () => {
    const { zapped, pciCommand } = withMappings({ kernel: '6.12' });
    pciCommand(0);
    expect(zapped(() => pciCommand(2))).toEqual([]);
  });

  it('loses its BARs in D3hot where vfio-pci guards it, and nothing on the way back', () => {
    const guarded = withMappings({ kernel: '6.12', features: { vfioGuardsD3hot: true } });
    const reasons = guarded.zapped(guarded.power('D3hot')).map(([, because]) => because);
    expect(reasons).toEqual(['low-power', 'low-power', 'low-power']);
    expect(guarded.zapped(guarded.power('D0'))).toEqual([]);
    const free = withMappings({ kernel: '6.12', features: { vfioGuardsD3hot: false } });
    expect(free.zapped(free.power('D3hot'))).toEqual([]);
  });

  it('loses its BARs by a reset, which says by what', () => {
    const { simulation, zapped } = withMappings({ kernel: '6.12' });
    const reset = { type: 'pci-reset-asked', device: GPU, by: 'device-reset' } as const;
    const reasons = zapped(() => simulation.dispatch(reset)).map(([, because]) => because);
    expect(reasons).toEqual(['device-reset', 'device-reset', 'device-reset']);
  });
});
