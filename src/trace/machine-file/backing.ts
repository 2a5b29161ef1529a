// From the words of a machine file to what the model of the host knows of a VMA.

import type { Pa } from '../../arch/addresses.ts';
import type { KernelFeatures } from '../../host/kernel-features.ts';
import type { FileBacking } from './backing-schema.ts';
import type { TraceBacking } from './machine.ts';

/** A shared file in memory behaves as RAM whose pages nobody knows; smaps does not tell them apart for KVM. */
export function backingOf(backing: FileBacking, features: KernelFeatures): TraceBacking {
  switch (backing.kind) {
    case 'anon':
      return { vma: { kind: 'anon', thp: backing.thp }, populated: backing.populated ?? null, paKnown: true };
    case 'shmem':
      return { vma: { kind: 'anon', thp: 'default' }, populated: backing.populated ?? null, paKnown: true };
    case 'hugetlb': {
      const { pageSize } = backing;
      return { vma: { kind: 'hugetlb', pageSize }, populated: backing.populated ?? null, paKnown: true };
    }
    default:
      return {
        vma: {
          kind: 'pfnmap',
          driver: backing.kind,
          device: backing.device ?? null,
          pa: (backing.pa ?? 0) as Pa,
          allowAnyUncached:
            backing.allowAnyUncached ?? (backing.kind === 'vfio-pci' && features.vfioPciAllowsAnyUncached),
          cacheable: backing.cacheable,
          ...(backing.ram ? { ram: true } : {}),
          fileOffset: 0,
        },
        populated: null,
        paKnown: backing.pa !== undefined,
      };
  }
}
