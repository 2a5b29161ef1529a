// vfio_pci_zap_and_down_write_memory_lock(): when the command register's memory enable goes off, every mapping of the
// device's BARs is zapped, in every process. The order is the driver's: its VMA list, or ascending file offsets.

import { notifyUnmap } from './notifier.ts';
import type { Vma } from './vma.ts';
import type { Work } from './work.ts';
import { emit } from './work.ts';

export function zapDevice(work: Work, device: string): void {
  const mapped = work.vm.vmas.filter(
    ({ backing }) => backing.kind === 'pfnmap' && backing.driver === 'vfio-pci' && backing.device === device,
  );
  if (work.host.features.vfioVmaList) zapListed(work, mapped);
  else for (const vma of mapped.toSorted(byFileOffset)) notifyUnmap(work, vma.start, vma.end, 'memory-off');
}

/** Up to 6.9: the list of faulted VMAs, latest first; a zapped VMA leaves the list. */
function zapListed(work: Work, mapped: readonly Vma[]): void {
  for (const id of work.vm.vfioVmas) {
    for (const vma of mapped.filter((m) => m.id === id)) notifyUnmap(work, vma.start, vma.end, 'memory-off');
  }
  for (const vma of mapped) {
    if (work.vm.vfioVmas.includes(vma.id))
      emit(work, { type: 'vfio-vma-unlisted', vm: work.id, vma: vma.id });
  }
}

/** The file's interval tree: ascending offset, then the order in which the mappings were made. */
const byFileOffset = (a: Vma, b: Vma): number => fileOffset(a) - fileOffset(b) || a.id - b.id;

const fileOffset = ({ backing }: Vma): number => (backing.kind === 'pfnmap' ? backing.fileOffset : 0);
