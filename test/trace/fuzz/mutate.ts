// How an input goes bad: as bytes (flipped, cut, moved, doubled, with junk inside) and as a value (huge numbers,
// words that nobody knows, keys missing and doubled, lengths that lie, other types, nests).

import type { Dice } from './dice.ts';

/** What a parser of numbers, words and columns could stumble over. */
export const PIECES: readonly string[] = [
  ...[
    ' 0xffffffffffffffff: (',
    '-2giJX',
    ' -',
    '--1',
    '0x',
    '0xg',
    '(12',
    '=',
    ' pc 0x1',
    ' 1: ',
    '\u00fc',
    '-a-1',
  ],
  ...[
    '\0',
    '\r',
    '\ufeff',
    '\u2028',
    ': ',
    '[000]',
    'd..1.',
    '#',
    'CPU:0 [LOST 1 EVENTS]',
    '}',
    '{"',
    '[[[[[[[[',
  ],
  ...['99999999999999999999999999', '-0', '1e309', '0x0', 'null', 'NaN', '&a *a', '!!js/undefined', '\t'],
];

/** A few edits of the bytes. */
export function mutateBytes(dice: Dice, seed: Uint8Array): Buffer {
  let bytes: Buffer = Buffer.from(seed);
  for (let edits = 1 + dice.below(4); edits > 0; edits -= 1) bytes = editBytes(dice, bytes);
  return bytes;
}

function editBytes(dice: Dice, bytes: Buffer): Buffer {
  const at = dice.below(bytes.length + 1);
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
  const length = dice.below(40);
  switch (dice.below(7)) {
    case 0: {
      const flipped = Buffer.from(bytes);
      if (at < flipped.length) flipped[at] = (flipped[at] as number) ^ (1 << dice.below(8));
      return flipped;
    }
    case 1:
      return Buffer.concat([head, tail.subarray(length)]);
    case 2:
      return head;
    case 3:
      return Buffer.concat([bytes.subarray(0, at + length), tail]);
    case 4:
      return Buffer.concat([head, Buffer.from(dice.pick(PIECES)), tail]);
    case 5:
      return Buffer.concat([tail, head]);
    default:
      return swapLines(dice, bytes);
  }
}

function swapLines(dice: Dice, bytes: Buffer): Buffer {
  const lines = bytes.toString('latin1').split('\n');
  const [a, b] = [dice.below(lines.length), dice.below(lines.length)];
  const [first = '', second = ''] = [lines[a], lines[b]];
  lines[a] = second;
  lines[b] = first;
  return Buffer.from(lines.join('\n'), 'latin1');
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const NUMBERS: readonly Json[] = [
  ...[0, -1, 1, 0.5, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 52, 2 ** 53, 2 ** 63, 1e308, -(2 ** 53)],
  ...['0x0', '0xffffffffffffffff', '0x10000000000000', '0xfffffffff000', '0x1000', '0x', '-0x1', '1P', '16E'],
];
const OTHERS: readonly Json[] = [
  null,
  true,
  '',
  'unheard-of',
  '__proto__',
  [],
  {},
  [[[[]]]],
  { op: 'access' },
];

/** A few edits of a JSON value; the value itself stays as it is. */
export function mutateValue(dice: Dice, seed: unknown): unknown {
  const value = structuredClone(seed) as Json;
  for (let edits = 1 + dice.below(3); edits > 0; edits -= 1) editValue(dice, value);
  return value;
}

/** Walks down to some member of some node and makes something else of it. */
function editValue(dice: Dice, root: Json): void {
  let node: Json = root;
  for (let depth = dice.below(8); depth > 0; depth -= 1) {
    const inner: Json[] = Object.values(node ?? {}).filter((it) => typeof it === 'object' && it !== null);
    if (inner.length === 0) break;
    node = dice.pick(inner);
  }
  if (typeof node !== 'object' || node === null) return;
  if (Array.isArray(node)) editArray(dice, node);
  else editObject(dice, node);
}

function editArray(dice: Dice, node: Json[]): void {
  const [a, b] = [dice.below(node.length + 1), dice.below(node.length + 1)];
  switch (dice.below(4)) {
    case 0:
      node.splice(a, 1 + dice.below(3));
      return;
    case 1:
      if (a < node.length) node.splice(b, 0, structuredClone(node[a] as Json));
      return;
    case 2: {
      const [moved] = node.splice(a, 1);
      if (moved !== undefined) node.splice(b, 0, moved);
      return;
    }
    default:
      if (a < node.length) node[a] = other(dice, node[a] as Json);
  }
}

function editObject(dice: Dice, node: { [key: string]: Json }): void {
  const keys = Object.keys(node);
  if (keys.length === 0) return;
  const key = dice.pick(keys);
  switch (dice.below(5)) {
    case 0:
      delete node[key];
      return;
    case 1:
      node[`${key}${dice.pick(['', 's', 'X'])}`] = other(dice, node[key] as Json);
      return;
    case 2:
      node[key] = structuredClone(node[dice.pick(keys)] as Json);
      return;
    default:
      node[key] = other(dice, node[key] as Json);
  }
}

/** Mostly of the same type, so that the edit is found late. */
function other(dice: Dice, value: Json): Json {
  if (dice.oneIn(5))
    return dice.oneIn(20) ? nest(200 + dice.below(1000)) : structuredClone(dice.pick(OTHERS));
  if (typeof value === 'boolean') return !value;
  const isNumber = typeof value === 'number' || (typeof value === 'string' && /^(0x|\d)/.test(value));
  if (!isNumber) return structuredClone(dice.pick(OTHERS));
  if (dice.oneIn(2)) return dice.pick(NUMBERS);
  const number = Number(value) + dice.pick([1, -1, 4096, -4096, 0x20_0000, 2 ** 30]);
  return typeof value === 'number' ? number : `0x${Math.max(0, Math.floor(number)).toString(16)}`;
}

function nest(depth: number): Json {
  let value: Json = 1;
  for (let level = 0; level < depth; level += 1) value = [value];
  return value;
}
