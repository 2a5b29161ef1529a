// What stage 1 hands on: from MAIR, before the guest turns its MMU on, and under the control bits.

import { describe, expect, it } from 'vitest';
import { describeMemoryType, NORMAL_WB } from '../../src/arch/memory-type.ts';
import type { Stage1Attributes } from '../../src/arch/stage1.ts';
import {
  isStage1On,
  STAGE_1_OFF,
  STAGE_1_ON,
  stage1Attributes,
  stage1Disabled,
  stage1FromMair,
} from '../../src/arch/stage1.ts';

const text = ({ type, shareability, because }: Stage1Attributes): string =>
  `${describeMemoryType(type)} ${shareability}: ${because}`;
const NORMAL = { attr: 0xff, sh: 0b11 };
const DEVICE = { attr: 0x04, sh: 0b00 };

describe('a guest with its MMU on', () => {
  it('gets what MAIR_EL1 and the SH field say', () => {
    expect(text(stage1FromMair(NORMAL, 'data'))).toBe('Normal iWB-oWB RWA ISH: mair');
    expect(text(stage1FromMair(DEVICE, 'data'))).toBe('Device-nGnRE NSH: mair');
    expect(stage1Attributes(NORMAL, 'data', STAGE_1_ON)).toEqual(stage1FromMair(NORMAL, 'data'));
  });

  it('loses cacheability of data, and not Device, with SCTLR_EL1.C = 0', () => {
    const controls = { ...STAGE_1_ON, c: false };
    expect(text(stage1FromMair(NORMAL, 'data', controls))).toBe('Normal Non-cacheable OSH: sctlr-c-off');
    expect(text(stage1FromMair(DEVICE, 'data', controls))).toBe('Device-nGnRE NSH: mair');
    expect(text(stage1FromMair(NORMAL, 'fetch', controls))).toBe('Normal iWB-oWB RWA ISH: mair');
  });

  it('fetches Non-cacheable with SCTLR_EL1.I = 0 and from Device', () => {
    const controls = { ...STAGE_1_ON, i: false };
    expect(text(stage1FromMair(NORMAL, 'fetch', controls))).toBe('Normal Non-cacheable OSH: sctlr-i-off');
    expect(text(stage1FromMair(DEVICE, 'fetch'))).toBe('Normal Non-cacheable OSH: fetch-from-device');
    expect(text(stage1FromMair(NORMAL, 'data', controls))).toBe('Normal iWB-oWB RWA ISH: mair');
  });

  it('gets one permitted outcome of reserved encodings, and is told', () => {
    expect(text(stage1FromMair({ attr: 0x02, sh: 0b01 }, 'data'))).toBe(
      'Device-nGnRnE OSH: mair-byte-reserved',
    );
  });

  it('keeps XS = 0 of Write-Back memory that SCTLR_EL1.C made Non-cacheable', () => {
    const controls = { ...STAGE_1_ON, c: false };
    const { type } = stage1FromMair(NORMAL, 'data', controls, { xs: true });
    expect(describeMemoryType(type)).toBe('Normal Non-cacheable XS=0');
    const writeThrough = stage1FromMair({ attr: 0xbb, sh: 0b11 }, 'data', controls, { xs: true });
    expect(describeMemoryType(writeThrough.type)).toBe('Normal Non-cacheable');
    const fetched = stage1FromMair({ attr: 0x05, sh: 0 }, 'fetch', STAGE_1_ON, { xs: true });
    expect(text(fetched)).toBe('Normal Non-cacheable XS=0 OSH: fetch-from-device');
  });
});

describe('a guest with its MMU off', () => {
  it('has Device data, and fetches as SCTLR_EL1.I says, all Outer Shareable', () => {
    expect(text(stage1Disabled('data', STAGE_1_OFF))).toBe('Device-nGnRnE OSH: sctlr-m-off-data');
    expect(text(stage1Disabled('fetch', STAGE_1_OFF))).toBe('Normal Non-cacheable OSH: sctlr-m-off-fetch');
    expect(text(stage1Disabled('fetch', { ...STAGE_1_OFF, i: true }))).toBe(
      'Normal iWT-oWT RA OSH: sctlr-m-off-fetch',
    );
  });

  it('needs no MAIR field, while one with its MMU on does', () => {
    expect(text(stage1Attributes(null, 'data', STAGE_1_OFF))).toBe('Device-nGnRnE OSH: sctlr-m-off-data');
    expect(() => stage1Attributes(null, 'data', STAGE_1_ON)).toThrow(/stage 1 is on: give the MAIR byte/);
  });
});

describe('the controls of a guest', () => {
  it('are all off out of reset; Linux turns on stage 1 and both caches', () => {
    expect(STAGE_1_OFF).toEqual({ m: false, c: false, i: false, dc: false, dct: false });
    expect(STAGE_1_ON).toEqual({ m: true, c: true, i: true, dc: false, dct: false });
    expect([isStage1On(STAGE_1_OFF), isStage1On(STAGE_1_ON)]).toEqual([false, true]);
  });
});

describe('HCR_EL2.DC = 1', () => {
  const controls = { ...STAGE_1_ON, dc: true, dct: true };

  it('turns stage 1 off and makes everything Write-Back, Non-shareable', () => {
    expect(isStage1On(controls)).toBe(false);
    for (const access of ['data', 'fetch'] as const) {
      expect(text(stage1Attributes(DEVICE, access, controls))).toBe('Normal iWB-oWB RWA NSH: hcr-dc');
    }
  });

  it('and DCT = 1 makes it Tagged with FEAT_MTE2', () => {
    const { type } = stage1Disabled('data', controls, { mte2: true });
    expect(describeMemoryType(type)).toBe('Normal iWB-oWB RWA Tagged');
    expect(stage1Disabled('data', { ...controls, dct: false }, { mte2: true }).type).toEqual(NORMAL_WB);
    expect(stage1Disabled('data', controls).type).toEqual(NORMAL_WB);
  });
});
