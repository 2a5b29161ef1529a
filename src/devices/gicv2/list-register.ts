// GICH_LRn, one interrupt on offer to a vCPU, as the 32 bits that hardware has (IHI 0048B 5.3.10). One that stands for
// a physical interrupt (HW) names it in the bits that otherwise hold an SGI's sender and EOI.

/** VirtualID. */
const INTID_MASK = 0x3ff;
const CPUID_SHIFT = 10;
const CPUID_MASK = 0b111;
const EOI = 2 ** 19;
const PRIORITY_SHIFT = 23;
/** Bits that a priority of 8 bits loses: the register holds the upper 5. */
const PRIORITY_DROPPED = 3;
const PRIORITY_MASK = 0x1f;
const PENDING = 2 ** 28;
const ACTIVE = 2 ** 29;
const GROUP_1 = 2 ** 30;
const HW = 2 ** 31;

/** Fields of a list register. */
export interface ListRegister {
  readonly intid: number;
  /** The sender of an SGI. */
  readonly cpuid: number;
  /** A maintenance interrupt is wanted once the guest has ended it. */
  readonly eoi: boolean;
  /** 8 bits, of which the upper 5 are kept. */
  readonly priority: number;
  readonly pending: boolean;
  readonly active: boolean;
  readonly group: 0 | 1;
  /** It stands for the physical interrupt of the same number, which its deactivation deactivates, too. */
  readonly hw?: true;
}

export function encodeLr(lr: ListRegister): number {
  const state = (lr.pending ? PENDING : 0) + (lr.active ? ACTIVE : 0) + (lr.group === 1 ? GROUP_1 : 0);
  const priority = (lr.priority >> PRIORITY_DROPPED) * 2 ** PRIORITY_SHIFT;
  const physical = lr.hw === true ? HW + lr.intid * 2 ** CPUID_SHIFT : 0;
  return lr.intid + lr.cpuid * 2 ** CPUID_SHIFT + (lr.eoi ? EOI : 0) + priority + state + physical;
}

export function decodeLr(word: number): ListRegister {
  const isHw = word >= HW;
  return {
    intid: word & INTID_MASK,
    cpuid: isHw ? 0 : (word >>> CPUID_SHIFT) & CPUID_MASK,
    eoi: !isHw && (word & EOI) !== 0,
    priority: ((word >>> PRIORITY_SHIFT) & PRIORITY_MASK) << PRIORITY_DROPPED,
    pending: (word & PENDING) !== 0,
    active: (word & ACTIVE) !== 0,
    group: (word & GROUP_1) === 0 ? 0 : 1,
    ...(isHw ? { hw: true as const } : {}),
  };
}

/** State 0b00. */
export const isInvalid = ({ pending, active }: ListRegister): boolean => !pending && !active;

/** lr_signals_eoi_mi(): the guest has ended it, and the hypervisor asked to be told (GICH_EISR). */
export const signalsEoi = (lr: ListRegister): boolean => isInvalid(lr) && lr.eoi;
