// What differs between two translation tables, leaf by leaf. Pages that both share are never looked into, so that two
// snapshots of one table cost what changed between them.

import type { Level } from './geometry.ts';
import { nextOccupied, slotAt } from './slots.ts';
import type { Dimensions, Present, TableLeaf } from './table-page.ts';
import { dimensionAt, leavesOf, TablePage } from './table-page.ts';

/** An address at which two tables do not hold the very same leaf; one side may have none. */
export interface LeafPair<Leaf> {
  readonly address: number;
  readonly before: TableLeaf<Leaf> | undefined;
  readonly after: TableLeaf<Leaf> | undefined;
}

/** Ascending, for two pages of the same place and dimensions. */
export function* leavesApart<Leaf extends Present>(
  before: TablePage<Leaf>,
  after: TablePage<Leaf>,
  dim: Dimensions,
  depth = 0,
  base = 0,
): Generator<LeafPair<Leaf>> {
  if (before === after) return;
  const span = dimensionAt(dim.span, depth);
  const shape = dimensionAt(dim.slots, depth);
  const next = (from: number): number => {
    const old = nextOccupied(before.slots, shape, from);
    const fresh = nextOccupied(after.slots, shape, from);
    return old === -1 || (fresh !== -1 && fresh < old) ? fresh : old;
  };
  for (let index = next(0); index !== -1; index = next(index + 1)) {
    const old = slotAt(before.slots, shape, index);
    const fresh = slotAt(after.slots, shape, index);
    if (old === fresh) continue;
    const address = base + index * span;
    if (old instanceof TablePage && fresh instanceof TablePage) {
      yield* leavesApart(old, fresh, dim, depth + 1, address);
    } else {
      yield* paired(leavesBelow(old, dim, depth, address), leavesBelow(fresh, dim, depth, address));
    }
  }
}

function* leavesBelow<Leaf extends Present>(
  entry: Leaf | TablePage<Leaf> | undefined,
  dim: Dimensions,
  depth: number,
  address: number,
): Generator<TableLeaf<Leaf>> {
  if (entry === undefined) return;
  if (!(entry instanceof TablePage)) {
    yield { address, level: (dim.startLevel + depth) as Level, leaf: entry };
    return;
  }
  const end = address + dimensionAt(dim.span, depth);
  yield* leavesOf(entry, dim, address, end, { depth: depth + 1, base: address });
}

/** Two ascending lists side by side. */
export function* paired<Leaf>(
  before: Iterator<TableLeaf<Leaf>, void>,
  after: Iterator<TableLeaf<Leaf>, void>,
): Generator<LeafPair<Leaf>> {
  let old = before.next().value;
  let fresh = after.next().value;
  for (;;) {
    const address = Math.min(
      old?.address ?? Number.POSITIVE_INFINITY,
      fresh?.address ?? Number.POSITIVE_INFINITY,
    );
    if (address === Number.POSITIVE_INFINITY) return;
    const was = old?.address === address ? old : undefined;
    const is = fresh?.address === address ? fresh : undefined;
    if (was?.level !== is?.level || was?.leaf !== is?.leaf) yield { address, before: was, after: is };
    if (was !== undefined) old = before.next().value;
    if (is !== undefined) fresh = after.next().value;
  }
}
