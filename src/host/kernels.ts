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
  setSpteNotifier: true,
  parallelFaults: false,
  eagerSplit: false,
  lpa2: false,
  injectedEsrSignExtended: true,
  mmioNisvEvent: false,
  mprotectNotifiesPmds: true,
  swapInWritable: false,
  pageoutAgesWithoutSwap: true,
  cacheablePfnmap: false,
  seaExit: false,
  gicvDirTrap: false,
  injectsUnsupportedAtomic: false,
  ipaSizeInjection: true,
};

const linux66: KernelFeatures = {
  ...linux61,
  deviceBlocks: 'vma',
  parallelFaults: true,
  eagerSplit: true,
  injectedEsrSignExtended: false,
};

const linux68: KernelFeatures = { ...linux66, lpa2: true };

const linux69: KernelFeatures = { ...linux68, normalNcForAnyUncached: true, vfioPciAllowsAnyUncached: true };

const linux611: KernelFeatures = {
  ...linux69,
  vfioVmaList: false,
  setSpteNotifier: false,
  mmioNisvEvent: true,
};

const linux612: KernelFeatures = {
  ...linux611,
  deviceBlocks: 'host-mapping',
  vfioHugeFault: true,
  mprotectNotifiesPmds: false,
  swapInWritable: true,
  pageoutAgesWithoutSwap: false,
};

/** Presets in order of release. */
export const KERNELS: readonly KernelPreset[] = [
  { name: '6.1', features: linux61, evidence: 'captures of 6.1.192' },
  { name: '6.6', features: linux66, evidence: 'kernel sources: parallel faults, eager split' },
  { name: '6.8', features: linux68, evidence: 'kernel sources: LPA2; device pages are Device-nGnRE' },
  { name: '6.9', features: linux69, evidence: '8c47ce3e1d2c and a39d3a966a09' },
  { name: '6.11', features: linux611, evidence: 'aac6db75a9fc and f7842747d13d (6.10)' },
  { name: '6.12', features: linux612, evidence: 'captures of 6.12.117' },
];

/** The preset of a release such as `6.12`; undefined if there is none. */
export const kernelPreset = (name: string): KernelPreset | undefined => KERNELS.find((k) => k.name === name);
