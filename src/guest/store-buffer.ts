// The store buffer of a vCPU for memory that permits gathering and early acknowledgement (DDI0487 B2.10):
// lines of 64 bytes, first in first out, in which neighbouring stores merge until something drains them. Pure
// functions on data.

import type { Pa } from '../arch/addresses.ts';
import type { MemoryType } from '../arch/memory-type.ts';
import { describeMemoryType } from '../arch/memory-type.ts';
import { permits } from '../arch/permits.ts';
import type { Transaction } from '../arch/transaction.ts';
import { bytesOfValue, valueOfBytes } from '../arch/transaction.ts';

/** Bytes of a line: a cache line, and the write-combining unit of today's cores. */
export const LINE_BYTES = 64;

/** Lines that a buffer holds before the oldest leaves: typical of cores, IMPLEMENTATION DEFINED. */
export const LINES = 4;

export interface Line {
  /** Rises with every line of the vCPU. */
  readonly id: number;
  /** A multiple of 64. */
  readonly pa: Pa;
  readonly memoryType: MemoryType;
  /** The 64 bytes as one number, the first byte lowest; 0 where no store wrote. */
  readonly value: bigint;
  /** One bit for each byte: a store wrote it. */
  readonly written: bigint;
  /** One bit for each byte: a store wrote it, and the program gave no value. */
  readonly unknown: bigint;
  /** Offset of each store that went into the line. */
  readonly stores: readonly number[];
  /** Number of the access that opened the line. */
  readonly since: number;
  /** A closed line (DGH) waits to be drained and takes no more stores. */
  readonly open: boolean;
}

export interface StoreBuffer {
  /** Oldest first. */
  readonly lines: readonly Line[];
  readonly nextId: number;
}

export const EMPTY_STORE_BUFFER: StoreBuffer = { lines: [], nextId: 0 };

/** A store, or the part of it that falls into one line. */
export interface BufferedStore {
  readonly pa: Pa;
  readonly size: number;
  readonly bytes: readonly number[] | null;
  readonly memoryType: MemoryType;
}

/** The parts of a store by line, ascending. */
export function byLine(store: BufferedStore): BufferedStore[] {
  if ((store.pa % LINE_BYTES) + store.size <= LINE_BYTES) return [store];
  const parts: BufferedStore[] = [];
  for (let done = 0; done < store.size; ) {
    const at = store.pa + done;
    const size = Math.min(store.size - done, LINE_BYTES - (at % LINE_BYTES));
    parts.push({ ...store, pa: at as Pa, size, bytes: store.bytes?.slice(done, done + size) ?? null });
    done += size;
  }
  return parts;
}

/**
 * The open line that takes this part: the newest of its 64 bytes, unless a store wrote some of these bytes already. Two
 * stores to one location may merge (DDI0487 B2.10); here each reaches the endpoint, so that nothing a program stored
 * goes missing. A line of another type (an alias of the location) does not merge either.
 */
export function lineFor(buffer: StoreBuffer, part: BufferedStore): Line | undefined {
  const newest = mergesOver(buffer, part);
  if (newest === undefined) return undefined;
  return (newest.written & byteMask(part.pa - newest.pa, part.size)) === 0n ? newest : undefined;
}

/** The line that may take this part, were it to replace bytes that did not leave yet (DDI0487 B2.10). */
export function mergesOver(buffer: StoreBuffer, part: BufferedStore): Line | undefined {
  const newest = newestLine(buffer, part);
  return newest?.open === true && sameType(newest.memoryType, part.memoryType) ? newest : undefined;
}

/** The line that took the latest store to these 64 bytes. */
export const newestLine = (buffer: StoreBuffer, part: BufferedStore): Line | undefined =>
  buffer.lines.findLast(({ pa }) => pa === lineOf(part.pa));

const lineOf = (pa: number): number => pa - (pa % LINE_BYTES);

const sameType = (a: MemoryType, b: MemoryType): boolean =>
  a === b || describeMemoryType(a) === describeMemoryType(b);

/** The buffer after a part of a store merged into its line, or opened one. */
export const withStore = (buffer: StoreBuffer, part: BufferedStore, since = 0): StoreBuffer =>
  withStoreIn(buffer, part, lineFor(buffer, part)?.id ?? null, since);

/**
 * The same for the line that somebody chose.
 * @param into its number; null for a line of its own
 * @param since number of the access
 */
export function withStoreIn(
  buffer: StoreBuffer,
  part: BufferedStore,
  into: number | null,
  since: number,
): StoreBuffer {
  const line = into === null ? undefined : buffer.lines.find(({ id }) => id === into);
  if (line !== undefined) {
    const merged = mergedWith(line, part);
    return { ...buffer, lines: buffer.lines.map((other) => (other === line ? merged : other)) };
  }
  const fresh: Line = {
    id: buffer.nextId,
    pa: lineOf(part.pa) as Pa,
    memoryType: part.memoryType,
    value: 0n,
    written: 0n,
    unknown: 0n,
    stores: [],
    since,
    open: permits(part.memoryType).gathering.value,
  };
  return { lines: [...buffer.lines, mergedWith(fresh, part)], nextId: buffer.nextId + 1 };
}

