// How stage 1 and stage 2 attributes combine: the reported case first, then the manual's tables and the rows
// recorded from them. Every row of the space is looked at in combine-space.test.ts.

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { combine, combineAttributes, latitudeOf } from '../../src/arch/combine.ts';
import { combineTypes } from '../../src/arch/combine-rules.ts';
import {
  DEVICE_nGnRE,
  describeMemoryType,
  NON_CACHEABLE,
  NORMAL_NC,
  NORMAL_WB,
  normal,
  WRITE_BACK_RWA,
} from '../../src/arch/memory-type.ts';
import { STAGE_1_OFF, STAGE_1_ON, stage1Disabled, stage1FromMair } from '../../src/arch/stage1.ts';
import { decodeMemAttr } from '../../src/arch/stage2-memattr.ts';
import { isReservedByte, oracle, pack } from './combine-oracle.ts';

const NSH = 0b00;
const OSH = 0b10;
const ISH = 0b11;
const NO_FWB = { fwb: false, cd: false };

describe('a write-combining mapping of a BAR in the guest', () => {
  const guest = stage1FromMair({ attr: 0x44, sh: ISH }, 'data');

  it('becomes Device-nGnRE where KVM maps the BAR as Device', () => {
    const { type, because } = combine(guest, { memAttr: 0b0001, sh: NSH }, { fwb: false, cd: false });

    expect(describeMemoryType(type)).toBe('Device-nGnRE');
    expect(because).toBe('device-wins-over-normal');
  });

  it('stays Normal Non-cacheable where KVM maps it as Normal-NC', () => {
    const combined = combine(guest, { memAttr: 0b0101, sh: NSH }, { fwb: true, cd: false });

    expect(describeMemoryType(combined.type)).toBe('Normal Non-cacheable');
    expect(combined.because).toBe('fwb-forces-non-cacheable');
    expect(combined.shareability).toBe('OSH');
    expect(combined.shareabilityBecause).toBe('device-and-non-cacheable-are-outer-shareable');
  });

  it('leaves a Device mapping of the guest as strict as the guest asked, under Normal-NC too', () => {
    const device = stage1FromMair({ attr: 0x00, sh: NSH }, 'data');

    for (const fwb of [false, true]) {
      const { type } = combine(device, { memAttr: 0b0101, sh: NSH }, { fwb, cd: false });
      expect(describeMemoryType(type)).toBe('Device-nGnRnE');
    }
  });
});

