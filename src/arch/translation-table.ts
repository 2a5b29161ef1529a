// The VMSAv8-64 radix tree (DDI0487 D8.2) as a persistent value: every change returns a new table that shares
// all untouched parts with the old one, so that a snapshot costs what changed. Generic in the leaf: a VM's
// stage 2 and a process's page table have the same structure. Rules of change are those of KVM's walker
// (pgtable.c). An editable table changes in place instead, and copies only what a snapshot still sees.

import type { Level } from './geometry.ts';
import type { LeafPair } from './leaves-apart.ts';
import { leavesApart, paired } from './leaves-apart.ts';
import type { Owner } from './slots.ts';
import { slotAt } from './slots.ts';
import type { Change, Dimensions, Present, TableLeaf, TableShape } from './table-page.ts';
import { changed, dimensionAt, dimensionsOf, leavesOf, occupied, placed, TablePage } from './table-page.ts';

export type { LeafPair, TableLeaf, TableShape };

/** What a walk finds: the level of the leaf, or of the invalid entry at which it stopped. */
export interface WalkResult<Leaf> {
  readonly level: Level;
  readonly leaf: Leaf | undefined;
}

/** A table descriptor: the entry that points to a table, by its first address and its own level. */
export interface TableEntry {
  readonly address: number;
  readonly level: Level;
}

/**
 * A translation table of the VMSAv8-64 as an immutable value. Two tables of equal content are deeply equal.
 */
export class TranslationTable<Leaf extends Present> {
  readonly shape: TableShape;
  private readonly dim: Dimensions;
  private root: TablePage<Leaf>;
  /** Null for a value; private, so that tables of equal content are equal. */
  #owner: Owner | null;
  /** The last snapshot, while nothing has changed since. */
  #taken: TranslationTable<Leaf> | null = null;

  private constructor(shape: TableShape, dim: Dimensions, root: TablePage<Leaf>, owner: Owner | null) {
    this.shape = shape;
    this.dim = dim;
    this.root = root;
    this.#owner = owner;
  }

  /** @throws RangeError if no root of 1 to 16 tables covers `inputBits` from the start level */
  static empty<Leaf extends Present>(shape: TableShape): TranslationTable<Leaf> {
    return new TranslationTable(shape, dimensionsOf(shape), new TablePage<Leaf>(undefined, 0, null), null);
  }

  /** A table of the same content whose every change happens in place and returns itself. */
  editable(): TranslationTable<Leaf> {
    return new TranslationTable(this.shape, this.dim, this.snapshot().root, {});
  }

