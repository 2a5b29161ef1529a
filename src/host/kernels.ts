// Kernel presets: a release is a name for a record of features. Adding a kernel is adding a record.
// Evidence: captures of Debian 6.1.192 and 6.12.117 for those two, kernel sources and commits for the others.

import type { KernelFeatures } from './kernel-features.ts';

export interface KernelPreset {
  /** Release as users name it, such as `6.12`. */
  readonly name: string;
  readonly features: KernelFeatures;
  /** Why these features: captures or commits. */
  readonly evidence: string;
}

const linux61: KernelFeatures = {
  normalNcForAnyUncached: false,
  vfioPciAllowsAnyUncached: false,
  deviceBlocks: 'page',
  vfioHugeFault: false,
  vfioVmaList: true,
  vfioGuardsD3hot: true,
  setSpteNotifier: true,
  parallelFaults: false,
  relaxInvalidatesLocally: false,
  rangeInvalidation: false,
  eagerSplit: false,
  lpa2: false,
  injectedEsrSignExtended: true,
  mprotectNotifiesPmds: true,
  mprotectUpgradesHugePages: false,
  swapInWritable: false,
  cacheablePfnmap: false,
  guestMemfd: false,
  seaExit: false,
  s1ptwAlwaysWrites: false,
  protectedTableWalk: true,
  erratumNcToNgnre: false,
  gicvDirTrap: false,
  vgicRevision3: true,
  vgicLrFirst: 'active',
  gicvNormalNc: false,
  mmioSignExtends: true,
  injectsUnsupportedAtomic: false,
  ipaSizeInjection: true,
};

const linux515: KernelFeatures = {
  ...linux61,
  vfioGuardsD3hot: false,
  deviceBlocks: 'vma',
  injectedEsrSignExtended: false,
  s1ptwAlwaysWrites: true,
  ipaSizeInjection: false,
  vgicRevision3: false,
  mmioSignExtends: false,
};

const linux66: KernelFeatures = {
  ...linux61,
  deviceBlocks: 'vma',
  parallelFaults: true,
  relaxInvalidatesLocally: true,
  rangeInvalidation: true,
  mprotectUpgradesHugePages: true,
  eagerSplit: true,
  injectedEsrSignExtended: false,
  mmioSignExtends: false,
};

const linux68: KernelFeatures = { ...linux66, lpa2: true };

const linux69: KernelFeatures = { ...linux68, normalNcForAnyUncached: true, vfioPciAllowsAnyUncached: true };

const linux610: KernelFeatures = { ...linux69, vfioVmaList: false, setSpteNotifier: false };

const linux612: KernelFeatures = {
  ...linux610,
  deviceBlocks: 'host-mapping',
  vfioHugeFault: true,
  mprotectNotifiesPmds: false,
  swapInWritable: true,
  mmioSignExtends: true,
};

const linux613: KernelFeatures = { ...linux612, deviceBlocks: 'vma', mmioSignExtends: false };

const linux617: KernelFeatures = { ...linux613, cacheablePfnmap: true };

const linux619: KernelFeatures = {
  ...linux617,
  guestMemfd: true,
  seaExit: true,
  gicvDirTrap: true,
  vgicLrFirst: 'pending',
};

const linux70: KernelFeatures = { ...linux619, injectsUnsupportedAtomic: true };

/** Presets in order of release. A release between two of them is not guessed: a user names the nearer one. */
export const KERNELS: readonly KernelPreset[] = [
  {
    name: '5.15',
    features: linux515,
    evidence: 'kernel sources; IPA size checks came with 5.18, D3hot guards with 5.19 (2b2c651baf1c)',
  },
  { name: '6.1', features: linux61, evidence: 'captures of Debian 6.1.192' },
  { name: '6.6', features: linux66, evidence: 'kernel sources: parallel faults (6.2), eager split (6.5)' },
  { name: '6.8', features: linux68, evidence: 'kernel sources: LPA2; device pages are Device-nGnRE' },
  { name: '6.9', features: linux69, evidence: '8c47ce3e1d2c (KVM) and a39d3a966a09 (vfio-pci)' },
  { name: '6.10', features: linux610, evidence: 'aac6db75a9fc (VFIO zap), f7842747d13d (change_pte)' },
  { name: '6.12', features: linux612, evidence: 'captures of Debian 6.12.117' },
  {
    name: '6.13',
    features: linux613,
    evidence: 'kernel sources: get_vma_page_shift has its VM_PFNMAP branch',
  },
  { name: '6.17', features: linux617, evidence: 'merge c535d132a30f: cacheable PFNMAP' },
  { name: '6.19', features: linux619, evidence: 'ad9c62bd8946 (KVM_EXIT_ARM_SEA), 2608563b466b (GICC_DIR)' },
  { name: '7.0', features: linux70, evidence: 'kernel sources: FSC 0x35 is injected (FEAT_LS64)' },
];

/** The preset of a release such as `6.12`; undefined if there is none. */
export const kernelPreset = (name: string): KernelPreset | undefined => KERNELS.find((k) => k.name === name);