function mergedWith(line: Line, part: BufferedStore): Line {
  const offset = part.pa - line.pa;
  const mask = byteMask(offset, part.size);
  const bits = (2n ** BigInt(part.size * 8) - 1n) << BigInt(offset * 8);
  const value = part.bytes === null ? 0n : valueOfBytes(part.bytes) << BigInt(offset * 8);
  return {
    ...line,
    value: (line.value & ~bits) | value,
    written: line.written | mask,
    unknown: part.bytes === null ? line.unknown | mask : line.unknown & ~mask,
    stores: [...line.stores, offset],
  };
}

/** Some store wrote the same byte in both. */
export const overlapsLine = (a: Line, b: Line): boolean => a.pa === b.pa && (a.written & b.written) !== 0n;

/** This line and the older ones that wrote some of its bytes, and so on: they reach the endpoint before it. */
export function withOverlappingElders(buffer: StoreBuffer, line: Line): Line[] {
  const chain = [line];
  for (const older of buffer.lines.toReversed()) {
    if (older.id < line.id && chain.some((other) => overlapsLine(older, other))) chain.unshift(older);
  }
  return chain;
}

/** The newest line with some byte in [pa, pa + size), if all of them are in it and known. */
export function forwardable(buffer: StoreBuffer, pa: number, size: number): bigint | null {
  const offset = pa % LINE_BYTES;
  if (offset + size > LINE_BYTES) return null;
  const mask = byteMask(offset, size);
  const newest = buffer.lines.findLast((line) => line.pa === lineOf(pa) && (line.written & mask) !== 0n);
  if (newest === undefined || (newest.written & mask) !== mask || (newest.unknown & mask) !== 0n) return null;
  return BigInt.asUintN(size * 8, newest.value >> BigInt(offset * 8));
}

/** A bit for each byte of [offset, offset + size). */
const byteMask = (offset: number, size: number): bigint => ((1n << BigInt(size)) - 1n) << BigInt(offset);

const FULL = byteMask(0, LINE_BYTES);

export const isFull = (line: Line): boolean => line.written === FULL;

/** DGH: no store after it merges with one before it. */
export function closed(buffer: StoreBuffer): StoreBuffer {
  return { ...buffer, lines: buffer.lines.map((line) => ({ ...line, open: false })) };
}

export function withoutLines(buffer: StoreBuffer, ids: readonly number[]): StoreBuffer {
  return { ...buffer, lines: buffer.lines.filter(({ id }) => !ids.includes(id)) };
}

/**
 * Lines with bytes in [pa, pa + size), oldest first. A line brings the older ones of the same 64 bytes along.
 */
export function overlapping(buffer: StoreBuffer, pa: number, size: number): Line[] {
  const newest = buffer.lines.findLastIndex(({ written, pa: start }) => {
    const from = Math.max(pa - start, 0);
    const to = Math.min(pa + size - start, LINE_BYTES);
    return from < to && (written & byteMask(from, to - from)) !== 0n;
  });
  const first = lineOf(pa);
  return buffer.lines.filter((line, index) => index <= newest && line.pa >= first && line.pa < pa + size);
}

/** A line of Non-Reordering memory, in which a processor holds an acknowledged store. */
export const keepsOrder = ({ memoryType }: Line): boolean => !permits(memoryType).reordering.value;

/** These lines and the older ones that may not arrive behind them, oldest first. */
export function withPredecessors(buffer: StoreBuffer, lines: readonly Line[]): readonly Line[] {
  const last = lines.findLast(keepsOrder);
  if (last === undefined) return lines;
  return buffer.lines.filter((line) => lines.includes(line) || (line.id < last.id && keepsOrder(line)));
}

/** Accesses after which a line leaves by itself: stores reach the endpoint in finite time (DDI0487 B2.10). */
const FINITE = 256;

/** Lines that waited long enough. @param now number of the access that is issued */
export const overdue = (buffer: StoreBuffer, now: number): readonly Line[] =>
  buffer.lines.filter(({ since }) => now - since >= FINITE);

/** This line and the older ones of the same 64 bytes, which have to reach the endpoint before it. */
export function withElders(buffer: StoreBuffer, line: Line): Line[] {
  return buffer.lines.filter(({ id, pa }) => pa === line.pa && id <= line.id);
}

/** As few writes as contiguous runs of bytes need. */
export const writesOf = (line: Line): Transaction[] => writesCut(line, null);

/** The same, split at multiples of `cut` bytes. */
export function writesCut(line: Line, cut: number | null): Transaction[] {
  const writes: Transaction[] = [];
  for (let rest = line.written; rest !== 0n; ) {
    const start = trailing(rest, 0n);
    const run = trailing(rest >> BigInt(start), 1n);
    const size = cut === null ? run : Math.min(run, cut - (start % cut));
    writes.push(writeOf(line, start, size));
    rest &= ~byteMask(start, size);
  }
  return writes;
}

/** How many of the lowest bits are all `bit`; there is an end to them. */
function trailing(bits: bigint, bit: 0n | 1n): number {
  let count = 0;
  for (let rest = bits; (rest & 1n) === bit; rest >>= 1n) count += 1;
  return count;
}

function writeOf(line: Line, start: number, size: number): Transaction {
  const known = (line.unknown & byteMask(start, size)) === 0n;
  return {
    kind: 'write',
    pa: (line.pa + start) as Pa,
    size,
    bytes: known ? bytesOfValue(line.value >> BigInt(start * 8), size) : null,
    memoryType: line.memoryType,
    stores: line.stores.filter((offset) => offset >= start && offset < start + size).length,
    access: null,
  };
}
