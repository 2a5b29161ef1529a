// The sixteen MemAttr values under both meanings, and what remains of the reserved ones.

import { describe, expect, it } from 'vitest';
import type { Stage2MemAttr } from '../../src/arch/stage2-memattr.ts';
import { decodeMemAttr } from '../../src/arch/stage2-memattr.ts';

const MEMATTRS = Array.from({ length: 16 }, (_, memattr) => memattr);

function text(memattr: Stage2MemAttr): string {
  const perm = 'noTagAccess' in memattr && memattr.noTagAccess === true ? ' NoTagAccess' : '';
  if (memattr.type === 'Device') return memattr.device;
  if (memattr.type === 'Normal') return `i${memattr.inner}-o${memattr.outer}${perm}`;
  return `${memattr.type}${perm}`;
}

const table = (fwb: boolean, features = {}): string[] =>
  MEMATTRS.map((memattr) => {
    const { encoding, outcomes } = decodeMemAttr(memattr, fwb, features);
    return `${outcomes.map(text).join('|')}${encoding === 'allocated' ? '' : ` (${encoding})`}`;
  });

describe('MemAttr with FWB = 0', () => {
  it('is a memory type of its own; a reserved inner half acts as NC, WT or WB', () => {
    expect(table(false)).toEqual([
      'nGnRnE',
      'nGnRE',
      'nGRE',
      'GRE',
      'iNC-oNC|iWT-oNC|iWB-oNC (reserved)',
      'iNC-oNC',
      'iWT-oNC',
      'iWB-oNC',
      'iNC-oWT|iWT-oWT|iWB-oWT (reserved)',
      'iNC-oWT',
      'iWT-oWT',
      'iWB-oWT',
      'iNC-oWB|iWT-oWB|iWB-oWB (reserved)',
      'iNC-oWB',
      'iWT-oWB',
      'iWB-oWB',
    ]);
  });

  it('has 0b0100 as Write-Back NoTagAccess with FEAT_MTE_PERM', () => {
    const others = table(false).with(0b0100, 'iWB-oWB NoTagAccess');
    expect(table(false, { mtePerm: true })).toEqual(others);
  });
});

describe('MemAttr with FWB = 1', () => {
  const low = [
    'nGnRnE',
    'nGnRE',
    'nGRE',
    'GRE',
    'force-non-cacheable (reserved)',
    'force-non-cacheable',
    'force-write-back',
    'as-stage-1',
  ];

  it('tells stage 1 what to become; bit 3 is RES0 and ignored', () => {
    const high = low.map((name) => (name.endsWith('(reserved)') ? name : `${name} (RES0)`));
    expect(table(true)).toEqual([...low, ...high]);
  });

  it('forbids tag access with bit 3 and FEAT_MTE_PERM', () => {
    expect(table(true, { mtePerm: true })).toEqual([
      ...low,
      'nGnRnE (reserved)',
      'nGnRE (reserved)',
      'nGRE (reserved)',
      'GRE (reserved)',
      'force-non-cacheable (reserved)',
      'force-non-cacheable (reserved)',
      'force-write-back NoTagAccess',
      'as-stage-1 NoTagAccess',
    ]);
  });
});

describe('a value that is no MemAttr', () => {
  it.each([-1, 16, 1.5])('%d is refused', (memattr) => {
    expect(() => decodeMemAttr(memattr, false)).toThrow(/MemAttr .* is not a whole number from 0 to 15/);
  });
});
