// The rules by which the host decides, by name. Every decision carries one, so that output explains itself and
// tests assert the reason. Names follow the kernel's own words; the text is what a report prints.

export const BECAUSE = {
  // What a leaf is and why.
  ram: 'the page is RAM: Normal, forced write-back with FEAT_S2FWB',
  'vma-allows-any-uncached': 'the VMA carries VM_ALLOW_ANY_UNCACHED, so KVM maps Normal-NC',
  'device-pfn-without-flag': 'not RAM, and the VMA lacks VM_ALLOW_ANY_UNCACHED: Device-nGnRE',
  'kernel-before-normal-nc': 'this kernel maps every page that is not RAM as Device-nGnRE',
  'gicv-is-a-shared-peripheral': 'GICV is mapped by the kernel itself, always Device-nGnRE',
  'what-if-gicv-normal-nc': 'what no kernel does, supposed here: GICV is mapped Normal-NC',
  'cacheable-pfnmap': 'a cacheable PFNMAP mapping on a host with FWB and DIC: Normal',
  'erratum-nc-to-ngnre': 'the NC to nGnRE erratum workaround ignores VM_ALLOW_ANY_UNCACHED',
  'change-pte-maps-read-only': 'the change_pte notifier maps the copied page read-only',
  'as-traced': 'the trace says so',
  // How large a leaf is.
  'logging-forces-pages': 'dirty logging forces page-size leaves',
  'device-pages-only': 'this kernel maps device memory with page-size leaves only',
  'not-congruent': 'IPA and hva are not congruent modulo the block size',
  'block-leaves-slot': 'the block would reach beyond the memslot',
  'vma-pfn-not-congruent': 'hva and physical address are not congruent, or the block leaves the VMA',
  'host-maps-pages': 'the host itself maps a page here',
  'host-maps-block': 'the host itself maps a block here, congruent and inside the slot',
  'permission-fault-granule': 'a permission fault keeps the size of the leaf that faulted',
  // Why a fault ends otherwise.
  'stage1-walk-needs-memory': 'a stage-1 table where no memslot is: the walk takes an external abort',
  'fetch-without-slot': 'an instruction fetch where no memslot is takes an external abort',
  'exec-of-device': 'instruction fetch from device memory is refused (-ENOEXEC)',
  'ipa-beyond-vm': 'the IPA lies beyond the IPA size of the VM',
  'ipa-beyond-host': 'the IPA lies beyond the IPA limit of the host',
  'external-abort': 'a synchronous external abort is no fault of translation',
  'asynchronous-abort': 'an SError while the guest runs, no fatal RAS error: KVM hands it to the guest',
  'uncontained-bus-error': 'firmware takes an error of the PCIe host bridge for fatal',
  'unsupported-atomic': 'an exclusive or atomic access that the memory type does not support',
  'mte-without-vm-mte-allowed': 'the VM has MTE and the VMA is not VM_MTE_ALLOWED',
  'unsupported-fsc': 'KVM handles translation, access flag and permission faults only',
  'no-slot': 'no memslot covers the IPA',
  'readonly-slot': 'the memslot is KVM_MEM_READONLY',
  'in-kernel-device': 'a device on the in-kernel MMIO bus covers the IPA',
  ioeventfd: 'the store matches an ioeventfd: it signals, and user space is not entered',
  'gicv-not-page-aligned':
    'GICV starts or ends off a host page: the hypervisor makes each access (vgic_v2_cpuif_trap)',
  'gicv-trap-is-32-bit':
    'a trapped GICV takes aligned 32-bit accesses only: it is skipped, an SError follows',
  'no-valid-syndrome': 'ESR_EL2.ISV is 0: nothing says what to emulate',
  'cache-maintenance-without-slot': 'cache maintenance where no memslot is is skipped',
  'no-vma': 'no VMA covers the hva of the slot',
  'vma-protection': 'the protection of the VMA forbids the access',
  'device-memory-disabled':
    'the PCI command register has memory decoding off: the VFIO fault handler raises SIGBUS',
  'device-in-d3hot': 'the PCI function is in D3hot: the VFIO fault handler raises SIGBUS',
  'cacheable-pfnmap-refused': 'a cacheable PFNMAP mapping needs FWB and CTR_EL0.DIC',
  // Why a fault is retried.
  'mmu-invalidate-seq-changed': 'a notifier ran while the fault was handled (mmu_invalidate_seq)',
  'entry-locked': 'another vCPU holds the entry between break and make (-EAGAIN)',
  'already-mapped': 'the same leaf is there already (-EAGAIN)',
  'entry-gone': 'the leaf to relax is not there any more (-EAGAIN)',
  mapped: 'the leaf is in place, the instruction runs again',
  'access-flag': 'the access flag is set, the instruction runs again',
  'permission-relaxed': 'the permissions are widened, the attributes stay',
  // Why an entry is broken before another is made.
  'leaf-replaced': 'the leaf gets another address or other attributes',
  'block-replaced-by-table': 'a page takes the place of a block',
  'table-replaced-by-block': 'a block takes the place of a table of pages',
  // Why the host invalidates.
  'copy-on-write': 'the host copies the page',
  'huge-page-split': 'the host splits a huge page',
  'vma-split': 'splitting a VMA splits the huge page around the cut',
  'vfio-vma-split': 'vfio-pci zaps a VMA that a split creates',
  'protection-change': 'mprotect changes the range',
  unmap: 'munmap takes the range away',
  'memory-off': 'PCI memory decoding was switched off: vfio-pci zaps its mappings',
  'low-power': 'the PCI function goes to D3hot: vfio-pci zaps its mappings',
  'function-level-reset': 'a function-level reset through config space: vfio-pci zaps its mappings first',
  'device-reset': 'VFIO_DEVICE_RESET: vfio-pci zaps its mappings first',
  discard: 'MADV_DONTNEED drops the range',
  reclaim: 'the host reclaims the page',
  'dirty-logging': 'dirty logging write-protects',
  'fixed-mapping': 'MAP_FIXED replaces what was there',
} as const;

export type Because = keyof typeof BECAUSE;
