// What each kernel feature means to somebody who asks what an upgrade changes, in one sentence a value.

import type { KernelFeatures } from '../host/kernel-features.ts';

export const FEATURE_WORDS: { readonly [F in keyof KernelFeatures]: string } = {
  normalNcForAnyUncached: 'a page that is not RAM is mapped Normal-NC if its VMA has VM_ALLOW_ANY_UNCACHED',
  vfioPciAllowsAnyUncached: 'vfio-pci sets VM_ALLOW_ANY_UNCACHED on BAR mappings',
  deviceBlocks: 'largest leaf of a device page: a page, as the VMA allows, or as the host maps it',
  vfioHugeFault: 'vfio-pci maps BARs with PMDs where it can',
  vfioGuardsD3hot:
    'vfio-pci zaps the BARs of a function that goes to D3hot, and refuses faults until it is back',
  vfioVmaList: 'vfio-pci zaps whole VMAs, latest faulted first, when memory decoding goes off',
  setSpteNotifier: 'change_pte maps a copied page read-only at once',
  parallelFaults: 'faults of several vCPUs are handled in parallel and can meet a locked entry',
  relaxInvalidatesLocally: 'widening permissions invalidates TLBs on the local processor only',
  rangeInvalidation: 'ranges are invalidated with TLBI RIPAS2E1IS where the processor has FEAT_TLBIRANGE',
  eagerSplit: 'KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE',
  lpa2: 'FEAT_LPA2 at stage 2: 52-bit addresses with 4K and 16K pages',
  injectedEsrSignExtended: 'ESR_EL1 of an injected abort is sign-extended to 64 bits',
  mprotectNotifiesPmds: 'the notifier of mprotect begins at the first populated PMD',
  mprotectUpgradesHugePages: 'mprotect makes huge pages writable again at once',
  swapInWritable: 'a page read back from swap is mapped writable at once',
  cacheablePfnmap: 'cacheable PFNMAP mappings are possible, with FEAT_S2FWB and CTR_EL0.DIC',
  guestMemfd: 'memslots can take their pages from guest_memfd',
  seaExit: 'KVM_EXIT_ARM_SEA hands synchronous external aborts to user space',
  s1ptwAlwaysWrites: 'any fault on a stage-1 walk counts as a write',
  protectedTableWalk: 'HCR_EL2.PTW: a stage-1 walk into Device memory is a stage-2 permission fault',
  erratumNcToNgnre: 'CONFIG_ARM64_WORKAROUND_NC_TO_NGNRE: VM_ALLOW_ANY_UNCACHED is ignored',
  gicvDirTrap: 'GICC_DIR is trapped, GICV is mapped with 4 KiB only',
  vgicRevision3: 'GICD_IIDR of a vGIC shows revision 3',
  vgicLrFirst: 'which interrupts go first into too few list registers',
  gicvNormalNc: 'a what-if that no kernel has: GICV is mapped Normal-NC',
  mmioSignExtends: 'LDRSB, LDRSH and LDRSW of an emulated register extend the sign',
  injectsUnsupportedAtomic: 'FSC 0x35 is injected into the guest instead of failing KVM_RUN',
  ipaSizeInjection: 'a fault beyond the IPA size is injected into the guest before it is traced',
};
