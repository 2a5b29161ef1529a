// How a processor that uses every latitude carries out one access: in which pieces, in which order, how often, and what
// it reads besides (DDI0487 B2.10.1, B2.10.2). Single-copy atomic accesses are never torn (B2.2.1). A typical processor
// makes no plan.

import type { Access } from '../arch/access.ts';
import { isAcquire, isSimd, isWrite } from '../arch/access.ts';
import type { Pa } from '../arch/addresses.ts';
import { alignDown } from '../arch/addresses.ts';
import type { MemoryType } from '../arch/memory-type.ts';
import { permits } from '../arch/permits.ts';
import type { PaRange } from '../arch/transaction.ts';
import type { Choose } from './choices.ts';
import { chooseAny, chooseFrom } from './choices.ts';
import { extentOf, transactionsOf } from './pieces.ts';
import { LINE_BYTES } from './store-buffer.ts';

/** Bytes of one transaction. */
export interface Piece {
  readonly pa: Pa;
  readonly size: number;
}

export interface Plan {
  /** In the order in which they go. */
  readonly pieces: readonly Piece[];
  /** Addresses whose bytes, once read, may answer later loads; null for none. */
  readonly keeps: PaRange | null;
}

/** Largest access of general registers that is single-copy atomic without FEAT_LSE2 (B2.2.1). */
const ATOMIC = 8;
/** A SIMD&FP load may read the aligned 16 bytes around it, on Device memory too (B2.10.2). */
const SIMD_WINDOW = 16;

const PLANNED: ReadonlySet<Access['kind']> = new Set(['read', 'write', 'read-pair', 'write-pair']);

/**
 * Null where the type leaves no choice, or an access of its kind is never planned: exclusives, walks, fetches.
 * @param bounds addresses around `pa` that one translation and one endpoint cover
 */
export function planOf(
  access: Access,
  pa: Pa,
  memoryType: MemoryType,
  bounds: PaRange,
  choose: Choose,
): Plan | null {
  if (!PLANNED.has(access.kind)) return null;
  const usual = usualPieces(access, pa, memoryType);
  const others = otherPieces(access, pa, memoryType, usual);
  const chosen = chooseAny(choose, 'pieces', others) ?? usual;
  const ordered = inAnyOrder(chosen, choose);
  const widened = isWrite(access.kind)
    ? ordered
    : ordered.map((piece) => widerThan(piece, access, pa, memoryType, bounds, choose));
  return {
    pieces: repeated(widened, access, memoryType, choose),
    keeps: keptOf(access, pa, memoryType, bounds),
  };
}

/** What a typical processor does; a store enters its buffer as one. */
function usualPieces(access: Access, pa: Pa, memoryType: MemoryType): readonly Piece[] {
  if (isWrite(access.kind) && permits(memoryType).gathering.value) return [{ pa, size: access.size }];
  return transactionsOf(access, pa, memoryType, false).map(({ pa: start, size }) => ({ pa: start, size }));
}

/** Several registers or elements: DDI0487 gives their accesses no order and promises no sizes (B2.10.2). */
const isMultiple = (access: Access): boolean =>
  access.kind === 'read-pair' || access.kind === 'write-pair' || isSimd(access);

/** What is single-copy atomic in an access of several. */
function unitOf({ kind, size, element = size }: Access): number {
  const register = kind === 'read-pair' || kind === 'write-pair' ? size / 2 : element;
  return Math.min(register, ATOMIC);
}

/** Other ways to cut the access. */
function otherPieces(
  access: Access,
  at: Pa,
  memoryType: MemoryType,
  usual: readonly Piece[],
): (readonly Piece[])[] {
  const { pa, size } = extentOf(access, at, memoryType);
  const ways: (readonly Piece[])[] = [];
  if (isMultiple(access) && permits(memoryType).piecesAsTheyCome.value) {
    ways.push(cutInto(pa, size, unitOf(access)));
    if ((pa % LINE_BYTES) + size <= LINE_BYTES) ways.push([{ pa, size }]);
  } else if (pa % size !== 0 && !permits(memoryType).sizeAndCountKept.value) {
    // Each byte of an unaligned access is single-copy atomic by itself.
    ways.push(cutAt(pa, size, ATOMIC), cutInto(pa, size, 1));
  }
  const known = new Set([shapeOf(usual)]);
  return ways.filter((way) => {
    const shape = shapeOf(way);
    const isNew = !known.has(shape);
    known.add(shape);
    return isNew;
  });
}

