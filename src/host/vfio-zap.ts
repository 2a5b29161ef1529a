// vfio_pci_zap_and_down_write_memory_lock(): before memory enable goes off, the function goes to D3hot or is reset,
// every mapping of its BARs is zapped, in every process. The order is the driver's: its VMA list, or ascending file
// offsets.

import type { Because } from './because.ts';
import type { PciInput } from './events.ts';
import { notifyUnmap } from './notifier.ts';
import type { HostState } from './state.ts';
import type { Vma } from './vma.ts';
import type { Work } from './work.ts';
import { emit } from './work.ts';

/** Why a device's mappings go; null where they stay, as when memory goes on. */
export function zapReason(host: HostState, input: PciInput): Because | null {
  switch (input.type) {
    case 'pci-command-written':
      return host.memoryDisabled.includes(input.device) ? 'memory-off' : null;
    case 'pci-power-written':
      return host.inD3hot.includes(input.device) ? 'low-power' : null;
    case 'pci-reset-asked':
      return input.by;
  }
}

export function zapDevice(work: Work, device: string, because: Because): void {
  const mapped = work.vm.vmas.filter(
    ({ backing }) => backing.kind === 'pfnmap' && backing.driver === 'vfio-pci' && backing.device === device,
  );
  if (work.host.features.vfioVmaList) zapListed(work, mapped, because);
  else for (const vma of mapped.toSorted(byFileOffset)) notifyUnmap(work, vma.start, vma.end, because);
}

/** Up to 6.9: the list of faulted VMAs, latest first; a zapped VMA leaves the list. */
function zapListed(work: Work, mapped: readonly Vma[], because: Because): void {
  for (const id of work.vm.vfioVmas) {
    for (const vma of mapped.filter((m) => m.id === id)) notifyUnmap(work, vma.start, vma.end, because);
  }
  for (const vma of mapped) {
    if (work.vm.vfioVmas.includes(vma.id))
      emit(work, { type: 'vfio-vma-unlisted', vm: work.id, vma: vma.id });
  }
}

/** The file's interval tree: ascending offset, then the order in which the mappings were made. */
const byFileOffset = (a: Vma, b: Vma): number => fileOffset(a) - fileOffset(b) || a.id - b.id;

const fileOffset = ({ backing }: Vma): number => (backing.kind === 'pfnmap' ? backing.fileOffset : 0);
