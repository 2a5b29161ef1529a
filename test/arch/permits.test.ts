// What each type permits, and the Alignment fault that the whole story turns on.

import { describe, expect, it } from 'vitest';
import type { Access } from '../../src/arch/access.ts';
import type { Va } from '../../src/arch/addresses.ts';
import { combineTypes } from '../../src/arch/combine-rules.ts';
import type { MemoryType } from '../../src/arch/memory-type.ts';
import {
  DEVICE_GRE,
  DEVICE_nGnRE,
  DEVICE_nGnRnE,
  DEVICE_nGRE,
  NON_CACHEABLE,
  NORMAL_NC,
  NORMAL_WB,
  NORMAL_WT,
  normal,
} from '../../src/arch/memory-type.ts';
import type { AlignmentAccess, Permissions } from '../../src/arch/permits.ts';
import { alignmentFault, alignmentOf, PERMIT_RULES, permits } from '../../src/arch/permits.ts';
import { decodeMemAttr } from '../../src/arch/stage2-memattr.ts';
import { allTypes } from './all-types.ts';

const DEVICES = [DEVICE_nGnRnE, DEVICE_nGnRE, DEVICE_nGRE, DEVICE_GRE];
const LOAD: Access = {
  id: 0,
  kind: 'read',
  size: 8,
  va: 0 as Va,
  ipa: null,
  stage1: null,
  syndrome: null,
};
const UNALIGNED: AlignmentAccess = { kind: 'write', address: 0xa4, size: 16 };

describe('one unaligned store of a guest into a BAR that it maps write-combining', () => {
  it('faults at stage 2, to EL2, where the host made it Device', () => {
    expect(alignmentFault({ access: UNALIGNED, stage1: NORMAL_NC, combined: DEVICE_nGnRE })).toEqual({
      stage: 2,
      routedTo: 'EL2',
      because: 'device-unaligned',
    });
  });

  it('completes where the host left it Normal Non-cacheable', () => {
    expect(alignmentFault({ access: UNALIGNED, stage1: NORMAL_NC, combined: NORMAL_NC })).toBeNull();
  });

  it('faults at stage 1, in the guest itself, where the guest maps it Device', () => {
    expect(alignmentFault({ access: UNALIGNED, stage1: DEVICE_nGnRE, combined: DEVICE_nGnRE })).toEqual({
      stage: 1,
      routedTo: 'EL1',
      because: 'device-unaligned',
    });
  });
});

