// Small events for tests of the journal: each says by its number alone what it must be.

import type { JournalHeader } from '../../../src/record/journal/format.ts';

export interface Tick {
  readonly type: 'tick';
  readonly value: bigint | number | null;
  readonly seq: number;
  readonly cause: number | null;
}

export const HEADER: JournalHeader = {
  source: 'scenarios/one-store.ts',
  hash: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  seed: 1,
  preset: '6.12',
};

/** Every fifth value is a bigint, every fifth null. */
export function tick(seq: number): Tick {
  const value = seq % 5 === 0 ? BigInt(seq) << 60n : seq % 5 === 1 ? null : seq * 4096;
  return { type: 'tick', value, seq, cause: seq === 0 ? null : seq - 1 };
}

export const ticks = (count: number): Tick[] => Array.from({ length: count }, (_, seq) => tick(seq));

export const isTick = (event: Tick, seq: number): boolean => {
  const { value, cause } = tick(seq);
  return event.seq === seq && event.type === 'tick' && event.value === value && event.cause === cause;
};
