// What a processor still has of reads that it made: speculative ones, and the bytes around and behind a load. A later
// load of memory that permits it may be answered from here (DDI0487 B2.10.1). Pure functions on data.

import type { Pa } from '../arch/addresses.ts';
import type { MemoryType } from '../arch/memory-type.ts';
import { describeMemoryType } from '../arch/memory-type.ts';
import type { PaRange } from '../arch/transaction.ts';

export interface HeldRead {
  readonly pa: Pa;
  readonly size: number;
  /** The bytes as a little-endian number. */
  readonly value: bigint;
  readonly memoryType: MemoryType;
  /** One bit for each byte that may still answer a load: each does so once, or a program could poll it for ever. */
  readonly left: bigint;
}

/** The bytes of a read, without what of them may answer. */
export type ReadBytes = Omit<HeldRead, 'left'>;

/** Reads that are kept at most; the oldest goes. */
const MOST = 8;

const maskOf = (offset: number, size: number): bigint => ((1n << BigInt(size)) - 1n) << BigInt(offset);

/** The bits of [from, to) in this read; 0 where it has none of these bytes. */
function bitsIn({ pa, size }: Pick<HeldRead, 'pa' | 'size'>, from: number, to: number): bigint {
  const start = Math.max(from, pa);
  const end = Math.min(to, pa + size);
  return start < end ? maskOf(start - pa, end - start) : 0n;
}

/** The bytes [pa, pa + size) answer no more: a store changed them, a newer read supersedes them, or they were used. */
export function withoutBytes(held: readonly HeldRead[], pa: number, size: number): readonly HeldRead[] {
  if (held.every((read) => (read.left & bitsIn(read, pa, pa + size)) === 0n)) return held;
  return held
    .map((read) => ({ ...read, left: read.left & ~bitsIn(read, pa, pa + size) }))
    .filter(({ left }) => left !== 0n);
}

/** A read was answered. @param keeps addresses whose bytes may answer later loads; null for none */
export function withRead(
  held: readonly HeldRead[],
  read: ReadBytes,
  keeps: PaRange | null,
): readonly HeldRead[] {
  const others = withoutBytes(held, read.pa, read.size);
  const left = keeps === null ? 0n : bitsIn(read, keeps.start, keeps.end);
  return left === 0n ? others : [...others, { ...read, left }].slice(-MOST);
}

/** The bytes [pa, pa + size) if one read of the same memory type has them all; null if none does. */
export function heldValue(
  held: readonly HeldRead[],
  pa: number,
  size: number,
  memoryType: MemoryType,
): bigint | null {
  const all = maskOf(0, size);
  const type = describeMemoryType(memoryType);
  const found = held.find((read) => {
    const bits = bitsIn(read, pa, pa + size);
    const isWhole = pa >= read.pa && pa + size <= read.pa + read.size;
    return (
      isWhole &&
      (read.left & bits) === all << BigInt(pa - read.pa) &&
      describeMemoryType(read.memoryType) === type
    );
  });
  return found === undefined ? null : BigInt.asUintN(size * 8, found.value >> BigInt((pa - found.pa) * 8));
}
