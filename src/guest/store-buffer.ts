// The store buffer of a vCPU for memory that permits gathering and early acknowledgement (DDI0487 B2.10):
// lines of 64 bytes, first in first out, in which neighbouring stores merge until something drains them. Pure
// functions on data.

import type { Pa } from '../arch/addresses.ts';
import type { MemoryType } from '../arch/memory-type.ts';
import { describeMemoryType } from '../arch/memory-type.ts';
import type { Transaction } from '../arch/transaction.ts';

/** Bytes of a line: a cache line, and the write-combining unit of today's cores. */
const LINE_BYTES = 64;

/** Lines that a buffer holds before the oldest leaves: typical of cores, IMPLEMENTATION DEFINED. */
export const LINES = 4;

/** A byte that a store wrote: its value, or that the program gave none. */
type Written = number | 'unknown';

export interface Line {
  /** Rises with every line of the vCPU. */
  readonly id: number;
  /** A multiple of 64. */
  readonly pa: Pa;
  readonly memoryType: MemoryType;
  /** 64 bytes; null where no store wrote. */
  readonly bytes: readonly (Written | null)[];
  /** Offset of each store that went into the line. */
  readonly stores: readonly number[];
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
  const parts: BufferedStore[] = [];
  for (let done = 0; done < store.size; ) {
    const at = store.pa + done;
    const size = Math.min(store.size - done, LINE_BYTES - (at % LINE_BYTES));
    parts.push({ ...store, pa: at as Pa, size, bytes: store.bytes?.slice(done, done + size) ?? null });
    done += size;
  }
  return parts;
}

/** The open line that takes this part; a line of another type (an alias of the location) does not. */
export function lineFor(buffer: StoreBuffer, part: BufferedStore): Line | undefined {
  return buffer.lines.find(
    ({ open, pa, memoryType }) => open && pa === lineOf(part.pa) && sameType(memoryType, part.memoryType),
  );
}

const lineOf = (pa: number): number => pa - (pa % LINE_BYTES);

const sameType = (a: MemoryType, b: MemoryType): boolean =>
  a === b || describeMemoryType(a) === describeMemoryType(b);

/** The buffer after a part of a store merged into its line, or opened one. */
export function withStore(buffer: StoreBuffer, part: BufferedStore): StoreBuffer {
  const line = lineFor(buffer, part);
  if (line !== undefined) {
    const merged = mergedWith(line, part);
    return { ...buffer, lines: buffer.lines.map((other) => (other === line ? merged : other)) };
  }
  const fresh: Line = {
    id: buffer.nextId,
    pa: lineOf(part.pa) as Pa,
    memoryType: part.memoryType,
    bytes: Array.from({ length: LINE_BYTES }, () => null),
    stores: [],
    open: true,
  };
  return { lines: [...buffer.lines, mergedWith(fresh, part)], nextId: buffer.nextId + 1 };
}

function mergedWith(line: Line, part: BufferedStore): Line {
  const offset = part.pa - line.pa;
  const written = part.bytes ?? Array.from({ length: part.size }, (): Written => 'unknown');
  return {
    ...line,
    bytes: line.bytes.toSpliced(offset, part.size, ...written),
    stores: [...line.stores, offset],
  };
}

export const isFull = (line: Line): boolean => line.bytes.every((byte) => byte !== null);

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
  const newest = buffer.lines.findLastIndex(({ bytes, pa: start }) => {
    const from = Math.max(pa - start, 0);
    const to = Math.min(pa + size - start, LINE_BYTES);
    return from < to && bytes.slice(from, to).some((byte) => byte !== null);
  });
  const first = lineOf(pa);
  return buffer.lines.filter((line, index) => index <= newest && line.pa >= first && line.pa < pa + size);
}

/** This line and the older ones of the same 64 bytes, which have to reach the endpoint before it. */
export function withElders(buffer: StoreBuffer, line: Line): Line[] {
  return buffer.lines.filter(({ id, pa }) => pa === line.pa && id <= line.id);
}

/** As few writes as contiguous runs of bytes need. */
export function writesOf(line: Line): Transaction[] {
  const writes: Transaction[] = [];
  let start = line.bytes.findIndex((byte) => byte !== null);
  while (start !== -1) {
    const length = line.bytes.slice(start).indexOf(null);
    const end = length === -1 ? LINE_BYTES : start + length;
    writes.push(writeOf(line, start, end));
    const next = line.bytes.slice(end).findIndex((byte) => byte !== null);
    start = next === -1 ? -1 : end + next;
  }
  return writes;
}

function writeOf(line: Line, start: number, end: number): Transaction {
  const known = line.bytes.slice(start, end).filter((byte) => typeof byte === 'number');
  return {
    kind: 'write',
    pa: (line.pa + start) as Pa,
    size: end - start,
    bytes: known.length === end - start ? known : null,
    memoryType: line.memoryType,
    stores: line.stores.filter((offset) => offset >= start && offset < end).length,
    access: null,
  };
}
