// What distinguishes one kernel from another for stage 2, as named features. The host branches on these and never
// on a release number; a distribution kernel with a backport is a base and the features that differ.

export interface KernelFeatures {
  /** KVM maps a device page as Normal-NC if its VMA has VM_ALLOW_ANY_UNCACHED. Linux 6.9, 8c47ce3e1d2c. */
  readonly normalNcForAnyUncached: boolean;
  /** vfio-pci sets VM_ALLOW_ANY_UNCACHED on BAR mappings. Linux 6.9, a39d3a966a09. */
  readonly vfioPciAllowsAnyUncached: boolean;
  /**
   * Largest leaf of a device page. `page`: never a block (measured on 6.1.192). `vma`: get_vma_page_shift() with
   * its VM_PFNMAP branch, congruence of hva and pfn (5.13 and later mainline). `host-mapping`: the way of a
   * transparent huge page, as large as the host itself maps it (measured on 6.12.117).
   */
  readonly deviceBlocks: 'page' | 'vma' | 'host-mapping';
  /** vfio_pci_mmap_huge_fault: the host maps a BAR with PMDs where it can. Linux 6.12, f9e54c3a2f5b. */
  readonly vfioHugeFault: boolean;
  /**
   * vfio-pci keeps a list of its VMAs: memory-off zaps each VMA whole, latest faulted first, and a VMA that a split
   * creates is zapped by vfio_pci_mmap_open. Up to 6.9; aac6db75a9fc replaced it by unmap_mapping_range.
   */
  readonly vfioVmaList: boolean;
  /**
   * vfio-pci zaps the BARs of a function that goes to D3hot and refuses faults until it is back in D0. Linux 5.19,
   * 2b2c651baf1c; before, mappings stay and the function answers nothing.
   */
  readonly vfioGuardsD3hot: boolean;
  /** The change_pte notifier maps the new page read-only (kvm_set_spte_gfn). Dropped in 6.10, f7842747d13d. */
  readonly setSpteNotifier: boolean;
  /**
   * Stage-2 faults of several vCPUs are handled under the read lock: an entry can be found locked between break and
   * make. Linux 6.2; measured on 6.12.117 and absent on 6.1.192.
   */
  readonly parallelFaults: boolean;
  /** Relaxing permissions invalidates on the local processor only. Linux 6.5. */
  readonly relaxInvalidatesLocally: boolean;
  /** kvm_tlb_flush_vmid_range(): TLBI RIPAS2E1IS where the processor has it. Linux 6.6. */
  readonly rangeInvalidation: boolean;
  /** KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE. Linux 6.5; EINVAL before (measured on 6.1.192). */
  readonly eagerSplit: boolean;
  /** KVM uses FEAT_LPA2 at stage 2. Linux 6.8. */
  readonly lpa2: boolean;
  /** ESR_EL1 of an injected abort is sign-extended to 64 bits (an int shift). Measured on 6.1.192. */
  readonly injectedEsrSignExtended: boolean;
  /**
   * mprotect's notifier begins at the first populated PMD (change_pmd_range). Later kernels notify from the PUD
   * (change_pud_range), which is the whole range in practice.
   */
  readonly mprotectNotifiesPmds: boolean;
  /**
   * mprotect to read-write makes a huge page that was written writable at once (can_change_pmd_writable). Linux 6.2;
   * before, its entry stays read-only until the next write fault. Pages have it in both, hugetlb in neither.
   */
  readonly mprotectUpgradesHugePages: boolean;
  /** A page read back from swap is mapped writable at once. Measured: no on 6.1.192, yes on 6.12.117. */
  readonly swapInWritable: boolean;
  /** Cacheable PFNMAP mappings, KVM_CAP_ARM_CACHEABLE_PFNMAP_SUPPORTED. Linux 6.17. */
  readonly cacheablePfnmap: boolean;
  /** KVM_MEM_GUEST_MEMFD with mmap, gmem_abort(). Linux 6.18. */
  readonly guestMemfd: boolean;
  /** KVM_EXIT_ARM_SEA. Linux 6.19, ad9c62bd8946. */
  readonly seaExit: boolean;
  /** Any fault on a stage-1 walk counts as a write. Up to 6.1, but measured to be gone in 6.1.192 (rule 5). */
  readonly s1ptwAlwaysWrites: boolean;
  /** HCR_EL2.PTW: a stage-1 walk into Device memory is a stage-2 Permission fault. HCR_GUEST_FLAGS, Linux 5.9. */
  readonly protectedTableWalk: boolean;
  /** CONFIG_ARM64_WORKAROUND_NC_TO_NGNRE: KVM ignores VM_ALLOW_ANY_UNCACHED. Vendor kernels. */
  readonly erratumNcToNgnre: boolean;
  /** GICC_DIR is trapped, so that GICV is mapped with 4 KiB only. Linux 6.19, 2608563b466b. */
  readonly gicvDirTrap: boolean;
  /** GICD_IIDR.Revision of a new vGIC is 3 (KVM_VGIC_IMP_REV_LATEST), not 2. Linux 5.19, 49a1a2c70a7f. */
  readonly vgicRevision3: boolean;
  /**
   * What of a vGIC's interrupts goes first into too few list registers. `active`: what is active, then what is
   * pending by priority; the rest waits for the underflow interrupt. `pending`: what is pending and not active;
   * ends of interrupts outside the list registers are counted. Linux 6.19, with the trap of GICC_DIR.
   */
  readonly vgicLrFirst: 'active' | 'pending';
  /**
   * A what-if that no kernel has: GICV is mapped Normal-NC, as the 6.9 change would have done without its exception
   * for GICv2 (cover letter v9, 24 February 2024).
   */
  readonly gicvNormalNc: boolean;
  /**
   * LDRSB, LDRSH and LDRSW of an emulated register extend the sign. Linux 7.2, 85f56708a443; before,
   * kvm_handle_mmio_return() extends it and vcpu_data_host_to_guest() cuts it off again. The stable releases of
   * November 2026 (6.1.192, 6.12.117) are taken to have the fix; no capture shows it.
   */
  readonly mmioSignExtends: boolean;
  /** FSC 0x35 is injected into the guest (FEAT_LS64). Linux 7.0. */
  readonly injectsUnsupportedAtomic: boolean;
  /** IPA at or beyond the VM's size is answered before the trace event. Linux 5.18. */
  readonly ipaSizeInjection: boolean;
}
