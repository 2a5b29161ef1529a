import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PageBitmap } from '../../src/host/page-bitmap.ts';
import { property } from '../helpers/twice.ts';

describe('a dirty bitmap', () => {
  it('marks pages, counts them and lists them in order', () => {
    const dirty = PageBitmap.empty(4096).with(700, 1).with(3, 2);

    expect([...dirty.set()]).toEqual([3, 4, 700]);
    expect(dirty.count).toBe(3);
    expect(dirty.has(4)).toBe(true);
    expect(dirty.has(5)).toBe(false);
    expect([...dirty.set(4, 700)]).toEqual([4]);
  });

  it('is a value: marking gives another, and nothing new gives the same', () => {
    const one = PageBitmap.empty(64).with(1, 1);
    expect([...one.set()]).toEqual([1]);
    expect([...one.with(2, 1).set()]).toEqual([1, 2]);
    expect([...one.set()]).toEqual([1]);
    expect(one.with(1, 1)).toBe(one);
    expect(one.without(5, 3)).toBe(one);
  });

  it('is full with KVM_DIRTY_LOG_INITIALLY_SET, up to the last page of the slot', () => {
    const full = PageBitmap.full(1000);
    expect(full.count).toBe(1000);
    expect(full.has(999)).toBe(true);
    expect(full.has(1000)).toBe(false);
    expect([...full.without(0, 998).set()]).toEqual([998, 999]);
  });

  it('agrees with a Set of page numbers', () => {
    const command = fc.tuple(fc.boolean(), fc.nat(2100), fc.nat(700));
    fc.assert(
      property(fc.integer({ min: 1, max: 2000 }), fc.array(command, { maxLength: 12 }), (pages, commands) => {
        const model = new Set<number>();
        let bitmap = PageBitmap.empty(pages);
        for (const [add, first, count] of commands) {
          bitmap = add ? bitmap.with(first, count) : bitmap.without(first, count);
          for (let page = first; page < Math.min(first + count, pages); page++)
            if (add) model.add(page);
            else model.delete(page);
        }
        const listed = [...model].sort((a, b) => a - b);
        expect([...bitmap.set()]).toEqual(listed);
        expect(bitmap.count).toBe(model.size);
        expect([...bitmap.set(500, 1100)]).toEqual(listed.filter((page) => page >= 500 && page < 1100));
        expect(Array.from({ length: pages }, (_, page) => bitmap.has(page))).toEqual(
          Array.from({ length: pages }, (_, page) => model.has(page)),
        );
      }),
      { numRuns: 200, seed: 7 },
    );
  });
});
