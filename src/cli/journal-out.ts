// `--journal FILE`: every event of a run goes to a new journal as it happens, with a hash of the state now and then, so
// that whoever reads it can replay it and check.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Recorded } from '../machine/events.ts';
import type { Simulation } from '../machine/simulation.ts';
import type { JournalHeader } from '../record/journal/format.ts';
import { createJournal } from '../record/journal/journal.ts';
import { stateHash } from '../record/state-hash.ts';

export interface JournalOut {
  /** Before the first event. */
  readonly onSimulation: (simulation: Simulation) => void;
  /** @throws JournalError if anything could not be written, now or earlier */
  close(): void;
}

/** A hash takes time in proportion to the state: the first comes after so many events, then at twice as many each. */
const FIRST_CHECKPOINT = 1000;

/** @throws JournalError if the file exists or cannot be created */
export function journalOut(file: string, header: JournalHeader): JournalOut {
  const writer = createJournal<Recorded>(file, header);
  let simulation: Simulation | null = null;
  let next = FIRST_CHECKPOINT;
  let failure: unknown = null;
  const attempt = (write: () => void): void => {
    if (failure !== null) return;
    try {
      write();
    } catch (error) {
      // Thrown here it would leave the bus aside and surface nowhere: it is kept for close().
      failure = error;
    }
  };
  return {
    onSimulation(started) {
      simulation = started;
      started.record((event, seq, cause, at) =>
        attempt(() => {
          writer.appendEnclosed(event, { seq, cause, at });
          if (writer.length < next) return;
          next *= 2;
          writer.checkpoint(stateHash(started.state));
        }),
      );
    },
    close() {
      const { state } = simulation ?? {};
      if (state !== undefined && writer.length > 0) attempt(() => writer.checkpoint(stateHash(state)));
      attempt(() => writer.close());
      if (failure === null) return;
      try {
        writer.close();
      } catch {
        // What failed first says more.
      }
      throw failure;
    },
  };
}

/** SHA-256 of a file, in hex, as the header of a journal has it. */
export const fileHash = (path: string): string =>
  createHash('sha256').update(readFileSync(path)).digest('hex');
