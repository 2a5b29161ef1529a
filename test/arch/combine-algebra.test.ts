// The algebra behind the tables: what holds for every pair of encodings, so that a wrong cell contradicts a
// law and not only a recorded row.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { combineTypes } from '../../src/arch/combine-rules.ts';
import { decodeMair, encodeMair } from '../../src/arch/mair.ts';
import type { Cacheability, MemoryType } from '../../src/arch/memory-type.ts';
import { CACHE_POLICIES, DEVICE_TYPES, NON_CACHEABLE, normal } from '../../src/arch/memory-type.ts';
import type { Shareability } from '../../src/arch/shareability.ts';
import { combineShareability } from '../../src/arch/shareability.ts';
import type { Stage2MemAttr } from '../../src/arch/stage2-memattr.ts';
import { decodeMemAttr } from '../../src/arch/stage2-memattr.ts';
import { property } from '../helpers/twice.ts';
import { allTypes } from './all-types.ts';

const RUN = { seed: 20_240_607, numRuns: 2_000 };
const TYPES = allTypes();
const WITHOUT_FWB = [0, 1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15].map(
  (memattr) => decodeMemAttr(memattr, false).outcomes[0],
);
const anyType = fc.constantFrom(...TYPES);
const anyNormal = fc.constantFrom(...TYPES.filter((type) => type.type === 'Normal'));
const anyDevice = fc.constantFrom(...TYPES.filter((type) => type.type === 'Device'));
const anyStage2 = fc.constantFrom(...WITHOUT_FWB);

const combined = (stage1: MemoryType, stage2: Stage2MemAttr, fwb = false, cd = false): MemoryType =>
  combineTypes(stage1, stage2, { fwb, cd, xs: false, fnXS: false }).type;
const underFwb = (stage1: MemoryType, memattr: number, cd = false): MemoryType =>
  combined(stage1, decodeMemAttr(memattr, true).outcomes[0], true, cd);

/** Rank of each half, strictest first: the four Device types, then NC, WT, WB. */
function ranks(type: MemoryType | Stage2MemAttr): readonly [inner: number, outer: number] {
  if (type.type === 'Device') {
    const rank = DEVICE_TYPES.indexOf(type.device);
    return [rank, rank];
  }
  if (type.type !== 'Normal') throw new Error(`${type.type} has no rank of its own`);
  const rank = (half: Cacheability | string): number =>
    4 + CACHE_POLICIES.findIndex((policy) => policy === (typeof half === 'string' ? half : half.policy));
  return [rank(type.inner), rank(type.outer)];
}

/** A stage 2 value as a type without hints, and back, so that the stages can change places. */
function asStage1(stage2: Stage2MemAttr): MemoryType {
  if (stage2.type === 'Device') return stage2;
  if (stage2.type !== 'Normal') throw new Error(`${stage2.type} is no type of its own`);
  const half = (policy: 'NC' | 'WT' | 'WB'): Cacheability =>
    policy === 'NC' ? NON_CACHEABLE : { policy, transient: false, readAllocate: true, writeAllocate: true };
  return normal(half(stage2.inner), half(stage2.outer));
}

function asStage2(type: MemoryType): Stage2MemAttr {
  if (type.type === 'Device') return { type: 'Device', device: type.device };
  return { type: 'Normal', inner: type.inner.policy, outer: type.outer.policy };
}

describe('FWB = 0', () => {
  it('never gives a type weaker than either stage asked for', () => {
    fc.assert(
      property(anyType, anyStage2, (s1, s2) => {
        const result = ranks(combined(s1, s2));
        const expected = [0, 1].map((half) => Math.min(ranks(s1)[half] ?? 0, ranks(s2)[half] ?? 0));
        expect(result).toEqual(expected);
      }),
      RUN,
    );
  });

  it('lets Device win over Normal with its own subtype, whatever the Normal side says', () => {
    for (const s1 of TYPES) {
      for (const s2 of WITHOUT_FWB) {
        if (s1.type === 'Device' && s2.type === 'Normal') expect(combined(s1, s2)).toEqual(s1);
        if (s1.type === 'Normal' && s2.type === 'Device') expect(combined(s1, s2)).toEqual(s2);
      }
    }
  });

  it('commutes in type and policy; hints are stage 1 business', () => {
    fc.assert(
      property(anyType, anyStage2, (s1, s2) => {
        const swapped = combined(asStage1(s2), asStage2(s1));
        expect(asStage2(swapped)).toEqual(asStage2(combined(s1, s2)));
      }),
      RUN,
    );
  });

  it('is idempotent: the same stage 2 again, or the result with itself, changes nothing', () => {
    fc.assert(
      property(anyType, anyStage2, (s1, s2) => {
        const once = combined(s1, s2);
        expect(combined(once, s2)).toEqual(once);
        expect(combined(once, asStage2(once))).toEqual(once);
      }),
      RUN,
    );
  });

  it('keeps the hints and Transient of stage 1 in every half that stays cacheable', () => {
    const hintsOf = (half: Cacheability) => (half.policy === 'NC' ? null : { ...half, policy: '' });
    fc.assert(
      property(anyNormal, anyStage2, (s1, s2) => {
        const result = combined(s1, s2);
        if (result.type !== 'Normal' || s1.type !== 'Normal') return;
        for (const half of ['inner', 'outer'] as const) {
          if (result[half].policy !== 'NC') expect(hintsOf(result[half])).toEqual(hintsOf(s1[half]));
        }
      }),
      RUN,
    );
    expect(encodeMair(combined(mairType(0x77), decodeMemAttr(0b1010, false).outcomes[0]))).toBe(0x33);
  });

  it('with HCR_EL2.CD acts as if every Normal stage 2 were Non-cacheable, so Device of stage 1 stays', () => {
    const nonCacheable = decodeMemAttr(0b0101, false).outcomes[0];
    for (const s1 of TYPES) {
      for (const s2 of WITHOUT_FWB) {
        const expected = combined(s1, s2.type === 'Device' ? s2 : nonCacheable);
        expect(combined(s1, s2, false, true)).toEqual(expected);
      }
    }
  });
});

