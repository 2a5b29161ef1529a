// What a guest's stage 1 maps and as what: attributes as Linux on arm64 programs them (MAIR_EL1_SET, pgtable-prot.h),
// and a layout of virtual addresses that is the same in every run.

import type { Stage1Field } from '../arch/access.ts';
import type { Ipa, Va } from '../arch/addresses.ts';
import { va } from '../arch/addresses.ts';

/** How stage 1 maps a region: the MAIR_EL1 byte and SH field of its leaves, and whether they may be executed. */
export interface Stage1Attribute extends Stage1Field {
  /** The manual's name of the type. */
  readonly name: string;
  /** PXN clear. ioremap() and its kin map execute-never. */
  readonly executable: boolean;
}

// PTE_SHARED, as Linux sets it in every leaf; Device and Non-cacheable are Outer Shareable all the same.
const INNER_SHAREABLE = 3;

const attribute = (name: string, attr: number): Stage1Attribute => ({
  name,
  attr,
  sh: INNER_SHAREABLE,
  executable: false,
});

/** ioremap_wc(), pgprot_writecombine: Normal Non-cacheable, MAIR byte 0x44. */
export const writeCombining = attribute('Normal-NC', 0x44);
/** ioremap(), pgprot_device: MAIR byte 0x04. */
export const deviceNGnRE = attribute('Device-nGnRE', 0x04);
/** ioremap_np(), pgprot_noncached: MAIR byte 0x00. */
export const deviceNGnRnE = attribute('Device-nGnRnE', 0x00);
/** MAIR byte 0x08; Linux has no use for it. */
export const deviceNGRE = attribute('Device-nGRE', 0x08);
/** MAIR byte 0x0c, MT_DEVICE_GRE of older kernels. */
export const deviceGRE = attribute('Device-GRE', 0x0c);
/** MT_NORMAL_WT of older kernels, memremap(MEMREMAP_WT): MAIR byte 0xbb. */
export const normalWriteThrough = attribute('Normal-WT', 0xbb);
/** ioremap_cache(), memremap(MEMREMAP_WB), RAM: MAIR byte 0xff. */
export const normalWriteBack = attribute('Normal-WB', 0xff);

/** Every attribute that an ioremap() can be told to take instead of its own, by the name of its type. */
export const STAGE1_ATTRIBUTES: ReadonlyMap<string, Stage1Attribute> = new Map(
  [deviceNGnRnE, deviceNGnRE, deviceNGRE, deviceGRE, writeCombining, normalWriteThrough, normalWriteBack].map(
    (it) => [it.name, it],
  ),
);

/** The same attribute without execute-never, as in PAGE_KERNEL_EXEC. */
export const executable = (from: Stage1Attribute): Stage1Attribute => ({ ...from, executable: true });

/** Something at an IPA that a guest can map: an assigned BAR, an emulated frame. */
export interface Mappable {
  /** What it is called in reports: 'gpu.bar0'. */
  readonly name: string;
  readonly ipa: Ipa;
  /** Bytes that a mapping may reach. */
  readonly size: number;
}

/** One address of a mapping, as an instruction uses it. */
export interface GuestAddress {
  readonly va: Va;
  /** Null where the guest's own tables say it. */
  readonly ipa: Ipa | null;
  /** Null with stage 1 off, and where the guest's own tables say it. */
  readonly stage1: Stage1Attribute | null;
  /** Bytes from here to the end of the mapping. */
  readonly room: number;
}

export interface Mapping {
  readonly va: Va;
  readonly size: number;
  readonly attribute: Stage1Attribute | null;
  /**
   * The address `offset` bytes behind the start.
   * @throws RangeError outside the mapping
   */
  at(offset: number): GuestAddress;
}

/** VA of the first mapping of a vCPU; below it stands what stage 1 maps one to one. */
const FIRST_VA = 2 ** 44;
/** Mappings start at multiples of the largest page size, an unmapped page apart, as vmalloc's do. */
const VA_STEP = 2 ** 16;

/** VA at which the next mapping can start after one of `size` bytes at `va`. */
const vaBehind = (va: number, size: number): number => va + Math.ceil(size / VA_STEP + 1) * VA_STEP;

/** The virtual address space of one vCPU: each mapping behind the last. */
export interface VaSpace {
  map(target: Mappable, attribute: Stage1Attribute): Mapping;
}

export function createVaSpace(): VaSpace {
  let next = FIRST_VA;
  return {
    map(target, stage1) {
      const va = (next + (target.ipa % VA_STEP)) as Va;
      next = vaBehind(next, (target.ipa % VA_STEP) + target.size);
      return mappingOf(target, va, stage1);
    },
  };
}

/** A virtual address that the guest's own tables translate. @throws RangeError outside 0 to 2^48 - 1 */
export function walkedAddress(address: number): GuestAddress {
  if (!Number.isSafeInteger(address) || address < 0 || address >= 2 ** 48)
    throw new RangeError(`virtual address ${address} is not a whole number below 2^48`);
  return { va: va(address), ipa: null, stage1: null, room: 2 ** 48 - address };
}

/** The target with stage 1 off: the virtual address is the IPA. */
export const physicalMapping = (target: Mappable): Mapping =>
  mappingOf(target, target.ipa as number as Va, null);

function mappingOf(target: Mappable, va: Va, stage1: Stage1Attribute | null): Mapping {
  const { size } = target;
  return {
    va,
    size,
    attribute: stage1,
    at(offset) {
      if (!Number.isSafeInteger(offset) || offset < 0 || offset >= size) {
        throw new RangeError(`${target.name}: offset ${offset} is outside the mapping of ${size} bytes`);
      }
      return { va: (va + offset) as Va, ipa: (target.ipa + offset) as Ipa, stage1, room: size - offset };
    },
  };
}
