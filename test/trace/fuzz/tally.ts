// What a campaign counts: cases by outcome, and the most memory that was seen in use.

/** The property that the campaign is about does not hold. */
export class Violation extends Error {}

export interface Tally {
  add(outcome: string, cases?: number): void;
  /** Looks at the heap. @throws Violation if it holds more than any input may ask for */
  sample(): void;
  counts(): Readonly<Record<string, number>>;
  /** MiB of heap and buffers in use, at most. */
  peak(): number;
}

/** @returns the counts @throws Violation @param onProgress hears of the number of cases so far */
export type Campaign = (
  cases: number,
  seed: number,
  onProgress: (done: number, tally: Tally) => void,
) => Promise<Tally>;

/** Far more than any case needs, far less than a machine has. */
const MOST_MIB = 2048;

export function createTally(): Tally {
  const counts = new Map<string, number>();
  let peak = 0;
  return {
    add: (outcome, cases = 1) => void counts.set(outcome, (counts.get(outcome) ?? 0) + cases),
    sample() {
      const { heapUsed, external } = process.memoryUsage();
      peak = Math.max(peak, Math.round((heapUsed + external) / 2 ** 20));
      if (peak > MOST_MIB) throw new Violation(`${peak} MiB in use`);
    },
    counts: () => Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1))),
    peak: () => peak,
  };
}