function mairType(byte: number): MemoryType {
  const decoded = decodeMair(byte);
  if (decoded.encoding === 'reserved') throw new Error(`MAIR byte ${byte} is reserved`);
  return decoded.type;
}

describe('FWB = 1', () => {
  it('0b00dd over Device is the stricter, never weaker than the guest asked', () => {
    fc.assert(
      property(anyDevice, fc.integer({ min: 0, max: 3 }), (s1, memattr) => {
        const stage2 = { type: 'Device', device: DEVICE_TYPES[memattr] ?? 'nGnRnE' } as const;
        expect(ranks(underFwb(s1, memattr))[0]).toBe(Math.min(ranks(s1)[0], memattr));
        expect(underFwb(s1, memattr)).toEqual(combined(s1, stage2));
      }),
      RUN,
    );
  });

  it('0b00dd over Normal is the Device type of stage 2', () => {
    fc.assert(
      property(anyNormal, fc.integer({ min: 0, max: 3 }), (s1, memattr) => {
        expect(underFwb(s1, memattr)).toEqual({ type: 'Device', device: DEVICE_TYPES[memattr] });
      }),
      RUN,
    );
  });

  it('0b0101 keeps Device and makes Normal Non-cacheable, and 0b0100 does the same though reserved', () => {
    for (const s1 of TYPES) {
      const expected = s1.type === 'Device' ? s1 : mairType(0x44);
      expect(underFwb(s1, 0b0101)).toEqual(expected);
      expect(underFwb(s1, 0b0100)).toEqual(expected);
    }
  });

  it('0b0110 is Write-Back in each half by itself: stage 1 hints where it had any, else RWA', () => {
    expect(encodeMair(underFwb(mairType(0x4f), 0b0110))).toBe(0xff);
    expect(encodeMair(underFwb(mairType(0x4a), 0b0110))).toBe(0xfe);
    expect(encodeMair(underFwb(mairType(0x93), 0b0110))).toBe(0xd7);
    for (const s1 of TYPES) {
      const result = underFwb(s1, 0b0110);
      expect(ranks(result)).toEqual([6, 6]);
      expect(underFwb(result, 0b0110)).toEqual(result);
      if (s1.type === 'Device') expect(encodeMair(result)).toBe(0xff);
    }
  });

  it('0b0111 is stage 1 as it is', () => {
    for (const s1 of TYPES) expect(underFwb(s1, 0b0111)).toEqual(s1);
  });

  it('ignores bit 3 without FEAT_MTE_PERM', () => {
    fc.assert(
      property(anyType, fc.integer({ min: 0, max: 7 }), fc.boolean(), (s1, memattr, cd) => {
        expect(underFwb(s1, memattr | 0b1000, cd)).toEqual(underFwb(s1, memattr, cd));
      }),
      RUN,
    );
  });

  it('with HCR_EL2.CD makes every Normal result Non-cacheable, also one forced over Device', () => {
    for (const s1 of TYPES) {
      for (let memattr = 0; memattr < 16; memattr++) {
        const without = underFwb(s1, memattr);
        const expected = without.type === 'Device' ? without : mairType(0x44);
        expect(underFwb(s1, memattr, true)).toEqual(expected);
      }
    }
  });
});

describe('shareability', () => {
  const order: readonly Shareability[] = ['NSH', 'ISH', 'OSH'];
  const join = (a: Shareability, b: Shareability) => combineShareability(a, b).shareability;

  it('is the wider of both: commutative, associative, idempotent and monotone', () => {
    for (const a of order) {
      for (const b of order) {
        expect(join(a, b)).toBe(order[Math.max(order.indexOf(a), order.indexOf(b))]);
        expect(join(a, b)).toBe(join(b, a));
        for (const c of order) {
          expect(join(join(a, b), c)).toBe(join(a, join(b, c)));
          if (order.indexOf(b) <= order.indexOf(c)) {
            expect(order.indexOf(join(a, b))).toBeLessThanOrEqual(order.indexOf(join(a, c)));
          }
        }
      }
      expect(join(a, a)).toBe(a);
    }
  });
});

describe('a MemAttr decoded with the other FWB', () => {
  it('is refused instead of misread', () => {
    const [instruction] = decodeMemAttr(0b0111, true).outcomes;
    const [type] = decodeMemAttr(0b1111, false).outcomes;
    expect(() => combined(mairType(0xff), instruction, false)).toThrow(/FWB = 1/);
    expect(() => combined(mairType(0xff), type, true)).toThrow(/FWB = 0/);
  });
});
