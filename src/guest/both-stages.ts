// Stage 1 and stage 2 of one access combined, remembered by what they depend on: a guest's pages have a handful of
// attributes, and equal questions get the very same answer, frozen, so that events share it.

import type { Access } from '../arch/access.ts';
import type { CombinedType } from '../arch/combine.ts';
import { combine } from '../arch/combine.ts';
import type { LeafAttributes } from '../arch/descriptor.ts';
import type { Stage1Attributes, Stage1Controls } from '../arch/stage1.ts';
import { stage1Attributes } from '../arch/stage1.ts';
import type { Stage1Regime } from './stage1-regime.ts';

export interface BothStages {
  readonly stage1: Stage1Attributes;
  readonly combined: CombinedType;
}

/** Walks of stage-1 tables are Normal Write-Back (TCR_EL1). */
const WALK = { attr: 0xff, sh: 3 };

const known = new Map<number, BothStages>();

/** @throws RangeError for an attribute field out of range */
export function bothStages(
  access: Access,
  { controls }: Stage1Regime,
  attributes: LeafAttributes,
  fwb: boolean,
): BothStages {
  const { attr, sh } = access.stage1 ?? WALK;
  const { memAttr, fnXS } = attributes;
  const fields = (((((attr << 2) | sh) << 4) | memAttr) << 2) | attributes.sh;
  const fetch = access.kind === 'fetch';
  const key = (fields << 8) | flags(fetch, fnXS, fwb) | controlFlags(controls);
  const found = known.get(key);
  if (found !== undefined) return found;
  const stage1 = stage1Of(access, { controls });
  const made = Object.freeze({
    stage1,
    combined: Object.freeze(combine(stage1, attributes, { fwb, cd: false })),
  });
  known.set(key, made);
  return made;
}

const flags = (fetch: boolean, fnXS: boolean, fwb: boolean): number =>
  (fetch ? 128 : 0) | (fnXS ? 64 : 0) | (fwb ? 32 : 0);

const controlFlags = ({ m, c, i, dc, dct }: Stage1Controls): number =>
  (m ? 16 : 0) | (c ? 8 : 0) | (i ? 4 : 0) | (dc ? 2 : 0) | (dct ? 1 : 0);

/** The attributes that stage 1 gives an access. */
export function stage1Of(access: Access, { controls }: Pick<Stage1Regime, 'controls'>): Stage1Attributes {
  const kind = access.kind === 'fetch' ? 'fetch' : 'data';
  return stage1Attributes(access.stage1 ?? WALK, kind, controls);
}