  /** The content of now as a value: later changes of an editable table leave it alone. */
  snapshot(): TranslationTable<Leaf> {
    if (this.#owner === null) return this;
    if (this.#taken === null) {
      this.#taken = this.view();
      this.#owner = {};
    }
    return this.#taken;
  }

  /**
   * As `snapshot`, but good only until an editable table changes next: for a look or a trial, at no cost to the
   * changes that follow.
   */
  view(): TranslationTable<Leaf> {
    return this.#owner === null ? this : new TranslationTable(this.shape, this.dim, this.root, null);
  }

  /** Leaves of all levels, a block counting as one. */
  get leafCount(): number {
    return this.root.leafCount;
  }

  /**
   * What the hardware's walk of `address` finds.
   * @throws RangeError for an address beyond the input size, which never reaches the table
   */
  walk(address: number): WalkResult<Leaf> {
    const { dim } = this;
    checkAddress(address, dim.limit);
    let { root: page } = this;
    let offset = address;
    for (let depth = 0; ; depth += 1) {
      const span = dimensionAt(dim.span, depth);
      const index = Math.floor(offset / span);
      const entry = slotAt(page.slots, dimensionAt(dim.slots, depth), index);
      if (!(entry instanceof TablePage)) {
        return { level: (dim.startLevel + depth) as Level, leaf: entry };
      }
      offset -= index * span;
      page = entry;
    }
  }

  /**
   * The table with `leaf` at that level. Missing tables are created; a table in the way is collapsed with all
   * it holds; a block above becomes an empty table, so that the rest of the block is invalid and refaults, as
   * KVM's stage2_map_walk_leaf() leaves it. Returns `this` if the very same leaf stands there.
   * @throws RangeError if `address` is beyond the input size or no multiple of what the entry spans, or the
   * level is not between the start level and 3. Whether a block may stand at a level is the caller's rule.
   */
  withLeaf(address: number, level: Level, leaf: Leaf): TranslationTable<Leaf> {
    const { dim } = this;
    checkAddress(address, dim.limit);
    const span = dim.span[level - dim.startLevel];
    if (span === undefined) {
      throw new RangeError(`level ${level} is not between the start level ${dim.startLevel} and 3`);
    }
    if (address % span !== 0) {
      const where = `0x${address.toString(16)}`;
      throw new RangeError(
        `${where} is not aligned to the 0x${span.toString(16)} bytes of a level ${level} entry`,
      );
    }
    return this.withRoot(placed(this.root, dim, 0, level - dim.startLevel, address, leaf, this.#owner));
  }

  /**
   * The table after `change` saw every leaf that overlaps [start, end), a block as a whole even if only part
   * of it lies inside. The same leaf returned shares its part of the tree; undefined makes the entry invalid
   * and frees tables as `without` does.
   */
  updated(
    start: number,
    end: number,
    change: (leaf: Leaf, address: number, level: Level) => Leaf | undefined,
  ): TranslationTable<Leaf> {
    return this.changed(start, end, change);
  }

  /**
   * The table without any leaf that overlaps [start, end), whole blocks included. Every table but the root
   * that becomes empty is freed, cascading upwards, so that the next fault there is of a lower level
   * (stage2_unmap_walker()). Returns `this` if no leaf was there.
   */
  without(start: number, end: number): TranslationTable<Leaf> {
    return this.changed(start, end, undefined);
  }

  /** The leaves that overlap [start, end), in ascending order; all of them by default. */
  leaves(start = 0, end = this.dim.limit): Generator<TableLeaf<Leaf>> {
    return leavesOf(this.root, this.dim, start, end);
  }

  /** Addresses at which the two tables do not hold the very same leaf, ascending. */
  leavesApart(after: TranslationTable<Leaf>): Generator<LeafPair<Leaf>> {
    const { granule, startLevel, inputBits } = this.shape;
    const { shape } = after;
    const isAlike =
      granule === shape.granule && startLevel === shape.startLevel && inputBits === shape.inputBits;
    return isAlike ? leavesApart(this.root, after.root, this.dim) : paired(this.leaves(), after.leaves());
  }

  /** Whether both hold the very same page around the address: then no event between them touched it. */
  sharesPageAt(address: number, other: TranslationTable<Leaf>): boolean {
    const { dim } = this;
    let page: unknown = this.root;
    let others: unknown = other.root;
    let offset = address;
    for (let depth = 0; page instanceof TablePage && others instanceof TablePage; depth += 1) {
      if (page === others) return true;
      const span = dimensionAt(dim.span, depth);
      const shape = dimensionAt(dim.slots, depth);
      const index = Math.floor(offset / span);
      offset -= index * span;
      page = slotAt(page.slots, shape, index);
      others = slotAt(others.slots, shape, index);
    }
    return false;
  }

  /**
   * Every table descriptor in walk order: its address and level are those of the entry; the root has none.
   */
  *tables(): Generator<TableEntry> {
    const { dim } = this;
    for (const { address, level, entry } of occupied(this.root, dim, 0, dim.limit, dim.last - 1)) {
      if (entry instanceof TablePage) {
        yield { address, level };
      }
    }
  }

  private changed(start: number, end: number, change: Change<Leaf> | undefined): TranslationTable<Leaf> {
    if (!(start >= 0 && start <= end)) {
      throw new RangeError(
        `the range from ${start} to ${end} is none: it has to start at 0 or above and not to end before`,
      );
    }
    const range = { start, end };
    return start === end
      ? this
      : this.withRoot(changed(this.root, this.dim, 0, 0, range, change) ?? this.root);
  }

  private withRoot(root: TablePage<Leaf>): TranslationTable<Leaf> {
    if (root === this.root) return this;
    if (this.#owner === null) return new TranslationTable(this.shape, this.dim, root, null);
    this.root = root;
    this.#taken = null;
    return this;
  }
}

function checkAddress(address: number, limit: number): void {
  if (!(address >= 0 && address < limit)) {
    throw new RangeError(
      `address 0x${address.toString(16)} is not below the input size, 0x${limit.toString(16)}`,
    );
  }
}
