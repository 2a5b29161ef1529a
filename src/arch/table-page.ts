// The pages of a translation table and the recursive changes of a tree of them: path copying, counting of
// leaves, freeing of tables that become empty. `TranslationTable` is the face of all this.

import type { Granule, Level } from './geometry.ts';
import { granuleShift, levelSize } from './geometry.ts';
import type { Owner, SlotShape, Slots } from './slots.ts';
import { changedSlots, nextOccupied, slotAt, slotShape, withSlot } from './slots.ts';

/** A value that can stand in an entry; `undefined` is the invalid entry. */
export type Present = NonNullable<unknown>;

export interface TableShape {
  readonly granule: Granule;
  readonly startLevel: Level;
  /** Size of the input address in bits; beyond one table at the start level, root tables are concatenated. */
  readonly inputBits: number;
}

/** A translation table page; concatenated roots are one wide page. Only the root may be without a leaf. */
export class TablePage<Leaf> {
  slots: Slots<Leaf | TablePage<Leaf>>;
  leafCount: number;
  /** Private, so that pages of equal content are equal whoever made them. */
  readonly #owner: Owner | null;

  constructor(slots: Slots<Leaf | TablePage<Leaf>>, leafCount: number, owner: Owner | null) {
    this.slots = slots;
    this.leafCount = leafCount;
    this.#owner = owner;
  }

  /** Whether `owner` made this page, so that nobody else can see it change. */
  isOf(owner: Owner | null): boolean {
    return owner !== null && this.#owner === owner;
  }
}

/**
 * Per depth, counted from the start level: bytes an entry spans (powers of two) and the shape of the slots.
 * The arithmetic on addresses is division, not bit operations, which stop at 32 bits.
 */
export interface Dimensions {
  readonly startLevel: Level;
  readonly last: number;
  readonly limit: number;
  readonly span: readonly number[];
  readonly slots: readonly SlotShape[];
}

/** @throws RangeError if no root of 1 to 16 tables covers the input address from the start level */
export function dimensionsOf(shape: TableShape): Dimensions {
  const { granule, startLevel, inputBits } = shape;
  const tableBits = granuleShift(granule) - 3;
  const rootBits = inputBits - Math.log2(levelSize(granule, startLevel));
  if (!Number.isInteger(rootBits) || inputBits > 52 || rootBits < 1 || rootBits > tableBits + 4) {
    throw new RangeError(
      `an input address of ${inputBits} bits cannot start at level ${startLevel} of the ${granule / 1024}K ` +
        'granule: a root has at least 2 entries and at most 16 concatenated tables',
    );
  }
  const span: number[] = [];
  const slots: SlotShape[] = [];
  for (let level: number = startLevel; level <= 3; level += 1) {
    span.push(levelSize(granule, level as Level));
    slots.push(slotShape(level === startLevel ? rootBits : tableBits));
  }
  return { startLevel, last: 3 - startLevel, limit: 2 ** inputBits, span, slots };
}

type Entry<Leaf> = Leaf | TablePage<Leaf> | undefined;
export type Change<Leaf> = (leaf: Leaf, address: number, level: Level) => Leaf | undefined;

/** The value of that depth; every depth a page can have is there. */
export const dimensionAt = <T>(values: readonly T[], depth: number): T => values[depth] as T;

function leavesIn<Leaf>(entry: Entry<Leaf>): number {
  return entry === undefined ? 0 : entry instanceof TablePage ? entry.leafCount : 1;
}

/**
 * The page, or a new one, with `leaf` at depth `target`, `offset` bytes in; the rules are those of
 * `withLeaf`. Pages of `owner` change in place.
 */
export function placed<Leaf extends Present>(
  page: TablePage<Leaf> | undefined,
  dim: Dimensions,
  depth: number,
  target: number,
  offset: number,
  leaf: Leaf,
  owner: Owner | null,
): TablePage<Leaf> {
  const span = dimensionAt(dim.span, depth);
  const shape = dimensionAt(dim.slots, depth);
  const index = Math.floor(offset / span);
  const old = page && slotAt(page.slots, shape, index);
  const before = leavesIn(old);
  const below = old instanceof TablePage ? old : undefined;
  const entry =
    depth === target ? leaf : placed(below, dim, depth + 1, target, offset - index * span, leaf, owner);
  const added = leavesIn<Leaf>(entry) - before;
  if (page !== undefined && entry === old && added === 0) {
    return page;
  }
  const slots = withSlot<Leaf | TablePage<Leaf>>(page?.slots, shape, index, entry, owner);
  const leafCount = (page?.leafCount ?? 0) + added;
  if (!page?.isOf(owner)) return new TablePage(slots, leafCount, owner);
  page.slots = slots;
  page.leafCount = leafCount;
  return page;
}

