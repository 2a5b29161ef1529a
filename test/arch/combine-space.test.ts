// Every row of the space of stage 1 and stage 2 attributes, against a second writing of the rules and known counts:
// what no list of examples reaches.

import { describe, expect, it } from 'vitest';
import type { Latitude } from '../../src/arch/combine.ts';
import { combine, combineAttributes, latitudeOf } from '../../src/arch/combine.ts';
import { encodeMair } from '../../src/arch/mair.ts';
import { encodeShareability } from '../../src/arch/shareability.ts';
import { stage1FromMair } from '../../src/arch/stage1.ts';
import { isReservedByte, oracle, pack } from './combine-oracle.ts';

const OSH = 0b10;

/** 2^18 rows; the index is, bit by bit, FWB, CD, MAIR byte, SH, MemAttr, SH. */
function* wholeSpace() {
  for (let index = 0; index < 2 ** 18; index++) {
    const s1 = { attr: (index >> 8) & 0xff, sh: (index >> 6) & 3 };
    const s2 = { memattr: (index >> 2) & 0xf, sh: index & 3 };
    yield { fwb: index >> 17 === 1, cd: ((index >> 16) & 1) === 1, s1, s2 };
  }
}

describe('every outcome the architecture permits, over all 2^18 rows', () => {
  it('equals a second writing of the rules in every row with an allocated MAIR byte', () => {
    const wrong: unknown[] = [];
    for (const input of wholeSpace()) {
      if (isReservedByte(input.s1.attr)) continue;
      const { outcomes } = combineAttributes(input);
      const expected = oracle(input.fwb, input.cd, input.s1, input.s2);
      const same =
        outcomes.length === expected.size && outcomes.every((o) => expected.has(pack(o.attr, o.sh)));
      if (!same) wrong.push(input);
    }

    expect(wrong).toEqual([]);
  });

  it('leaves no choice in 211,026 rows of 262,144, and says whose choice it is in the others', () => {
    const rows: Record<Latitude, number> = {
      defined: 0,
      'constrained-unpredictable': 0,
      'implementation-defined': 0,
      'unpredictable-mair-byte': 0,
    };
    for (const input of wholeSpace()) rows[latitudeOf(input)] += 1;

    expect(rows).toEqual({
      defined: 211_026,
      'constrained-unpredictable': 23_430,
      'implementation-defined': 40,
      'unpredictable-mair-byte': 27_648,
    });
  });

  it('is sorted by attr, then sh, without duplicates, with Device and Non-cacheable Outer Shareable', () => {
    const wrong: unknown[] = [];
    for (const input of wholeSpace()) {
      const { outcomes } = combineAttributes(input);
      const packed = outcomes.map(({ attr, sh }) => pack(attr, sh));
      const rising = packed.every((value, index) => index === 0 || value > (packed[index - 1] ?? 0));
      const outer = outcomes.every(({ attr, sh }) => sh === OSH || (attr > 0x0c && attr !== 0x44));
      if (!rising || !outer || outcomes.length === 0) wrong.push(input);
    }

    expect(wrong).toEqual([]);
  });

  it('includes what one access is given, however stage 1 Device enters (R_NSCNC)', () => {
    const wrong: unknown[] = [];
    for (const input of wholeSpace()) {
      if (isReservedByte(input.s1.attr) || input.s2.sh === 0b01 || input.s1.sh === 0b01) continue;
      const stage1 = stage1FromMair(input.s1, 'data');
      const stage2 = { memAttr: input.s2.memattr, sh: input.s2.sh };
      const permitted = combineAttributes(input).outcomes.map(({ attr, sh }) => pack(attr, sh));
      for (const deviceEntersAs of ['sh-field', 'outer-shareable'] as const) {
        const { type, shareability } = combine(stage1, stage2, { ...input, deviceEntersAs });
        const packed = pack(encodeMair(type), encodeShareability(shareability));
        if (!permitted.includes(packed)) wrong.push({ ...input, deviceEntersAs });
      }
    }

    expect(wrong).toEqual([]);
  });
});
