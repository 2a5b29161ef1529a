// Memory tagging and memslots: a VM with KVM_CAP_ARM_MTE may use only memory whose pages can carry tags, so that MTE
// and VFIO assignment exclude each other (kvm_vma_mte_allowed, VM_MTE_ALLOWED).

import type { Vma } from './vma.ts';
import type { Work } from './work.ts';

const MTE = 'KVM_CAP_ARM_MTE';

export const hasMte = (work: Work): boolean => MTE in work.vm.capabilities;

/** VM_MTE_ALLOWED: anonymous memory; neither VM_PFNMAP nor, up to 6.12, hugetlb. */
export const allowsMte = (vma: Vma): boolean => vma.backing.kind === 'anon';
