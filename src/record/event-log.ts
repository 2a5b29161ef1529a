// The events of a run in little memory: the latest as they are, older ones packed by the thousand as compressed text,
// exactly as a journal writes them, and unpacked when somebody asks.

import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Recorded } from '../machine/events.ts';
import { MACHINE_VALUES } from './journal/machine-values.ts';
import { fromText, toText } from './journal/values.ts';

export interface EventLog {
  readonly length: number;
  append(event: Recorded): void;
  /** Undefined if there is no such event. */
  at(seq: number): Recorded | undefined;
}

/** Events of one packed chunk; unpacking one takes a few milliseconds. */
const CHUNK = 4096;

/** Unpacked chunks that are kept for the next question. */
const UNPACKED = 4;

/** Events of one run resemble each other so much that little is left to gain by a higher level. */
const LEVEL = 1;

/** @param held events kept as they are, rounded up to chunks; short runs never pack any */
export function createEventLog(held: number): EventLog {
  const open: Recorded[][] = [];
  const packed: Uint8Array[] = [];
  const unpacked = new Map<number, readonly Recorded[]>();
  let length = 0;

  const chunkAt = (index: number): readonly Recorded[] | undefined => {
    const bytes = packed[index];
    if (bytes === undefined) return open[index - packed.length];
    const known = unpacked.get(index) ?? unpack(bytes);
    unpacked.delete(index);
    unpacked.set(index, known);
    for (const oldest of unpacked.keys()) {
      if (unpacked.size <= UNPACKED) break;
      unpacked.delete(oldest);
    }
    return known;
  };

  return {
    get length() {
      return length;
    },
    append(event) {
      const last = open.at(-1);
      if (last !== undefined && last.length < CHUNK) last.push(event);
      else open.push([event]);
      length += 1;
      if (open.length * CHUNK - CHUNK <= held) return;
      const oldest = open.shift();
      if (oldest !== undefined) packed.push(pack(oldest));
    },
    at: (seq) => chunkAt(Math.floor(seq / CHUNK))?.[seq % CHUNK],
  };
}

function pack(events: readonly Recorded[]): Uint8Array {
  const text = events.map((event) => toText(event, MACHINE_VALUES)).join('\n');
  return deflateRawSync(text, { level: LEVEL });
}

const unpack = (bytes: Uint8Array): readonly Recorded[] =>
  inflateRawSync(bytes)
    .toString('utf8')
    .split('\n')
    .map((line) => fromText(line, MACHINE_VALUES) as Recorded);
