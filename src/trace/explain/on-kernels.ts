// The same fault under every kernel preset: what each one's features make of it, neighbours that agree as one entry.
// Nothing here knows a release; the presets do.

import type { Abort } from '../../arch/esr.ts';
import type { KernelFeatures } from '../../host/kernel-features.ts';
import { KERNELS } from '../../host/kernels.ts';

export interface OnKernels {
  /** `5.15 to 6.8`, `7.0`. */
  readonly kernels: string;
  readonly what: string;
}

/** Presets in order, those in a row that do the same together. */
export function onKernels(abort: Abort): OnKernels[] {
  const groups: { from: string; to: string; what: string }[] = [];
  for (const { name, features } of KERNELS) {
    const what = onKernel(abort, features);
    const last = groups.at(-1);
    if (last !== undefined && last.what === what) last.to = name;
    else groups.push({ from: name, to: name, what });
  }
  return groups.map(({ from, to, what }) => ({ kernels: from === to ? from : `${from} to ${to}`, what }));
}

function onKernel(abort: Abort, features: KernelFeatures): string {
  switch (abort.status.kind) {
    case 'translation':
      return translation(abort, features);
    case 'permission':
      return permission(abort, features);
    case 'access-flag':
      return 'sets the access flag in the leaf, the guest retries';
    case 'alignment':
      return alignment(features);
    case 'unsupported-exclusive-or-atomic':
      return features.injectsUnsupportedAtomic
        ? 'injects a data abort with FSC 0x35 into the guest'
        : 'Unsupported FSC: KVM_RUN returns EFAULT';
    case 'sync-external':
    case 'sync-external-on-walk':
    case 'parity':
    case 'parity-on-walk':
      return features.seaExit
        ? 'KVM_EXIT_ARM_SEA (41) if the VMM asked for it, else an SError for the guest; firmware ' +
            '(APEI) is asked first'
        : 'injects an SError into the guest, unless firmware (APEI) claims the error';
    default:
      return 'Unsupported FSC: KVM_RUN returns EFAULT';
  }
}

/** VM_ALLOW_ANY_UNCACHED takes effect: vfio-pci sets it and KVM looks at it. */
const isNormalNc = (features: KernelFeatures): boolean =>
  features.normalNcForAnyUncached && features.vfioPciAllowsAnyUncached && !features.erratumNcToNgnre;

const SIZES: Readonly<Record<KernelFeatures['deviceBlocks'], string>> = {
  page: 'a page at a time',
  vma: 'as a block where IPA, hva and pfn are congruent',
  'host-mapping': 'as a 2M block where the host maps one and IPA and hva are congruent',
};

function translation(abort: Abort, features: KernelFeatures): string {
  if (abort.s1ptw) {
    return features.s1ptwAlwaysWrites
      ? 'maps the guest page table; the walk counts as a write, so a read-only slot gives an external abort'
      : 'maps the guest page table; the walk counts as a read';
  }
  if (abort.kind === 'instruction-abort') {
    return 'RAM: maps it executable; a BAR or other device page: prefetch abort (external) for the guest';
  }
  const type = isNormalNc(features) ? 'Normal-NC (0b0101)' : 'Device-nGnRE (0b0001)';
  const cacheable = features.cacheablePfnmap ? '; cacheable PFNMAP needs FWB and DIC, else EFAULT' : '';
  return `a vfio-pci BAR becomes ${type}, ${SIZES[features.deviceBlocks]}; RAM Normal${cacheable}`;
}

function permission(abort: Abort, features: KernelFeatures): string {
  if (abort.s1ptw) return 'counts as a write: widens the permissions of the page that holds the table';
  if (abort.kind === 'instruction-abort')
    return 'RAM: clears XN, MemAttr stays; device page: prefetch abort (external)';
  if (!abort.syndrome.wnr)
    return 'a read of a mapped page cannot lack permission: "Unexpected L2 read permission error", EFAULT';
  const retry = features.setSpteNotifier
    ? 'the zero page: copied, change_pte maps it read-only, one more fault relaxes it'
    : 'the zero page: copied and unmapped, the next fault maps it writable';
  return `dirty logging: page marked dirty and writable again; ${retry}; read-only slot: MMIO`;
}

function alignment(features: KernelFeatures): string {
  return isNormalNc(features)
    ? 'cannot come from a vfio-pci BAR, which is Normal-NC here; from vfio-platform, GICV or /dev/mem: EFAULT'
    : 'any device page is Device-nGnRE at stage 2: Unsupported FSC, KVM_RUN returns EFAULT';
}