describe('the reason given with a combined type', () => {
  const mair = (attr: number) => stage1FromMair({ attr, sh: ISH }, 'data', STAGE_1_ON);
  const because = (attr: number, memAttr: number, fwb: boolean, cd = false) =>
    combine(mair(attr), { memAttr, sh: ISH }, { fwb, cd }).because;

  it.each([
    [0x0c, 0b0101, 'device-wins-over-normal'],
    [0x08, 0b0001, 'stricter-device-wins'],
    [0xff, 0b1010, 'less-cacheable-wins'],
  ] as const)('FWB = 0: MAIR byte %i under MemAttr %i is %s', (attr, memAttr, rule) => {
    expect(because(attr, memAttr, false)).toBe(rule);
  });

  it.each([
    [0xff, 0b0001, 'fwb-device-over-normal'],
    [0x00, 0b0011, 'fwb-device-stricter'],
    [0xff, 0b0101, 'fwb-forces-non-cacheable'],
    [0x04, 0b0101, 'fwb-non-cacheable-keeps-device'],
    [0x04, 0b0110, 'fwb-forces-write-back'],
    [0x44, 0b0110, 'fwb-forces-write-back'],
    [0x04, 0b0111, 'fwb-takes-stage-1'],
    [0xbb, 0b0111, 'fwb-takes-stage-1'],
  ] as const)('FWB = 1: MAIR byte %i under MemAttr %i is %s', (attr, memAttr, rule) => {
    expect(because(attr, memAttr, true)).toBe(rule);
  });

  it('names HCR_EL2.CD only where it took cacheability away', () => {
    expect(because(0xff, 0b1111, false, true)).toBe('hcr-cd-makes-non-cacheable');
    expect(because(0x04, 0b1111, false, true)).toBe('device-wins-over-normal');
    expect(because(0x44, 0b1111, false, true)).toBe('less-cacheable-wins');
    expect(because(0x04, 0b0110, true, true)).toBe('hcr-cd-makes-non-cacheable');
    expect(because(0xff, 0b0101, true, true)).toBe('fwb-forces-non-cacheable');
    expect(because(0x04, 0b0101, true, true)).toBe('fwb-non-cacheable-keeps-device');
    expect(because(0xff, 0b0001, true, true)).toBe('fwb-device-over-normal');
  });

  it('is HCR_EL2.CD where one half alone was cacheable, and the other half does not matter', () => {
    for (const [attr, memAttr] of [
      [0x4f, 0b1111],
      [0xf4, 0b1111],
      [0xff, 0b0111],
      [0xff, 0b1101],
    ] as const) {
      const combined = combine(mair(attr), { memAttr, sh: ISH }, { fwb: false, cd: true });
      expect(combined).toMatchObject({ type: NORMAL_NC, because: 'hcr-cd-makes-non-cacheable' });
    }
  });

  it('covers a guest that has not turned its MMU on: Device data, yet Write-Back where FWB forces it', () => {
    const off = stage1Disabled('data', STAGE_1_OFF);
    const forced = combine(off, { memAttr: 0b0110, sh: ISH }, { fwb: true, cd: false });

    expect(describeMemoryType(forced.type)).toBe('Normal iWB-oWB RWA');
    expect(forced.shareability).toBe('OSH');
    expect(forced.shareabilityBecause).toBe('outer-shareable-at-either-stage');
  });
});

describe('a half that stage 2 makes Non-cacheable', () => {
  it('keeps no hint of stage 1', () => {
    const both = combine(
      stage1FromMair({ attr: 0xff, sh: ISH }, 'data'),
      { memAttr: 0b0101, sh: ISH },
      NO_FWB,
    );
    expect(both.type).toEqual(NORMAL_NC);
    const inner = combine(
      stage1FromMair({ attr: 0xff, sh: ISH }, 'data'),
      { memAttr: 0b1101, sh: ISH },
      NO_FWB,
    );
    expect(inner.type).toEqual(normal(NON_CACHEABLE, WRITE_BACK_RWA));
  });
});

describe('a MemAttr decoded with the other FWB', () => {
  const [normalMemory] = decodeMemAttr(0b1111, false).outcomes;
  const [forceWriteBack] = decodeMemAttr(0b0110, true).outcomes;

  it('is refused where it means nothing', () => {
    const regime = { cd: false, xs: false, fnXS: false };
    expect(() => combineTypes(NORMAL_WB, normalMemory, { ...regime, fwb: true })).toThrow(
      /needs HCR_EL2.FWB = 0/,
    );
    expect(() => combineTypes(NORMAL_WB, forceWriteBack, { ...regime, fwb: false })).toThrow(
      /'force-write-back' needs HCR_EL2.FWB = 1/,
    );
  });
});

