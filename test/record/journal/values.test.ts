import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PageBitmap } from '../../../src/host/page-bitmap.ts';
import { MACHINE_VALUES } from '../../../src/record/journal/machine-values.ts';
import { fromText, toText } from '../../../src/record/journal/values.ts';
import { property } from '../../helpers/twice.ts';

const round = (value: object): unknown => fromText(toText(value, MACHINE_VALUES), MACHINE_VALUES);

describe('a value in a record', () => {
  it('is JSON where that is exact, and tagged where it is not', () => {
    const event = { type: 'device-read', value: 0x5an, by: undefined, offset: -0, size: 4 };
    expect(toText(event, [])).toBe(
      '{"type":"device-read","value":{"$bigint":"0x5a"},"by":{"$undefined":true},"offset":{"$number":"-0"},"size":4}',
    );
    expect(round(event)).toStrictEqual(event);
  });

  it('comes back as it was, whatever it is', () => {
    const leaf = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.double(),
      fc.maxSafeInteger(),
      fc.bigInt(),
      fc.boolean(),
      fc.constant(null),
      fc.constant(undefined),
    );
    const key = fc.string({ unit: 'binary' }).filter((it) => !it.startsWith('$') && it !== '__proto__');
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaf, tie('list'), tie('record')),
      list: fc.array(tie('tree'), { maxLength: 4 }),
      record: fc.dictionary(key, tie('tree'), { maxKeys: 4, noNullPrototype: true }),
    }));
    fc.assert(
      property(fc.dictionary(key, tree, { noNullPrototype: true }), (value) => {
        expect(round(value)).toStrictEqual(value);
        expect(toText(round(value) as object, [])).toBe(toText(value, []));
      }),
      { seed: 7, numRuns: 60 },
    );
  });

  it('can be the dirty bitmap of a memslot', () => {
    const dirty = PageBitmap.empty(2000).with(3, 2).with(600, 1).with(1999, 1);
    const event = { type: 'memslot-set', slot: { slot: 1, dirty } };
    expect(toText(event, MACHINE_VALUES)).toContain(
      '"dirty":{"$PageBitmap":{"pages":2000,"set":[[3,2],[600,1],[1999,1]]}}',
    );
    const back = round(event) as typeof event;
    expect(back.slot.dirty).toBeInstanceOf(PageBitmap);
    expect([...back.slot.dirty.set()]).toEqual([3, 4, 600, 1999]);
  });

  it.each([
    ['a function', { type: 'x', call: { run: () => 1 } }, 'call.run is a function, which no record can hold'],
    ['a class', { type: 'x', at: [new Date(0)] }, 'at[0] is a Date, which no record can hold'],
    ['a field of the tags', { type: 'x', by: { $bigint: 1 } }, 'by has a field named $bigint'],
  ])('is refused rather than lost: %s', (_what, value, message) => {
    expect(() => toText(value, [])).toThrow(message);
  });
});
