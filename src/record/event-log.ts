// The events of a run in little memory: the latest as they are, with their envelopes in columns beside them, older ones
// packed by the thousand as compressed text, exactly as a journal writes them, and unpacked when somebody asks. What a
// journal holds already is not kept beside it, but read again.

import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Envelope, MachineEvent, Recorded } from '../machine/events.ts';
import { MACHINE_VALUES } from './journal/machine-values.ts';
import { fromText, toText } from './journal/values.ts';

export interface EventLog {
  readonly length: number;
  append(event: MachineEvent, cause: number | null, at: number): void;
  /** Undefined if there is no such event. */
  at(seq: number): Recorded | undefined;
  /** What happened, perhaps without its envelope; undefined if there is no such event. */
  eventAt(seq: number): MachineEvent | undefined;
}

/** Events of one packed chunk; unpacking or reading one takes a few milliseconds. */
export const CHUNK = 1024;

/** Reads a chunk again. @param first number of its first event, a multiple of CHUNK */
export type Reread = (first: number) => readonly Recorded[];

/** Unpacked chunks that are kept for the next question. */
const UNPACKED = 8;

/** Events of one run resemble each other so much that little is left to gain by a higher level. */
const LEVEL = 1;

/** A cause that is none: the event came from outside. */
const OUTSIDE = -1;

/** Events that stand one after the other; putting each into an envelope of its own would cost as much again. */
interface Chunk {
  readonly first: number;
  readonly events: MachineEvent[];
  readonly causes: Float64Array;
  readonly ats: Float64Array;
}

/**
 * @param held events kept as they are, rounded up to chunks; short runs never pack any
 * @param reread where the events stand already, so that none needs to be packed
 */
export function createEventLog(held: number, reread: Reread | null = null): EventLog {
  const open: Chunk[] = [];
  const packed: (Uint8Array | null)[] = [];
  const unpacked = new Map<number, readonly Recorded[]>();
  let length = 0;

  const unpackedAt = (index: number): readonly Recorded[] | undefined => {
    const bytes = packed[index];
    if (bytes === undefined) return undefined;
    const known = unpacked.get(index) ?? (bytes === null ? reread?.(index * CHUNK) : unpack(bytes)) ?? [];
    unpacked.delete(index);
    unpacked.set(index, known);
    for (const oldest of unpacked.keys()) {
      if (unpacked.size <= UNPACKED) break;
      unpacked.delete(oldest);
    }
    return known;
  };
  const openAt = (index: number): Chunk | undefined => open[index - packed.length];

  return {
    get length() {
      return length;
    },
    append(event, cause, at) {
      const place = length % CHUNK;
      if (place === 0) open.push(newChunk(length));
      const { events, causes, ats } = open[open.length - 1] as Chunk;
      events.push(event);
      causes[place] = cause ?? OUTSIDE;
      ats[place] = at;
      length += 1;
      if (place > 0 || open.length * CHUNK - CHUNK <= held) return;
      const oldest = open.shift();
      if (oldest !== undefined) packed.push(reread === null ? pack(oldest) : null);
    },
    at(seq) {
      const index = Math.floor(seq / CHUNK);
      const chunk = openAt(index);
      return chunk === undefined ? unpackedAt(index)?.[seq % CHUNK] : recordedIn(chunk, seq % CHUNK);
    },
    eventAt(seq) {
      const index = Math.floor(seq / CHUNK);
      return (openAt(index)?.events ?? unpackedAt(index))?.[seq % CHUNK];
    },
  };
}

const newChunk = (first: number): Chunk => ({
  first,
  events: [],
  causes: new Float64Array(CHUNK),
  ats: new Float64Array(CHUNK),
});

function recordedIn(chunk: Chunk, place: number): Recorded | undefined {
  const event = chunk.events[place];
  if (event === undefined || isEnclosed(event)) return event;
  return { ...event, ...envelopeIn(chunk, place) };
}

/** Events of a journal come in their envelopes. */
const isEnclosed = (event: MachineEvent): event is Recorded => 'seq' in event;

function envelopeIn({ first, causes, ats }: Chunk, place: number): Envelope {
  const cause = causes[place] ?? OUTSIDE;
  return { cause: cause === OUTSIDE ? null : cause, seq: first + place, at: ats[place] ?? 0 };
}

function pack(chunk: Chunk): Uint8Array {
  const lines = chunk.events.map((event, place) =>
    isEnclosed(event)
      ? toText(event, MACHINE_VALUES)
      : toText(event, MACHINE_VALUES, envelopeIn(chunk, place)),
  );
  return deflateRawSync(lines.join('\n'), { level: LEVEL });
}

const unpack = (bytes: Uint8Array): readonly Recorded[] =>
  inflateRawSync(bytes)
    .toString('utf8')
    .split('\n')
    .map((line) => fromText(line, MACHINE_VALUES) as Recorded);
