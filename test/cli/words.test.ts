import { describe, expect, it } from 'vitest';
import { editDistance, nearest } from '../../src/cli/nearest.ts';
import { binary, bytes, count, grouped, hex, jsonPieces, oneLine, toJson } from '../../src/cli/words.ts';

describe('numbers in reports', () => {
  it('are hex for addresses, binary for fields, grouped for counts', () => {
    expect([hex(0x1000_0000), binary(5, 4), count(1, 'event'), count(21_756, 'access', 'accesses')]).toEqual([
      '0x10000000',
      '0b0101',
      '1 event',
      '21,756 accesses',
    ]);
  });

  it.each([
    [4096, '4 KiB'],
    [16 * 2 ** 20, '16 MiB'],
    [2 ** 30, '1 GiB'],
    [6144, '6 KiB'],
    [100, '100 B'],
    [1, '1 B'],
  ])('%i bytes are %s', (size, text) => expect(bytes(size)).toBe(text));

  it.each([
    [0, '0'],
    [999, '999'],
    [1000, '1,000'],
    [1_234_567, '1,234,567'],
  ])('%i is grouped as %s', (value, text) => expect(grouped(value)).toBe(text));
});

describe('text of strangers', () => {
  it('comes out on one printable line of bounded length', () => {
    expect(oneLine('a\n\u001b[31mb\u0000c')).toBe('a [31mb c');
    expect(oneLine('x'.repeat(10_000))).toHaveLength(400);
  });
});

describe('JSON', () => {
  it('has 64-bit values as hex strings', () => {
    expect(toJson({ esr: 0x92000061n })).toBe('{\n  "esr": "0x92000061"\n}\n');
  });
});

describe('the nearest name', () => {
  it('is the one that a slip of the hand away', () => {
    expect(nearest('haedline', ['headline', 'gicv2', 'wc-burst'])).toBe('headline');
  });

  it('is none where nothing is near', () => {
    expect(nearest('zzzzzz', ['headline', 'gicv2'])).toBeNull();
  });

  it('of two equally near is the one of the same length', () => {
    expect(nearest('6.21', ['6.1', '6.12'])).toBe('6.12');
  });

  it.each([
    ['', '', 0],
    ['abc', '', 3],
    ['kernel', 'kernle', 1],
    ['vfio', 'vfoi', 1],
    ['replay', 'reply', 1],
  ])("'%s' and '%s' are %i edits apart", (a, b, distance) => expect(editDistance(a, b)).toBe(distance));
});

describe('a JSON document in pieces', () => {
  it.each([{ items: [] }, { items: [1] }, { items: [{ a: [2n ** 40n, { b: 2 }] }, 'x', null] }])(
    'is the document, with a list of $items.length',
    ({ items }) => {
      const pieces = jsonPieces<unknown>({ from: 0, to: 16n }, 'differences', items, (item) => item);
      expect([...pieces].join('')).toBe(toJson({ from: 0, to: 16n, differences: items }));
    },
  );
});
