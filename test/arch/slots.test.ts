import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Slots } from '../../src/arch/slots.ts';
import { changedSlots, nextOccupied, slotAt, slotShape, withSlot } from '../../src/arch/slots.ts';
import { property } from '../helpers/twice.ts';

describe('a persistent array of slots', () => {
  it('given one change in 512 slots, shares the rest with the old version', () => {
    const shape = slotShape(9);
    const before = withSlot<string>(undefined, shape, 3, 'three');

    const after = withSlot(before, shape, 500, 'five hundred');

    expect(slotAt(after, shape, 3)).toBe('three');
    expect(slotAt(after, shape, 500)).toBe('five hundred');
    expect(slotAt(before, shape, 500)).toBeUndefined();
  });

  it('without an occupied slot is undefined, so that an empty table can be told', () => {
    const shape = slotShape(9);
    const one = withSlot<string>(undefined, shape, 3, 'three');

    expect(withSlot(one, shape, 3, undefined)).toBeUndefined();
    expect(changedSlots(one, shape, 0, 511, () => undefined)).toBeUndefined();
  });

  it('given nothing to change, is the very same array, as a snapshot that shares it needs', () => {
    const shape = slotShape(9);
    const some = withSlot(withSlot<string>(undefined, shape, 3, 'three'), shape, 500, 'five hundred');

    expect(withSlot(some, shape, 3, 'three')).toBe(some);
    expect(withSlot(some, shape, 4, undefined)).toBe(some);
    expect(changedSlots(some, shape, 0, 511, (value) => value)).toBe(some);
    expect(changedSlots(some, shape, 4, 499, () => undefined)).toBe(some);
    expect(withSlot<string>(undefined, shape, 3, undefined)).toBeUndefined();
  });

  it('loses one value of a chunk and keeps its neighbours; a version made before keeps all', () => {
    const shape = slotShape(9);
    const both = withSlot(withSlot<string>(undefined, shape, 3, 'three'), shape, 4, 'four');

    const one = withSlot(both, shape, 3, undefined);
    const other = changedSlots(both, shape, 0, 511, (value) => (value === 'three' ? value : undefined));
    const renamed = changedSlots(both, shape, 0, 511, (value) => `${value}!`);

    const values = (slots: Slots<string>) => [3, 4, 5].map((index) => slotAt(slots, shape, index));
    expect(values(one)).toEqual([undefined, 'four', undefined]);
    expect(values(other)).toEqual(['three', undefined, undefined]);
    expect(values(renamed)).toEqual(['three!', 'four!', undefined]);
    expect(values(both)).toEqual(['three', 'four', undefined]);
    expect(values(undefined)).toEqual([undefined, undefined, undefined]);
  });

  it('of equal content is equal, whatever stood in it before', () => {
    const shape = slotShape(9);
    const plain = withSlot<string>(undefined, shape, 3, 'three');

    expect(withSlot(withSlot(plain, shape, 500, 'gone'), shape, 500, undefined)).toEqual(plain);
    expect(withSlot(withSlot(plain, shape, 9, 'gone'), shape, 9, undefined)).toEqual(plain);
    expect(withSlot(plain, shape, 3, 'three!', {})).toEqual(withSlot(plain, shape, 3, 'three!'));
  });

  it('changes in place for the owner that made it, and for nobody else', () => {
    const shape = slotShape(9);
    const [mine, theirs] = [{}, {}];
    const slots = withSlot<string>(undefined, shape, 3, 'three', mine);

    expect(withSlot(slots, shape, 4, 'four', theirs)).not.toBe(slots);
    expect(withSlot(slots, shape, 4, 'four')).not.toBe(slots);
    expect(slotAt(slots, shape, 4)).toBeUndefined();
    expect(withSlot(slots, shape, 4, 'four', mine)).toBe(slots);
    expect(slotAt(slots, shape, 4)).toBe('four');
    const value = withSlot<string>(undefined, shape, 3, 'three');
    expect(withSlot(value, shape, 4, 'four')).not.toBe(value);
  });

  it('asks once for every occupied slot of a range, its ends included, in ascending order', () => {
    const shape = slotShape(9);
    let slots: Slots<number>;
    for (const index of [511, 16, 0, 15, 31, 32]) slots = withSlot(slots, shape, index, index);
    const asked = (first: number, last: number) => {
      const seen: [number, number][] = [];
      changedSlots(slots, shape, first, last, (value, index) => {
        seen.push([value, index]);
        return value;
      });
      return seen.map(([value, index]) => (value === index ? index : Number.NaN));
    };
    expect(asked(0, 511)).toEqual([0, 15, 16, 31, 32, 511]);
    expect(asked(15, 31)).toEqual([15, 16, 31]);
    expect(asked(1, 14)).toEqual([]);
    expect(asked(33, 510)).toEqual([]);
  });

  it('cuts the index so that no chunk has more than 32 slots', () => {
    for (let bits = 1; bits <= 17; bits += 1) {
      const { width, shift } = slotShape(bits);
      expect(width * 2 ** shift).toBe(2 ** bits);
      expect(width).toBeLessThanOrEqual(32);
    }
    expect(slotShape(5)).toEqual({ length: 32, width: 32, shift: 0 });
    expect(slotShape(9)).toEqual({ length: 512, width: 32, shift: 4 });
    expect(slotShape(13)).toEqual({ length: 8192, width: 32, shift: 8 });
  });

  it('agrees with a Map, for every size a table page can have', () => {
    const commands = fc.array(
      fc.record({
        index: fc.nat({ max: 2 ** 17 - 1 }),
        value: fc.option(fc.string({ maxLength: 2 }), { nil: undefined }),
        last: fc.option(fc.nat({ max: 2 ** 17 - 1 }), { nil: undefined }),
      }),
      { maxLength: 30 },
    );
    fc.assert(
      property(fc.integer({ min: 1, max: 17 }), commands, (bits, list) => {
        const shape = slotShape(bits);
        const model = new Map<number, string>();
        let slots: Slots<string>;
        for (const { index: anyIndex, value, last: anyLast } of list) {
          const index = anyIndex % 2 ** bits;
          if (anyLast === undefined) {
            slots = withSlot(slots, shape, index, value);
            value === undefined ? model.delete(index) : model.set(index, value);
          } else {
            const last = anyLast % 2 ** bits;
            slots = changedSlots(slots, shape, index, last, (old) => (old === value ? undefined : `${old}!`));
            for (const [at, old] of model) {
              if (index <= at && at <= last) {
                old === value ? model.delete(at) : model.set(at, `${old}!`);
              }
            }
          }
        }
        const found: [number, string | undefined][] = [];
        for (let at = nextOccupied(slots, shape, 0); at !== -1; at = nextOccupied(slots, shape, at + 1)) {
          found.push([at, slotAt(slots, shape, at)]);
        }
        expect(found).toEqual([...model].sort(([a], [b]) => a - b));
      }),
      { seed: 7, numRuns: 200 },
    );
  });
});
