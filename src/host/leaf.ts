// Building a leaf as stage2_set_prot_attr() does: MemAttr by type and FEAT_S2FWB, XN unless executable, inner
// shareable unless LPA2 has taken the field, access flag set. Never contiguous, never DBM.

import type { LeafAttributes } from '../arch/descriptor.ts';

/** Linux's memory types of a stage-2 leaf: MT_S2_NORMAL, MT_S2_NORMAL_NC, MT_S2_DEVICE_nGnRE. */
export type LeafType = 'normal' | 'normal-nc' | 'device';

/** enum kvm_pgtable_prot, as far as it becomes a leaf. */
export interface PgtableProt {
  readonly write: boolean;
  /** KVM_PGTABLE_PROT_PX and _UX: executable at EL1, at EL0. One bit for both before Linux 6.19. */
  readonly px: boolean;
  readonly ux: boolean;
  readonly device: boolean;
  readonly normalNc: boolean;
}

/** What of processor and kernel the leaf depends on. */
export interface LeafHost {
  readonly fwb: boolean;
  /** FEAT_XNX, and a kernel that uses it. */
  readonly xnx: boolean;
}

export interface LeafProt {
  readonly write: boolean;
  readonly exec: boolean;
  readonly type: LeafType;
}

/** MemAttr[3:0] (asm/memory.h): Normal differs with FEAT_S2FWB, the other two coincide. */
export function memAttrOf(type: LeafType, fwb: boolean): number {
  if (type === 'device') return 0b0001;
  if (type === 'normal-nc') return 0b0101;
  return fwb ? 0b0110 : 0b1111;
}

/** XN[1:0]: 0b10 execute never, 0b01 at EL0 alone, 0b11 at EL1 alone (FEAT_XNX); else one bit, 54. */
const EXECUTE_NEVER = 2;
const EL0_ONLY = 1;
const EL1_ONLY = 3;

/** SH = 0b11. With LPA2 the descriptor has no such field and VTCR_EL2.SH0 says the same. */
const INNER_SHAREABLE = 3;

/** What KVM asks of a leaf of its own: one type, and X for both exception levels or for none. */
export function leafAttributes(fwb: boolean, { write, exec, type }: LeafProt): LeafAttributes {
  const attributes = MADE[type][(fwb ? 4 : 0) + (write ? 2 : 0) + (exec ? 1 : 0)];
  if (attributes == null) throw new RangeError(`a ${type} leaf cannot be executable (-EINVAL)`);
  return attributes;
}

/**
 * stage2_set_prot_attr().
 * @returns null for -EINVAL: two memory types, an executable type that is not Normal, or X for one exception level
 * without FEAT_XNX
 */
export function setProtAttr(prot: PgtableProt, { fwb, xnx }: LeafHost): LeafAttributes | null {
  const { write, px, ux, device, normalNc } = prot;
  if ((device && normalNc) || ((device || normalNc) && (px || ux))) return null;
  if (px !== ux && !xnx) return null;
  const type = device ? 'device' : normalNc ? 'normal-nc' : 'normal';
  return Object.freeze({
    memAttr: memAttrOf(type, fwb),
    read: true,
    write,
    xn: xnOf(px, ux),
    sh: INNER_SHAREABLE,
    af: true,
    fnXS: false,
    nT: false,
    dbm: false,
    contiguous: false,
    software: 0,
  });
}

function xnOf(px: boolean, ux: boolean): LeafAttributes['xn'] {
  if (px) return ux ? 0 : EL1_ONLY;
  return ux ? EL0_ONLY : EXECUTE_NEVER;
}

const made = (type: LeafType): readonly (LeafAttributes | null)[] =>
  [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => {
    const exec = (bits & 1) !== 0;
    const prot = { write: (bits & 2) !== 0, px: exec, ux: exec };
    const types = { device: type === 'device', normalNc: type === 'normal-nc' };
    return setProtAttr({ ...prot, ...types }, { fwb: bits >= 4, xnx: false });
  });

/** All there are, by FWB, write and exec: a million leaves share them. */
const MADE: Readonly<Record<LeafType, readonly (LeafAttributes | null)[]>> = {
  normal: made('normal'),
  'normal-nc': made('normal-nc'),
  device: made('device'),
};
