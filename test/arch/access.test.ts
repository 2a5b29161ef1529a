import { describe, expect, it } from 'vitest';
import type { Access, AccessKind } from '../../src/arch/access.ts';
import {
  isAcquire,
  isCacheMaintenance,
  isInstructionAbort,
  isRelease,
  isSimd,
  isStage1Walk,
  isWrite,
} from '../../src/arch/access.ts';
import type { Va } from '../../src/arch/addresses.ts';
import { NO_SYNDROME } from '../../src/arch/esr.ts';

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

describe('the instruction behind an access', () => {
  const ordered = (kind: AccessKind, ar: boolean): Access => ({
    ...access(kind),
    syndrome: { ...NO_SYNDROME, isv: true, ar },
  });

  it('is LDAR or STLR where the syndrome has AR set: the one acquires, the other releases', () => {
    expect(KINDS.filter((kind) => isAcquire(ordered(kind, true)))).toEqual(['read']);
    expect(KINDS.filter((kind) => isRelease(ordered(kind, true)))).toEqual(['write']);
    expect([isAcquire(ordered('read', false)), isRelease(ordered('write', false))]).toEqual([false, false]);
    expect([isAcquire(access('read')), isRelease(access('write'))]).toEqual([false, false]);
  });

  it('uses vector registers where it has elements, or moves 16 bytes at once and is no pair', () => {
    expect(KINDS.filter((kind) => isSimd({ ...access(kind), size: 16 }))).toEqual(['read', 'write']);
    expect(isSimd({ ...access('read'), size: 8 })).toBe(false);
    expect(isSimd({ ...access('read-pair'), size: 32, element: 4 })).toBe(true);
  });
});
