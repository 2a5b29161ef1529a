// A persistent array of 2^bits slots, the body of a translation table page: a change copies two or three
// chunks of 16 or 32 slots instead of 512 to 131072 entries, and a chunk without an occupied slot does not
// exist. An owner's changes copy a chunk once only: those it made itself nobody else can see.

declare const content: unique symbol;

/** Occupied slots of one array; `undefined` stands for the array without any, so that it costs nothing. */
export type Slots<Value> = { readonly [content]: Value } | undefined;

/** Stands for one editor of arrays: what was made with it may be changed in place with it. */
export type Owner = object;

/** At any depth but the last the items are chunks again; only this file knows, so only this file casts. */
class Chunk {
  readonly items: unknown[];
  /** Private, so that chunks of equal content are equal whoever made them. */
  readonly #owner: Owner | null;

  constructor(items: unknown[], owner: Owner | null) {
    this.items = items;
    this.#owner = owner;
  }

  isOf(owner: Owner | null): boolean {
    return owner !== null && this.#owner === owner;
  }
}

// 16 slots copied and sparse mappings measured best; 8 make walks slower, 32 make random maps slower.
const CHUNK_BITS = 4;
const CHUNK = 1 << CHUNK_BITS;
const MASK = CHUNK - 1;

/**
 * How the index of an array of 2^bits slots is cut: the topmost chunk takes up to 5 bits, 9 bits are 5 + 4.
 */
export interface SlotShape {
  /** Slots in all: 2^bits. */
  readonly length: number;
  /** Slots of the topmost chunk. */
  readonly width: number;
  /** Index bits below the topmost chunk, a multiple of 4. */
  readonly shift: number;
}

/** The shape of an array of 2^bits slots, for bits 1 to 30. */
export function slotShape(bits: number): SlotShape {
  const shift = Math.max(0, Math.ceil((bits - 1 - CHUNK_BITS) / CHUNK_BITS) * CHUNK_BITS);
  return { length: 2 ** bits, width: 1 << (bits - shift), shift };
}

/** The value at `index`, or undefined if the slot is empty. */
export function slotAt<Value>(slots: Slots<Value>, shape: SlotShape, index: number): Value | undefined {
  let shift = shape.shift;
  let node = (slots as Chunk | undefined)?.items[index >>> shift];
  while (shift > 0 && node !== undefined) {
    shift -= CHUNK_BITS;
    node = (node as Chunk).items[(index >>> shift) & MASK];
  }
  return node as Value | undefined;
}

/**
 * The same array with `value` at `index`; undefined empties the slot. Returns `slots` itself if nothing
 * changes, or if all that changed are chunks of `owner`.
 */
export function withSlot<Value>(
  slots: Slots<Value>,
  shape: SlotShape,
  index: number,
  value: Value | undefined,
  owner: Owner | null = null,
): Slots<Value> {
  const chunk = slots as Chunk | undefined;
  return put(chunk, shape.width, shape.shift, index, value, owner) as Slots<Value>;
}

function put(
  chunk: Chunk | undefined,
  width: number,
  shift: number,
  index: number,
  value: unknown,
  owner: Owner | null,
): Chunk | undefined {
  const at = (index >>> shift) & (width - 1);
  const old = chunk?.items[at];
  const next =
    shift === 0 ? value : put(old as Chunk | undefined, CHUNK, shift - CHUNK_BITS, index, value, owner);
  if (next === old) {
    return chunk;
  }
  const target = chunk?.isOf(owner) ? chunk : new Chunk(copyOf(chunk, width), owner);
  target.items[at] = next;
  return next === undefined && isEmpty(target.items) ? undefined : target;
}

const copyOf = (chunk: Chunk | undefined, width: number): unknown[] =>
  chunk === undefined ? new Array<unknown>(width).fill(undefined) : chunk.items.slice();

function isEmpty(items: readonly unknown[]): boolean {
  for (let at = 0; at < items.length; at += 1) {
    if (items[at] !== undefined) {
      return false;
    }
  }
  return true;
}

/**
 * The array after `change` was asked once for every occupied slot of [first, last], in ascending order. Each
 * chunk is copied at most once, and not at all if `change` returned what it was given.
 */
export function changedSlots<Value>(
  slots: Slots<Value>,
  shape: SlotShape,
  first: number,
  last: number,
  change: (value: Value, index: number) => Value | undefined,
): Slots<Value> {
  const chunk = slots as Chunk | undefined;
  const changed = changeChunk(chunk, shape.shift, 0, first, last, change as ChangeSlot);
  return changed as Slots<Value>;
}

type ChangeSlot = (value: unknown, index: number) => unknown;

function changeChunk(
  chunk: Chunk | undefined,
  shift: number,
  base: number,
  first: number,
  last: number,
  change: ChangeSlot,
): Chunk | undefined {
  if (chunk === undefined) {
    return undefined;
  }
  let copy: unknown[] | undefined;
  const from = Math.max(0, (first - base) >> shift);
  const to = Math.min(chunk.items.length - 1, (last - base) >> shift);
  for (let at = from; at <= to; at += 1) {
    const old = chunk.items[at];
    if (old === undefined) {
      continue;
    }
    const index = base + (at << shift);
    const next =
      shift === 0
        ? change(old, index)
        : changeChunk(old as Chunk, shift - CHUNK_BITS, index, first, last, change);
    if (next !== old) {
      copy ??= chunk.items.slice();
      copy[at] = next;
    }
  }
  return copy === undefined ? chunk : isEmpty(copy) ? undefined : new Chunk(copy, null);
}

/** The first occupied index at or above `from`, or -1. */
export function nextOccupied<Value>(slots: Slots<Value>, shape: SlotShape, from: number): number {
  return nextInChunk(slots as Chunk | undefined, shape.shift, from);
}

function nextInChunk(chunk: Chunk | undefined, shift: number, from: number): number {
  if (chunk === undefined) {
    return -1;
  }
  for (let at = from >>> shift; at < chunk.items.length; at += 1) {
    const item = chunk.items[at];
    if (item === undefined) {
      continue;
    }
    const base = at << shift;
    if (shift === 0) {
      return base;
    }
    const found = nextInChunk(item as Chunk, shift - CHUNK_BITS, Math.max(0, from - base));
    if (found !== -1) {
      return base + found;
    }
  }
  return -1;
}
