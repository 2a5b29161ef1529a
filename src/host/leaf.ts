// Building a leaf as stage2_set_prot_attr() does: MemAttr by type and FEAT_S2FWB, XN unless executable, inner
// shareable unless LPA2 has taken the field, access flag set. Never contiguous, never DBM.

import type { LeafAttributes } from '../arch/descriptor.ts';

/** Linux's memory types of a stage-2 leaf: MT_S2_NORMAL, MT_S2_NORMAL_NC, MT_S2_DEVICE_nGnRE. */
export type LeafType = 'normal' | 'normal-nc' | 'device';

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

/** XN = 0b10: execute never, as KVM writes it before FEAT_XNX (one bit, 54). */
const EXECUTE_NEVER = 2;

/** SH = 0b11. With LPA2 the descriptor has no such field and VTCR_EL2.SH0 says the same. */
const INNER_SHAREABLE = 3;

export function leafAttributes(fwb: boolean, { write, exec, type }: LeafProt): LeafAttributes {
  return MADE[type][(fwb ? 4 : 0) + (write ? 2 : 0) + (exec ? 1 : 0)] as LeafAttributes;
}

const made = (type: LeafType): readonly LeafAttributes[] =>
  [0, 1, 2, 3, 4, 5, 6, 7].map((bits) =>
    Object.freeze({
      memAttr: memAttrOf(type, bits >= 4),
      read: true,
      write: (bits & 2) !== 0,
      xn: (bits & 1) !== 0 ? 0 : EXECUTE_NEVER,
      sh: INNER_SHAREABLE,
      af: true,
      fnXS: false,
      nT: false,
      dbm: false,
      contiguous: false,
      software: 0,
    }),
  );

/** All there are, by FWB, write and exec: a million leaves share them. */
const MADE: Readonly<Record<LeafType, readonly LeafAttributes[]>> = {
  normal: made('normal'),
  'normal-nc': made('normal-nc'),
  device: made('device'),
};
