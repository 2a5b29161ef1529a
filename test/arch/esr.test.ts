import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DataAbort, InstructionAbort } from '../../src/arch/esr.ts';
import { decodeEsr, decodeIss2, encodeAbort, encodeIss2, NO_SYNDROME } from '../../src/arch/esr.ts';
import { decodeFaultStatus } from '../../src/arch/fault-status.ts';
import { property } from '../helpers/twice.ts';

describe('the ESR of an abort', () => {
  it('given `ldr w13, [x10]` where level 1 has no entry, is what a host was measured to see', () => {
    const syndrome = { ...NO_SYNDROME, isv: true, sas: 2, srt: 13 } as const;

    const esr = encodeAbort({ kind: 'data-abort', status: { kind: 'translation', level: 1 }, syndrome });

    expect(esr).toBe(0x938d0005);
    expect(decodeEsr(esr)).toMatchObject({
      kind: 'data-abort',
      fromLowerEl: true,
      il: true,
      syndrome,
      s1ptw: false,
      status: { kind: 'translation', level: 1 },
    });
  });

  // Values of real kernels, and of an emulated processor for the alignment faults.
  it.each<[number, object]>([
    [
      0x938b0046,
      { syndrome: { isv: true, sas: 2, srt: 11, wnr: true }, status: { kind: 'translation', level: 2 } },
    ],
    [
      0x93890046,
      { syndrome: { isv: true, sas: 2, srt: 9, wnr: true }, status: { kind: 'translation', level: 2 } },
    ],
    [
      0x93c08046,
      { syndrome: { isv: true, sas: 3, sf: true, wnr: true }, status: { kind: 'translation', level: 2 } },
    ],
    [0x92000046, { syndrome: { isv: false, wnr: true }, status: { kind: 'translation', level: 2 } }],
    [0x92000061, { syndrome: { isv: false, wnr: true }, status: { kind: 'alignment' } }],
    [0x93850021, { syndrome: { isv: true, sas: 2, srt: 5, wnr: false }, status: { kind: 'alignment' } }],
    [0x9200008f, { s1ptw: true, syndrome: { wnr: false }, status: { kind: 'permission', level: 3 } }],
    [0x92000145, { syndrome: { cm: true, wnr: true }, status: { kind: 'translation', level: 1 } }],
    [0x96000061, { fromLowerEl: false, status: { kind: 'alignment' } }],
    [0x96000010, { fromLowerEl: false, status: { kind: 'sync-external' } }],
    [0x82000005, { kind: 'instruction-abort', fromLowerEl: true, status: { kind: 'translation', level: 1 } }],
    [0x8200000f, { kind: 'instruction-abort', status: { kind: 'permission', level: 3 } }],
    [0x82000084, { kind: 'instruction-abort', s1ptw: true, status: { kind: 'translation', level: 0 } }],
    [0x86000010, { kind: 'instruction-abort', fromLowerEl: false, status: { kind: 'sync-external' } }],
  ])('measured: %i', (esr, fields) => {
    const decoded = decodeEsr(esr);

    expect(decoded).toMatchObject(fields);
    expect(decoded.kind === 'other' ? undefined : encodeAbort(decoded)).toBe(esr);
  });

  it('without a valid syndrome has zeros from SAS to AR, and IL set whatever the instruction', () => {
    const syndrome = { ...NO_SYNDROME, sas: 3, srt: 7, sf: true, ar: true, sse: true, wnr: true } as const;

    const esr = encodeAbort({
      kind: 'data-abort',
      status: { kind: 'translation', level: 3 },
      syndrome,
      il: false,
    });

    expect(esr).toBe(0x92000047);
  });

  it('any other exception is left in its parts', () => {
    expect(decodeEsr(0x5a000000)).toEqual({ kind: 'other', ec: 0x16, il: true, iss: 0, iss2: 0 });
    expect(decodeEsr(0)).toEqual({ kind: 'other', ec: 0, il: false, iss: 0, iss2: 0 });
  });

  it('decoding gives what was encoded', () => {
    fc.assert(
      property(fc.oneof(dataAborts, instructionAborts), (abort) => {
        expect(decodeEsr(encodeAbort(abort))).toEqual(abort);
      }),
      { seed: 9, numRuns: 500 },
    );
  });

  it('refuses a sign-extended value, and fields that do not fit', () => {
    const status = { kind: 'alignment' } as const;

    expect(() => decodeEsr(Number(0xffffffff86000010n))).toThrow(RangeError);
    expect(() => decodeEsr(-1)).toThrow(RangeError);
    expect(() => decodeEsr(2 ** 44)).toThrow(RangeError);
    expect(decodeEsr(2 ** 44 - 2 ** 32)).toMatchObject({ kind: 'other', ec: 0, iss2: 0xfff });
    expect(() => encodeAbort({ kind: 'instruction-abort', status, iss2: 2 ** 12 })).toThrow(/ISS2/);
    expect(() =>
      encodeAbort({ kind: 'data-abort', status, syndrome: { ...NO_SYNDROME, isv: true, srt: 32 } }),
    ).toThrow(/SRT 32/);
  });
});

describe('ISS2', () => {
  it('given a faulting ST64BV0, holds the register of the data in Xs', () => {
    const esr = encodeAbort({
      kind: 'data-abort',
      status: { kind: 'unsupported-exclusive-or-atomic' },
      set: 3,
      iss2: 9,
    });

    expect(esr).toBe(0x9_9200_1835);
    expect(decodeIss2(9)).toMatchObject({ xs: 9, overlay: false });
  });

  it('every value survives decoding and encoding', () => {
    const values = Array.from({ length: 0x1000 }, (_, value) => value);

    expect(values.map((value) => encodeIss2(decodeIss2(value)))).toEqual(values);
  });
});

const twoBits = fc.constantFrom<(0 | 1 | 2 | 3)[]>(0, 1, 2, 3);
const common = {
  fromLowerEl: fc.boolean(),
  set: twoBits,
  fnV: fc.boolean(),
  ea: fc.boolean(),
  s1ptw: fc.boolean(),
  status: fc.integer({ min: 0, max: 63 }).map(decodeFaultStatus),
  iss2: fc.integer({ min: 0, max: 0xfff }),
};
const instructionAborts = fc.record<InstructionAbort>({ kind: fc.constant('instruction-abort'), ...common });
const syndromes = fc.oneof(
  fc.record({ wnr: fc.boolean(), cm: fc.boolean() }).map((access) => ({ ...NO_SYNDROME, ...access })),
  fc.record({
    isv: fc.constant(true),
    sas: twoBits,
    sse: fc.boolean(),
    srt: fc.integer({ min: 0, max: 31 }),
    sf: fc.boolean(),
    ar: fc.boolean(),
    wnr: fc.boolean(),
    cm: fc.boolean(),
  }),
);
const dataAborts = fc
  .record<DataAbort>({
    kind: fc.constant('data-abort'),
    il: fc.boolean(),
    syndrome: syndromes,
    vncr: fc.boolean(),
    ...common,
  })
  .map((abort) => ({ ...abort, il: abort.il || !abort.syndrome.isv }));