/**
 * The page after `change` of every leaf that overlaps the range, undefined if it became empty below the root.
 * Without `change` every leaf goes, and a table that lies wholly inside the range goes unvisited.
 */
export function changed<Leaf extends Present>(
  page: TablePage<Leaf>,
  dim: Dimensions,
  depth: number,
  base: number,
  range: { readonly start: number; readonly end: number },
  change: Change<Leaf> | undefined,
): TablePage<Leaf> | undefined {
  const { start, end } = range;
  const span = dimensionAt(dim.span, depth);
  const shape = dimensionAt(dim.slots, depth);
  const level = (dim.startLevel + depth) as Level;
  // Clamped as numbers: within a page an index fits 32 bits, the ends of a range need not.
  const first = Math.min(shape.length, Math.max(0, Math.floor((start - base) / span)));
  const last = Math.min(shape.length, Math.ceil((end - base) / span)) - 1;
  let leafCount = page.leafCount;
  const slots = changedSlots(page.slots, shape, first, last, (old, index) => {
    const address = base + index * span;
    const whole = change === undefined && start <= address && address + span <= end;
    const entry = whole
      ? undefined
      : old instanceof TablePage
        ? changed(old, dim, depth + 1, address, range, change)
        : change?.(old, address, level);
    if (entry !== old) {
      leafCount += leavesIn<Leaf>(entry) - leavesIn<Leaf>(old);
    }
    return entry;
  });
  if (slots === page.slots) {
    return page;
  }
  return slots === undefined && depth > 0 ? undefined : new TablePage(slots, leafCount, null);
}

interface Cursor<Leaf> {
  readonly page: TablePage<Leaf>;
  readonly base: number;
  next: number;
}

/** Where a page stands: how many levels below the root, and the first address that it translates. */
export interface Place {
  readonly depth: number;
  readonly base: number;
}

const AT_ROOT: Place = { depth: 0, base: 0 };

/** Occupied entries in ascending order, a table before its content, down to depth `deepest`. */
export function* occupied<Leaf extends Present>(
  top: TablePage<Leaf>,
  dim: Dimensions,
  start: number,
  end: number,
  deepest: number,
  place: Place = AT_ROOT,
): Generator<{ readonly address: number; readonly level: Level; readonly entry: Leaf | TablePage<Leaf> }> {
  const stack: Cursor<Leaf>[] = [];
  const enter = (page: TablePage<Leaf>, base: number) => {
    const depth = place.depth + stack.length;
    const span = dimensionAt(dim.span, depth);
    const { length } = dimensionAt(dim.slots, depth);
    const next = Math.min(length, Math.max(0, Math.floor((start - base) / span)));
    stack.push({ page, base, next });
  };
  enter(top, place.base);
  for (let cursor = stack.at(-1); cursor !== undefined; cursor = stack.at(-1)) {
    const depth = place.depth + stack.length - 1;
    const shape = dimensionAt(dim.slots, depth);
    const index = nextOccupied(cursor.page.slots, shape, cursor.next);
    const address = cursor.base + index * dimensionAt(dim.span, depth);
    const entry = index === -1 || address >= end ? undefined : slotAt(cursor.page.slots, shape, index);
    if (entry === undefined) {
      stack.pop();
      continue;
    }
    cursor.next = index + 1;
    yield { address, level: (dim.startLevel + depth) as Level, entry };
    if (entry instanceof TablePage && depth < deepest) {
      enter(entry, address);
    }
  }
}

export interface TableLeaf<Leaf> {
  /** First address that the leaf translates. */
  readonly address: number;
  readonly level: Level;
  readonly leaf: Leaf;
}

/** The leaves of a page and below that overlap [start, end), ascending. */
export function* leavesOf<Leaf extends Present>(
  top: TablePage<Leaf>,
  dim: Dimensions,
  start: number,
  end: number,
  place: Place = AT_ROOT,
): Generator<TableLeaf<Leaf>> {
  for (const { address, level, entry } of occupied(top, dim, start, end, dim.last, place)) {
    if (!(entry instanceof TablePage)) yield { address, level, leaf: entry };
  }
}