const shapeOf = (pieces: readonly Piece[]): string => pieces.map(({ size }) => size).join();

const cutInto = (pa: Pa, size: number, unit: number): Piece[] =>
  Array.from({ length: size / unit }, (_, index) => ({ pa: (pa + index * unit) as Pa, size: unit }));

/** Cut at the multiples of `boundary`. */
function cutAt(pa: Pa, size: number, boundary: number): Piece[] {
  const pieces: Piece[] = [];
  for (let done = 0; done < size; ) {
    const start = pa + done;
    const length = Math.min(size - done, boundary - (start % boundary));
    pieces.push({ pa: start as Pa, size: length });
    done += length;
  }
  return pieces;
}

function inAnyOrder(pieces: readonly Piece[], choose: Choose): readonly Piece[] {
  const order: Piece[] = [];
  let rest = pieces;
  for (;;) {
    const next = chooseFrom(choose, 'piece-order', rest);
    if (next === undefined) return order;
    order.push(next);
    rest = rest.filter((piece) => piece !== next);
  }
}

/** The piece of a load, or more bytes around it as its type permits. */
function widerThan(
  piece: Piece,
  access: Access,
  pa: Pa,
  memoryType: MemoryType,
  bounds: PaRange,
  choose: Choose,
): Piece {
  const permitted = permits(memoryType);
  const end = pa + access.size;
  const windows: number[] = [];
  if (permitted.speculativeReads.value) windows.push(SIMD_WINDOW, LINE_BYTES);
  else if (permitted.simdWindowReads.value && isSimd(access)) windows.push(SIMD_WINDOW);
  const wider = windows.map((window) => aligned(piece, window));
  const { ahead = 0 } = access;
  if (ahead > 0 && permitted.gathering.value && piece.pa + piece.size === end) {
    const upTo = Math.min(end + ahead, alignDown(end - 1, LINE_BYTES) + LINE_BYTES);
    wider.push({ pa: piece.pa, size: upTo - piece.pa });
  }
  const possible = wider.filter(
    (it) => it.size > piece.size && it.pa >= bounds.start && it.pa + it.size <= bounds.end,
  );
  return chooseAny(choose, 'widen', possible) ?? piece;
}

function aligned({ pa, size }: Piece, window: number): Piece {
  const start = alignDown(pa, window);
  const end = alignDown(pa + size - 1, window) + window;
  return { pa: start as Pa, size: end - start };
}

/**
 * An exception between two pieces, after which the instruction starts over (on any type), or a read made twice
 * (Normal). What waits in the store buffer is not there twice.
 */
function repeated(
  pieces: readonly Piece[],
  access: Access,
  memoryType: MemoryType,
  choose: Choose,
): readonly Piece[] {
  const { speculativeReads, reordering } = permits(memoryType);
  const isStore = isWrite(access.kind);
  const isFree = speculativeReads.value && !isStore;
  if (!isFree && (!isMultiple(access) || (isStore && reordering.value))) return pieces;
  const most = isFree ? pieces.length : pieces.length - 1;
  const done = most === 0 ? 0 : choose('repeat', most + 1);
  return [...pieces.slice(0, done), ...pieces];
}

/** Nothing of an acquire; of memory without speculation only what the program is certain to load. */
function keptOf(access: Access, pa: Pa, memoryType: MemoryType, bounds: PaRange): PaRange | null {
  if (isWrite(access.kind) || isAcquire(access)) return null;
  const { speculativeReads, gathering } = permits(memoryType);
  if (speculativeReads.value) return bounds;
  const { ahead = 0 } = access;
  const end = pa + access.size;
  return gathering.value && ahead > 0 ? { start: end as Pa, end: (end + ahead) as Pa } : null;
}