describe('the tables of the manual', () => {
  const attrOf = (fwb: boolean, attr: number, memattr: number): string => {
    const { outcomes } = combineAttributes({
      fwb,
      cd: false,
      s1: { attr, sh: ISH },
      s2: { memattr, sh: ISH },
    });
    expect(new Set(outcomes.map((outcome) => outcome.attr)).size).toBe(1);
    return outcomes[0]?.attr.toString(16).padStart(2, '0') ?? '';
  };
  const STAGE_1 = [0x00, 0x04, 0x08, 0x0c, 0x44, 0xbb, 0xff];

  it('FWB = 0: Device wins, then the stricter Device, then the less cacheable', () => {
    const columns = [0b0000, 0b0001, 0b0010, 0b0011, 0b0101, 0b1010, 0b1111];
    expect(STAGE_1.map((attr) => columns.map((memattr) => attrOf(false, attr, memattr)).join(' '))).toEqual([
      '00 00 00 00 00 00 00',
      '00 04 04 04 04 04 04',
      '00 04 08 08 08 08 08',
      '00 04 08 0c 0c 0c 0c',
      '00 04 08 0c 44 44 44',
      '00 04 08 0c 44 bb bb',
      '00 04 08 0c 44 bb ff',
    ]);
  });

  it('FWB = 1: all sixteen MemAttr values, reserved ones as the pseudocode has them', () => {
    const columns = Array.from({ length: 16 }, (_, memattr) => memattr);
    expect(STAGE_1.map((attr) => columns.map((memattr) => attrOf(true, attr, memattr)).join(' '))).toEqual([
      '00 00 00 00 00 00 ff 00 00 00 00 00 00 00 ff 00',
      '00 04 04 04 04 04 ff 04 00 04 04 04 04 04 ff 04',
      '00 04 08 08 08 08 ff 08 00 04 08 08 08 08 ff 08',
      '00 04 08 0c 0c 0c ff 0c 00 04 08 0c 0c 0c ff 0c',
      '00 04 08 0c 44 44 ff 44 00 04 08 0c 44 44 ff 44',
      '00 04 08 0c 44 44 ff bb 00 04 08 0c 44 44 ff bb',
      '00 04 08 0c 44 44 ff ff 00 04 08 0c 44 44 ff ff',
    ]);
  });
});

describe('every outcome the architecture permits', () => {
  type Row = [
    fwb: 0 | 1,
    s1Attr: number,
    s1Sh: number,
    memattr: number,
    s2Sh: number,
    latitude: string,
    permitted: [number, number][],
  ];

  it('equals the recorded rows, with nothing missing and nothing extra', () => {
    const file = new URL('../fixtures/combine-core.json.gz', import.meta.url);
    const { rows } = JSON.parse(gunzipSync(readFileSync(file)).toString()) as { rows: Row[] };
    const wrong = rows.filter(([fwb, attr, sh, memattr, s2Sh, latitude, permitted]) => {
      const input = { fwb, cd: 0, s1: { attr, sh }, s2: { memattr, sh: s2Sh } } as const;
      const got = combineAttributes(input).outcomes.map((outcome) => [outcome.attr, outcome.sh]);
      const named = latitude === 'D' ? 'defined' : 'implementation-defined';
      return JSON.stringify(got) !== JSON.stringify(permitted) || latitudeOf(input) !== named;
    });

    expect(rows).toHaveLength(2520);
    expect(wrong).toEqual([]);
  });
});

describe('a reserved MAIR byte', () => {
  it('may act as any allocated one: the union of their outcomes', () => {
    for (const [fwb, memattr] of [
      [false, 0b1111],
      [false, 0b0001],
      [true, 0b0110],
      [true, 0b0111],
    ] as const) {
      const s2 = { memattr, sh: NSH };
      const union = new Set<number>();
      for (let attr = 0; attr < 256; attr++) {
        if (isReservedByte(attr)) continue;
        for (const packed of oracle(fwb, false, { attr, sh: ISH }, s2)) union.add(packed);
      }
      const { outcomes } = combineAttributes({ fwb, cd: false, s1: { attr: 0xf0, sh: ISH }, s2 });
      expect(outcomes.map(({ attr, sh }) => pack(attr, sh))).toEqual([...union].sort((a, b) => a - b));
    }
  });
});

