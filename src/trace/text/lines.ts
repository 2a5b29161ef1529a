// From chunks of bytes to lines, at bounded memory: what is carried over from chunk to chunk is at most one line, and
// a line longer than 64 KiB is given up, reported and passed by without being kept.

import { LF } from './bytes.ts';

/** A trace line has at most 200 bytes or so; a longer one is no trace line. */
export const MAX_LINE = 65_536;

export interface LineHandler {
  /** The line [start, end) of `bytes`, without its line feed. `ended` is false for a last line without one. */
  line(bytes: Uint8Array, start: number, end: number, ended: boolean): void;
  /** A line was longer than `MAX_LINE`; called once for each. */
  tooLong(): void;
}

export interface LineSplitter {
  push(chunk: Uint8Array): void;
  /** The input is over: what is left is the last line. */
  end(): void;
}

export function createLineSplitter(handler: LineHandler): LineSplitter {
  const carry = new Uint8Array(MAX_LINE);
  let carried = 0;
  let skipping = false;

  const keep = (chunk: Uint8Array, start: number): void => {
    const length = chunk.length - start;
    if (carried + length > MAX_LINE) {
      skipping = true;
      carried = 0;
      handler.tooLong();
      return;
    }
    carry.set(chunk.subarray(start), carried);
    carried += length;
  };

  /** The first line feed of a chunk ends the line that began before it. */
  const finish = (chunk: Uint8Array, end: number): void => {
    if (skipping) skipping = false;
    else if (carried + end > MAX_LINE) handler.tooLong();
    else {
      carry.set(chunk.subarray(0, end), carried);
      handler.line(carry, 0, carried + end, true);
    }
    carried = 0;
  };

  return {
    push(chunk) {
      let start = 0;
      if (carried > 0 || skipping) {
        const end = chunk.indexOf(LF);
        if (end === -1) {
          if (!skipping) keep(chunk, 0);
          return;
        }
        finish(chunk, end);
        start = end + 1;
      }
      for (;;) {
        const end = chunk.indexOf(LF, start);
        if (end === -1) break;
        if (end - start > MAX_LINE) handler.tooLong();
        else handler.line(chunk, start, end, true);
        start = end + 1;
      }
      if (start < chunk.length) keep(chunk, start);
    },
    end() {
      if (carried > 0) handler.line(carry, 0, carried, false);
      carried = 0;
      skipping = false;
    },
  };
}
