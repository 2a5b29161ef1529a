// Where the architecture leaves a choice when two stages combine: whose it is, how one access takes it, and what
// FEAT_XS adds to a combined type (DDI0487 R_NSCNC, R_RMTWN, D8.7.4).

import { describe, expect, it } from 'vitest';
import type { CombineInput } from '../../src/arch/combine.ts';
import { combine, combineAttributes, latitudeOf } from '../../src/arch/combine.ts';
import type { MemoryType } from '../../src/arch/memory-type.ts';
import { DEVICE_nGnRE, NORMAL_WB, NORMAL_WT } from '../../src/arch/memory-type.ts';
import type { Shareability } from '../../src/arch/shareability.ts';

const NSH = 0b00;
const RESERVED_SH = 0b01;
const ISH = 0b11;

describe('a guest that maps as Device what FWB = 1 forces to be Write-Back (R_NSCNC)', () => {
  const shareability = (
    type: MemoryType,
    entering: Shareability,
    deviceEntersAs?: 'sh-field' | 'outer-shareable',
  ) => {
    const regime = { fwb: true, cd: false, ...(deviceEntersAs === undefined ? {} : { deviceEntersAs }) };
    return combine({ type, shareability: entering }, { memAttr: 0b0110, sh: NSH }, regime).shareability;
  };

  it('enters as its SH field says, or as Outer Shareable on a processor that takes it so', () => {
    expect(shareability(DEVICE_nGnRE, 'NSH')).toBe('NSH');
    expect(shareability(DEVICE_nGnRE, 'NSH', 'sh-field')).toBe('NSH');
    expect(shareability(DEVICE_nGnRE, 'NSH', 'outer-shareable')).toBe('OSH');
  });

  it('is the only one with that choice: cacheable memory enters by its field on every processor', () => {
    expect(shareability(NORMAL_WB, 'NSH', 'outer-shareable')).toBe('NSH');
    expect(shareability(NORMAL_WB, 'ISH', 'outer-shareable')).toBe('ISH');
  });
});

describe('one access on a processor with FEAT_XS', () => {
  const typeOf = (stage1: MemoryType, features: { xs?: boolean }, fnXS?: boolean) => {
    const stage2 = { memAttr: 0b0001, sh: NSH, ...(fnXS === undefined ? {} : { fnXS }) };
    const regime = { fwb: false, cd: false, features };
    return combine({ type: stage1, shareability: 'ISH' }, stage2, regime).type;
  };

  it('has XS = 0 behind a Write-Back stage 1, or where the stage 2 leaf has FnXS', () => {
    expect(typeOf(NORMAL_WB, { xs: true })).toEqual({ ...DEVICE_nGnRE, xs: 0 });
    expect(typeOf(NORMAL_WT, { xs: true })).toEqual(DEVICE_nGnRE);
    expect(typeOf(NORMAL_WT, { xs: true }, false)).toEqual(DEVICE_nGnRE);
    expect(typeOf(NORMAL_WT, { xs: true }, true)).toEqual({ ...DEVICE_nGnRE, xs: 0 });
  });

  it('has no such attribute without the feature, whatever bit 11 of the leaf says', () => {
    expect(typeOf(NORMAL_WB, {})).toEqual(DEVICE_nGnRE);
    expect(typeOf(NORMAL_WB, { xs: false }, true)).toEqual(DEVICE_nGnRE);
  });
});

describe('whose choice it is', () => {
  const row = (
    s1: { attr: number; sh: number },
    s2: { memattr: number; sh: number },
    fwb: boolean | 0 | 1 = false,
  ): CombineInput => ({ fwb, cd: false, s1, s2 });
  const writeBack = { attr: 0xff, sh: NSH };
  const under = { memattr: 0b1111, sh: NSH };

  it.each([
    ['nobody: both stages say what they mean', row(writeBack, under), 'defined'],
    ['a reserved SH of stage 1', row({ ...writeBack, sh: RESERVED_SH }, under), 'constrained-unpredictable'],
    ['a reserved SH of stage 2', row(writeBack, { ...under, sh: RESERVED_SH }), 'constrained-unpredictable'],
    ['a reserved MemAttr', row(writeBack, { ...under, memattr: 0b1000 }), 'constrained-unpredictable'],
    [
      'the same with FWB as a number',
      row(writeBack, { ...under, memattr: 0b1000 }, 0),
      'constrained-unpredictable',
    ],
    [
      'nobody: with FWB = 1 that MemAttr is Device',
      row(writeBack, { ...under, memattr: 0b1000 }, 1),
      'defined',
    ],
    [
      'the processor, R_NSCNC',
      row({ attr: 0x04, sh: NSH }, { memattr: 0b0110, sh: NSH }, true),
      'implementation-defined',
    ],
    ['a reserved MAIR byte', row({ attr: 0x02, sh: ISH }, under), 'unpredictable-mair-byte'],
    [
      'the same though stage 2 leaves one outcome',
      row({ attr: 0x02, sh: ISH }, { memattr: 0, sh: NSH }),
      'unpredictable-mair-byte',
    ],
  ] as const)('%s', (_, input, latitude) => {
    expect(latitudeOf(input)).toBe(latitude);
  });
});

describe('an input that lacks a stage', () => {
  it('is refused by the name of the first field that is missing', () => {
    const whole = { fwb: false, cd: false, s1: { attr: 0xff, sh: ISH }, s2: { memattr: 15, sh: ISH } };
    const { s1: _one, ...withoutStage1 } = whole;
    const { s2: _two, ...withoutStage2 } = whole;
    expect(() => combineAttributes(withoutStage1 as CombineInput)).toThrow(/s1.attr is undefined/);
    expect(() => combineAttributes(withoutStage2 as CombineInput)).toThrow(/s2.memattr is undefined/);
  });
});
