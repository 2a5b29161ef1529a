// What leaves a processor towards a device or memory: one read or write of contiguous bytes, as the memory
// type let it become (DDI0487 B2.10). Gathered stores are one write, a split pair is several.

import type { Pa } from './addresses.ts';
import type { AtomicSupport } from './atomic.ts';
import type { MemoryType } from './memory-type.ts';

export interface Transaction {
  readonly kind: 'read' | 'write';
  readonly pa: Pa;
  /** Bytes, at least 1. */
  readonly size: number;
  /** Bytes written, in ascending address order; null where the values are not known, and for reads. */
  readonly bytes: readonly number[] | null;
  /** The combined memory type by which it was made. */
  readonly memoryType: MemoryType;
  /** Stores of the program that went into it; 1 but for gathered writes. */
  readonly stores: number;
  /** Access that waits for the answer; null for a write that was acknowledged early, and for speculation. */
  readonly access: number | null;
  /** Of a read that nobody waits for: the processor wants the answer all the same, for loads to come. */
  readonly keeps?: true;
}

/** Physical addresses from `start` to before `end`. */
export interface PaRange {
  readonly start: Pa;
  readonly end: Pa;
}

/** The addresses of a region, and which atomics it answers; none if absent. */
export interface EndpointRange extends PaRange {
  readonly atomics?: AtomicSupport;
}

/** The range that holds `address`. @param ranges sorted, without overlap */
export function rangeAt<R extends PaRange>(ranges: readonly R[], address: number): R | undefined {
  let low = 0;
  let high = ranges.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const range = ranges[middle] as R;
    if (address < range.start) high = middle - 1;
    else if (address >= range.end) low = middle + 1;
    else return range;
  }
  return undefined;
}

/** `size` bytes of a value, lowest address first (a guest is little-endian). */
export function bytesOfValue(value: bigint, size: number): number[] {
  const bytes: number[] = [];
  for (let done = 0; done < size; done += WORD) {
    let word = Number(BigInt.asUintN(WORD * 8, value >> BigInt(done * 8)));
    for (let at = done; at < Math.min(size, done + WORD); at++) {
      bytes.push(word % 256);
      word = Math.floor(word / 256);
    }
  }
  return bytes;
}

/** The value of bytes in ascending address order. */
export function valueOfBytes(bytes: readonly number[]): bigint {
  let value = 0n;
  for (let start = 0; start < bytes.length; start += WORD) {
    const word = bytes.slice(start, start + WORD).reduceRight((sum, byte) => sum * 256 + byte, 0);
    value |= BigInt(word) << BigInt(start * 8);
  }
  return value;
}

/** Bytes converted at a time: as many as a safe integer holds, because bigint is slow. */
const WORD = 6;
