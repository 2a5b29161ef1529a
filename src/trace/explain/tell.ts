// A fault as a story: what the hardware saw, which questions kvm_handle_guest_abort() asks in which order, and what
// the guest and the VMM notice.

import type { Abort } from '../../arch/esr.ts';
import type { Granule, Level } from '../../arch/geometry.ts';
import { levelSize } from '../../arch/geometry.ts';

const GRANULES: readonly Granule[] = [4096, 16384, 65536];
const UNITS = ['', 'K', 'M', 'G', 'T'] as const;

function bytes(size: number): string {
  const unit = Math.floor(Math.log2(size) / 10);
  return `${size / 1024 ** unit}${UNITS[unit] ?? ''}`;
}

/** `2M with 4K pages, 32M with 16K, 512M with 64K`: what one entry of the level spans. */
function spansOf(level: number): string {
  const spans = GRANULES.flatMap((granule) => {
    try {
      return [`${bytes(levelSize(granule, level as Level))} with ${bytes(granule)} pages`];
    } catch {
      return []; // a level that this granule does not have
    }
  });
  return spans.join(', ');
}

const access = (abort: Abort): string => {
  const walk = abort.s1ptw ? 'the hardware walk of the guest page tables for ' : '';
  if (abort.kind === 'instruction-abort') return `${walk}an instruction fetch`;
  const { isv, sas, srt, sf, wnr, cm } = abort.syndrome;
  if (cm) return `${walk}a cache maintenance instruction`;
  const what = wnr ? 'a store' : 'a load';
  if (!isv) return `${walk}${what}`;
  const register = srt === 31 ? (sf ? 'XZR' : 'WZR') : `${sf ? 'X' : 'W'}${srt}`;
  return `${walk}${what} of ${2 ** sas} byte${sas === 0 ? '' : 's'} ${wnr ? 'from' : 'into'} ${register}`;
};

/** The sentences in order. */
export function tell(abort: Abort): string[] {
  const who = `The guest made ${access(abort)}.`;
  const { status } = abort;
  switch (status.kind) {
    case 'translation':
      return [who, ...tellTranslation(abort, status.level)];
    case 'permission':
      return [
        who,
        `Stage 2 has a leaf at level ${status.level} (${spansOf(status.level)}) that does not allow it.`,
        'In a memslot KVM widens the permissions of that leaf, or maps a page in its place where ' +
          'dirty logging splits blocks; MemAttr never changes on this way.',
        ...(abort.kind === 'data-abort' && abort.syndrome.wnr
          ? [
              'A store into a KVM_MEM_READONLY slot is emulated instead: KVM_EXIT_MMIO if ISV is 1, ' +
                'ENOSYS if not.',
            ]
          : []),
        'The guest notices nothing but time.',
      ];
    case 'access-flag':
      return [
        who,
        `The leaf at level ${status.level} is valid but its access flag is 0: the host aged the page ` +
          '(kvm_age_hva) and this processor does not set the flag itself.',
        'KVM sets the flag (kvm_access_fault) and the guest runs the instruction again. Without a ' +
          'memslot there it would be emulated as MMIO.',
      ];
    case 'alignment':
      return tellAlignment(abort, who);
    case 'sync-external':
    case 'sync-external-on-walk':
    case 'parity':
    case 'parity-on-walk':
      return [
        who,
        'The access reached memory or a device and came back as an error (external abort): no ' +
          'translation was missing, KVM maps nothing and traces no kvm_guest_fault.',
        'The guest is told with an SError, or the VMM with KVM_EXIT_ARM_SEA.',
      ];
    case 'unsupported-exclusive-or-atomic':
      return [
        who,
        'An exclusive, atomic or 64-byte access met a memory type that does not support it, as LDXR ' +
          'or an LSE atomic on Device or Non-cacheable memory.',
      ];
    default:
      return [
        who,
        'KVM handles translation, permission and access flag faults only: it logs "Unsupported FSC" ' +
          'and KVM_RUN returns EFAULT.',
      ];
  }
}

function tellTranslation(abort: Abort, level: number): string[] {
  const span = spansOf(level);
  const table =
    level === 3
      ? 'The last-level table exists, so something else of the same window is mapped already.'
      : `No table of level ${level + 1} exists here: nothing of this entry is mapped, or the last leaf ` +
        'went and the empty table was freed.';
  return [
    `Stage 2 has no valid entry at level ${level}, which spans ${span}. ${table}`,
    ...withoutSlot(abort),
    'With a memslot there, user_mem_abort() looks up the VMA at the hva: RAM becomes Normal (XN ' +
      'until the first fetch, unless CTR_EL0.DIC), a page that is no RAM becomes Normal-NC if the VMA ' +
      'has VM_ALLOW_ANY_UNCACHED and the kernel looks at it, else Device-nGnRE, never executable. No ' +
      'VMA, or a page that cannot be had (VFIO with memory decoding off): KVM_RUN returns EFAULT.',
    'Mapped, the guest runs the instruction again and notices nothing but time.',
  ];
}

function withoutSlot(abort: Abort): string[] {
  if (abort.s1ptw)
    return ['Without a memslot there the guest gets an external abort: its page tables are not in memory.'];
  if (abort.kind === 'instruction-abort') {
    return [
      'Without a memslot there the guest gets a prefetch abort (external): KVM never fetches from a VMM.',
    ];
  }
  if (abort.syndrome.cm) return ['Without a memslot there KVM skips the cache maintenance instruction.'];
  return [
    abort.syndrome.isv
      ? 'Without a memslot there KVM emulates it: a device of the kernel (vGIC, ioeventfd) or ' +
        'KVM_EXIT_MMIO to the VMM.'
      : 'Without a memslot there KVM cannot emulate it, because ISV is 0 (pair, writeback, SIMD, ' +
        'exclusive or atomic): KVM_RUN returns ENOSYS, or KVM_EXIT_ARM_NISV with ' +
        'KVM_CAP_ARM_NISV_TO_USER.',
  ];
}

function tellAlignment(abort: Abort, who: string): string[] {
  const name = abort.kind === 'instruction-abort' ? 'IFSC' : 'DFSC';
  return [
    who,
    `${name} 0x21 taken to EL2: the address was translated and permitted, but the access is not ` +
      'naturally aligned (or is DC ZVA) and the memory type that both stages come to is Device.',
    'It comes to EL2 because stage 1 alone would have allowed it: the guest mapped Normal ' +
      '(ioremap_wc, pgprot_writecombine), stage 2 says Device-nGnRE. A guest mapping that is Device ' +
      'itself faults at EL1 and KVM sees nothing.',
    'kvm_handle_guest_abort() knows no such fault: the host logs "Unsupported FSC: EC=0x24 ' +
      'xFSC=0x21", KVM_RUN returns EFAULT and the VMM usually stops the VM ("error: kvm run failed Bad ' +
      'address").',
    'The guest never gets to see it. Aligned accesses of the same code work, which is why it looks random.',
  ];
}
