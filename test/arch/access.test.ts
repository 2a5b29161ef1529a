import { describe, expect, it } from 'vitest';
import type { Access, AccessKind } from '../../src/arch/access.ts';
import { isCacheMaintenance, isInstructionAbort, isStage1Walk, isWrite } from '../../src/arch/access.ts';
import type { Va } from '../../src/arch/addresses.ts';

const KINDS: readonly AccessKind[] = [
  'read',
  'write',
  'fetch',
  'read-pair',
  'write-pair',
  'exclusive-load',
  'exclusive-store',
  'dc-zva',
  'dc-cvac',
  'dc-cvau',
  'dc-civac',
  'dc-ivac',
  'ic-ivau',
  'prefetch',
  's1-walk',
  's1-walk-update',
];

const access = (kind: AccessKind, purpose?: 'fetch' | 'read' | 'write'): Access => ({
  id: 0,
  kind,
  size: 8,
  va: 0 as Va,
  ipa: null,
  stage1: null,
  syndrome: null,
  ...(purpose === undefined ? {} : { walk: { level: 3, purpose } }),
});

describe('the kind of an access', () => {
  it('says what stage 2 has to let it write: stores, DC ZVA and the update of a stage-1 descriptor', () => {
    const writes = ['write', 'write-pair', 'exclusive-store', 'dc-zva', 's1-walk-update'];
    expect(KINDS.filter(isWrite)).toEqual(writes);
  });

  it('says what is cache maintenance by address: DC ZVA, which stores, is not', () => {
    const maintenance = ['dc-cvac', 'dc-cvau', 'dc-civac', 'dc-ivac', 'ic-ivau'];
    expect(KINDS.filter(isCacheMaintenance)).toEqual(maintenance);
  });

  it('says what sets ESR_EL2.S1PTW: reads and updates of stage-1 tables', () => {
    expect(KINDS.filter(isStage1Walk)).toEqual(['s1-walk', 's1-walk-update']);
  });

  it('with the purpose of a walk says what takes an instruction abort (EC 0x20)', () => {
    expect(KINDS.filter((kind) => isInstructionAbort(access(kind)))).toEqual(['fetch']);
    expect(isInstructionAbort(access('s1-walk', 'fetch'))).toBe(true);
    expect(isInstructionAbort(access('s1-walk', 'read'))).toBe(false);
    expect(isInstructionAbort(access('s1-walk-update', 'write'))).toBe(false);
  });
});