describe('optional features', () => {
  const one = (attr: number, memattr: number, fwb: boolean, features: object, fnXS = false) => {
    const s2 = { memattr, sh: ISH, fnXS };
    return combineAttributes({ fwb, cd: false, s1: { attr, sh: ISH }, s2, features }).outcomes;
  };

  it('FEAT_MTE2: Tagged survives on Write-Back RWA alone', () => {
    const mte = { mte2: true };
    expect(one(0xf0, 0b1111, false, mte)).toEqual([{ attr: 0xf0, sh: ISH }]);
    expect(one(0xf0, 0b0110, true, mte)).toEqual([{ attr: 0xf0, sh: ISH }]);
    expect(one(0xf0, 0b0111, true, mte)).toEqual([{ attr: 0xf0, sh: ISH }]);
    expect(one(0xf0, 0b1010, false, mte)).toEqual([{ attr: 0xbb, sh: ISH }]);
    expect(one(0xf0, 0b0101, true, mte)).toEqual([{ attr: 0x44, sh: OSH }]);
  });

  it('FEAT_MTE_PERM: NoTagAccess shows as 0xE0 on Tagged memory and is ignored elsewhere', () => {
    const perm = { mte2: true, mtePerm: true };
    expect(one(0xf0, 0b0100, false, perm)).toEqual([{ attr: 0xe0, sh: ISH }]);
    expect(one(0xf0, 0b1110, true, perm)).toEqual([{ attr: 0xe0, sh: ISH }]);
    expect(one(0xf0, 0b1111, true, perm)).toEqual([{ attr: 0xe0, sh: ISH }]);
    expect(one(0xff, 0b0100, false, perm)).toEqual([{ attr: 0xff, sh: ISH }]);
  });

  it('FEAT_XS: stage 1 Write-Back under stage 2 Device gives Device with XS = 0, and FnXS forces it', () => {
    const xs = { xs: true };
    expect(one(0xff, 0b0001, false, xs)).toEqual([{ attr: 0x05, sh: OSH }]);
    expect(one(0xbb, 0b0001, false, xs)).toEqual([{ attr: 0x04, sh: OSH }]);
    expect(one(0xbb, 0b0001, false, xs, true)).toEqual([{ attr: 0x05, sh: OSH }]);
    expect(one(0x01, 0b1111, false, xs)).toEqual([{ attr: 0x01, sh: OSH }]);
    expect(one(0x40, 0b0111, true, xs)).toEqual([{ attr: 0x40, sh: OSH }]);
    expect(one(0x40, 0b0110, true, xs)).toEqual([
      { attr: 0xff, sh: OSH },
      { attr: 0xff, sh: ISH },
    ]);
    expect(one(0xee, 0b1010, false, xs)).toEqual([{ attr: 0xa0, sh: ISH }]);
  });
});

describe('a type with XS = 0 on a processor without FEAT_XS', () => {
  it('loses the attribute, which does not exist there', () => {
    const regime = { fwb: true, cd: false, xs: false, fnXS: false };
    const [asStage1] = decodeMemAttr(0b0111, true).outcomes;
    expect(combineTypes({ ...DEVICE_nGnRE, xs: 0 }, asStage1, regime).type).toEqual(DEVICE_nGnRE);
  });
});

describe('bad input', () => {
  const good = { fwb: false, cd: false, s1: { attr: 0xff, sh: 3 }, s2: { memattr: 15, sh: 3 } };

  it.each([
    [{ ...good, s1: { attr: 256, sh: 3 } }, 's1.attr is 256: give a whole number from 0 to 255'],
    [{ ...good, s1: { attr: 1.5, sh: 3 } }, 's1.attr is 1.5'],
    [{ ...good, s1: { attr: 0xff, sh: 4 } }, 's1.sh is 4: give a whole number from 0 to 3'],
    [{ ...good, s2: { memattr: -1, sh: 3 } }, 's2.memattr is -1: give a whole number from 0 to 15'],
    [{ ...good, s2: { memattr: 15, sh: Number.NaN } }, 's2.sh is NaN'],
    [{ ...good, fwb: 2 as 0 }, 'fwb is 2: give true or false, 1 or 0'],
    [{ ...good, cd: undefined as unknown as boolean }, 'cd is undefined'],
  ])('%j is refused in plain words', (input, message) => {
    expect(() => combineAttributes(input)).toThrow(RangeError);
    expect(() => combineAttributes(input)).toThrow(message);
  });
});