describe('alignment', () => {
  const onDevice = (kind: AlignmentAccess['kind'], address: number | bigint, size: number) =>
    alignmentFault({ access: { kind, address, size }, stage1: NORMAL_NC, combined: DEVICE_GRE });
  const onNormal = (kind: AlignmentAccess['kind'], address: number, size: number, lse2 = false) =>
    alignmentFault({ access: { kind, address, size }, stage1: NORMAL_WB, combined: NORMAL_WB, lse2 });

  it('of a pair is that of one register', () => {
    expect(onDevice('write-pair', 0x08, 16)).toBeNull();
    expect(onDevice('write-pair', 0x04, 16)).not.toBeNull();
    expect(onDevice('read-pair', 0x08, 16)).toBeNull();
    expect(onDevice('read-pair', 0x08, 32)).not.toBeNull();
  });

  it('of LD1 and ST1 is that of one element, which the access says (B2.2)', () => {
    const bytes = (va: number, element: number) => alignmentOf({ ...LOAD, va: va as Va, size: 16, element });
    const onBar = (access: AlignmentAccess) =>
      alignmentFault({ access, stage1: NORMAL_NC, combined: DEVICE_nGnRE })?.because ?? null;
    expect(bytes(0xa4, 4)).toEqual({ kind: 'read', address: 0xa4, size: 16, element: 4 });
    expect(onBar(bytes(0xa4, 4))).toBeNull();
    expect(onBar(bytes(0xa4, 8))).toBe('device-unaligned');
    expect(onBar(bytes(0xa1, 1))).toBeNull();
    expect(Object.keys(alignmentOf({ ...LOAD, va: 8 as Va }))).toEqual(['kind', 'address', 'size']);
  });

  it('of a 128-bit SIMD access at an 8-byte boundary is missing', () => {
    expect(onDevice('read', 0x08, 16)).not.toBeNull();
  });

  it('is looked at in the low bits of a kernel address too', () => {
    expect(onDevice('read', 0xffff_8000_0000_0001n, 4)).not.toBeNull();
    expect(onDevice('read', 0xffff_8000_0000_0004n, 4)).toBeNull();
  });

  it('does not save DC ZVA on any Device type', () => {
    for (const device of DEVICES) {
      const access = { kind: 'dc-zva', address: 0, size: 64 } as const;
      const fault = alignmentFault({ access, stage1: NORMAL_WB, combined: device });
      expect(fault).toEqual({ stage: 2, routedTo: 'EL2', because: 'device-dc-zva' });
      expect(alignmentFault({ access, stage1: device, combined: device })?.stage).toBe(1);
    }
    expect(onNormal('dc-zva', 0x11, 64)).toBeNull();
  });

  it('is needed on any memory by exclusives, atomics, acquire/release, and with SCTLR_EL1.A by all', () => {
    expect(onNormal('exclusive-load', 1, 4)?.because).toBe('exclusive-unaligned');
    expect(onNormal('exclusive-store', 8, 16)?.because).toBe('exclusive-unaligned');
    expect(onNormal('atomic', 1, 4)).toEqual({ stage: 1, routedTo: 'EL1', because: 'atomic-unaligned' });
    expect(onNormal('acquire-release', 2, 4)?.because).toBe('acquire-release-unaligned');
    expect(onNormal('exclusive-load', 4, 4)).toBeNull();
    const checked = { stage1: NORMAL_WB, combined: NORMAL_WB, sctlrA: true };
    expect(alignmentFault({ ...checked, access: UNALIGNED })?.because).toBe('sctlr-a');
    expect(alignmentFault({ ...checked, access: { ...UNALIGNED, address: 0xa0 } })).toBeNull();
    for (const kind of ['read', 'write', 'read-pair', 'write-pair'] as const) {
      expect(alignmentFault({ ...checked, access: { kind, address: 2, size: 8 } })?.because).toBe('sctlr-a');
      expect(onNormal(kind, 2, 8)).toBeNull();
    }
  });

  it('is relaxed by FEAT_LSE2 within 16 bytes', () => {
    expect(onNormal('atomic', 1, 4, true)).toBeNull();
    expect(onNormal('atomic', 11, 4, true)).toBeNull();
    expect(onNormal('atomic', 13, 4, true)?.because).toBe('atomic-unaligned');
    expect(onNormal('atomic', 28, 8, true)?.because).toBe('atomic-unaligned');
    expect(onNormal('exclusive-load', 20, 8, true)).toBeNull();
  });

  it('is no matter of fetches, walks and maintenance by address', () => {
    for (const kind of ['fetch', 's1-walk', 's1-walk-update', 'dc-civac', 'ic-ivau', 'prefetch'] as const) {
      expect(onDevice(kind, 0x31, 64)).toBeNull();
    }
  });

  it('refuses a size that no access has', () => {
    expect(() => onDevice('read', 0, 0)).toThrow(RangeError);
    expect(() => onDevice('read-pair', 0, 1)).toThrow(/access of 1 bytes/);
    expect(() => onDevice('read-pair', 0, 12)).toThrow(/access of 12 bytes/);
  });

  it('at stage 2 may be judged by the combined type: behind Normal both are Device or neither', () => {
    const wrong: unknown[] = [];
    for (const stage1 of allTypes().filter((type) => type.type === 'Normal')) {
      for (let index = 0; index < 64; index++) {
        const [memattr, fwb, cd] = [index & 15, (index & 16) !== 0, (index & 32) !== 0];
        for (const stage2 of decodeMemAttr(memattr, fwb).outcomes) {
          const { type } = combineTypes(stage1, stage2, { fwb, cd, xs: false, fnXS: false });
          if ((type.type === 'Device') !== (stage2.type === 'Device')) wrong.push([stage1, stage2]);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  it('faults at stage 1 under FWB = 1 MemAttr 0b0110 too, as in the pseudocode', () => {
    expect(alignmentFault({ access: UNALIGNED, stage1: DEVICE_nGnRE, combined: NORMAL_WB })?.stage).toBe(1);
  });
});

describe('what a type permits', () => {
  const column = (type: MemoryType): Record<string, unknown> =>
    Object.fromEntries(Object.entries(permits(type)).map(([name, { value }]) => [name, value]));
  const row = (name: keyof Permissions) => [...DEVICES, NORMAL_NC].map((type) => permits(type)[name].value);

  it('follows the letters: G gathers, R reorders, E acknowledges early', () => {
    //                                                     nGnRnE nGnRE  nGRE   GRE   Normal-NC
    expect(row('gathering')).toEqual(/*                 */ [false, false, false, true, true]);
    expect(row('reordering')).toEqual(/*                */ [false, false, true, true, true]);
    expect(row('earlyWriteAcknowledgement')).toEqual(/* */ [false, true, true, true, true]);
    expect(row('sizeAndCountKept')).toEqual(/*          */ [true, true, true, false, false]);
    expect(row('speculativeReads')).toEqual(/*          */ [false, false, false, false, true]);
  });

  it('forwards from the store buffer on Normal, on GRE until a barrier, never on nG', () => {
    expect(row('storeBufferForwarding')).toEqual(['no', 'no', 'no', 'if-no-barrier-between', 'yes']);
  });

  it('lets vector loads read their window and pieces of pairs come as they do, on every type', () => {
    expect(row('simdWindowReads')).toEqual([true, true, true, true, true]);
    expect(row('piecesAsTheyCome')).toEqual([true, true, true, true, true]);
  });

  it('is the same for every Device type in alignment, DC ZVA, caching, fetch and exclusives', () => {
    for (const device of DEVICES) {
      expect(column(device)).toMatchObject({
        unalignedAccess: 'alignment-fault',
        dcZva: 'alignment-fault',
        caching: 'never',
        instructionFetch: 'permission-fault-or-non-cacheable',
        exclusives: 'implementation-defined',
      });
    }
  });

  it('differs between Normal types in caching and exclusives alone', () => {
    const { caching, exclusives, ...rest } = column(NORMAL_NC);
    expect([caching, exclusives]).toEqual(['never', 'implementation-defined']);
    for (const type of [NORMAL_WT, NORMAL_WB, normal(NON_CACHEABLE, NORMAL_WB.outer)]) {
      expect(column(type)).toMatchObject({ ...rest, caching: 'by-cacheability' });
    }
  });

  it('guarantees exclusives on shareable Write-Back RWA non-transient alone', () => {
    const transient = normal({ policy: 'WB', transient: true, readAllocate: true, writeAllocate: true });
    expect(permits(NORMAL_WB, 'ISH').exclusives.value).toBe('guaranteed');
    expect(permits(NORMAL_WB, 'OSH').exclusives.value).toBe('guaranteed');
    expect(permits(NORMAL_WB, 'NSH').exclusives.value).toBe('implementation-defined');
    expect(permits(NORMAL_WT).exclusives.value).toBe('implementation-defined');
    expect(permits(transient).exclusives.value).toBe('implementation-defined');
    for (const half of [NORMAL_WT.inner, NON_CACHEABLE]) {
      expect(permits(normal(half, NORMAL_WB.outer)).exclusives.value).toBe('implementation-defined');
      expect(permits(normal(NORMAL_WB.inner, half)).exclusives.value).toBe('implementation-defined');
    }
  });

  it('never grows with strictness: what nGnRnE permits each weaker type permits too', () => {
    const chain = DEVICES.map((type) => permits(type));
    for (const name of ['gathering', 'reordering', 'earlyWriteAcknowledgement'] as const) {
      const values = chain.map((permissions) => Number(permissions[name].value));
      expect(values).toEqual([...values].sort((a, b) => a - b));
    }
  });

  it('says for each answer which letter or sentence it follows from', () => {
    const reasons = (type: MemoryType) =>
      Object.fromEntries(Object.entries(permits(type)).map(([name, { because }]) => [name, because]));
    const anyDevice = {
      unalignedAccess: 'device-unaligned',
      dcZva: 'device-dc-zva',
      speculativeReads: 'device-no-speculation',
      caching: 'device-never-cached',
      instructionFetch: 'device-fetch',
      exclusives: 'exclusives-elsewhere',
      simdWindowReads: 'simd-window',
      piecesAsTheyCome: 'multiple-accesses',
    };
    expect(reasons(DEVICE_nGnRnE)).toEqual({
      ...anyDevice,
      gathering: 'non-gathering',
      reordering: 'non-reordering',
      earlyWriteAcknowledgement: 'no-early-write-acknowledgement',
      storeBufferForwarding: 'non-gathering-endpoint',
      sizeAndCountKept: 'non-gathering',
    });
    expect(reasons(DEVICE_GRE)).toEqual({
      ...anyDevice,
      gathering: 'gathering',
      reordering: 'reordering',
      earlyWriteAcknowledgement: 'early-write-acknowledgement',
      storeBufferForwarding: 'gathering-forwards',
      sizeAndCountKept: 'gathering',
    });
    const { speculativeReads, caching, exclusives, ...rest } = reasons(NORMAL_NC);
    expect([speculativeReads, caching, exclusives]).toEqual([
      'normal-non-cacheable',
      'normal-non-cacheable',
      'exclusives-elsewhere',
    ]);
    expect(new Set(Object.values(rest))).toEqual(new Set(['normal-is-memory']));
    expect(reasons(NORMAL_WB)).toMatchObject({
      speculativeReads: 'normal-is-memory',
      caching: 'normal-cacheability',
      exclusives: 'exclusives-write-back',
    });
    expect(reasons(NORMAL_WT)).toMatchObject({ exclusives: 'exclusives-elsewhere' });
  });

  it('cites a rule for every answer, and no rule is without an answer', () => {
    const types = [...DEVICES, NORMAL_NC, NORMAL_WT, NORMAL_WB];
    const cited = types.flatMap((type) => Object.values(permits(type)).map(({ because }) => because));
    expect(new Set(cited)).toEqual(new Set(Object.keys(PERMIT_RULES)));
  });
});
