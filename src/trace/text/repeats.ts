// Texts of events as earlier lines had them. A guest loops, so that its exits and entries repeat: of two traces of
// booting guests more than 9 of 10 texts had been read a moment before. What is found does not depend on what is
// remembered.

import type { Reading } from './event-text.ts';
import { emptyReading, readText } from './event-text.ts';
import { copyWords, sameWords, WORD } from './words.ts';

interface Repeat {
  readonly words: Int32Array;
  length: number;
  readonly reading: Reading;
}

/** Longer texts than any event of the catalogue has are read each time. */
const MAX_TEXT = 256;
/** A power of two: a few hundred KiB in all. */
const SLOTS = 1024;

export interface Repeats {
  /** The reading of the text [start, end), valid until the next one. `view` is of `bytes`. */
  read(bytes: Uint8Array, view: DataView, start: number, end: number): Reading;
}

export function createRepeats(): Repeats {
  const slots: (Repeat | undefined)[] = new Array<Repeat | undefined>(SLOTS).fill(undefined);
  const other = emptyReading();
  return {
    read(bytes, view, start, end) {
      const length = end - start;
      if (length < 2 * WORD || length > MAX_TEXT) {
        readText(other, bytes, start, end);
        return other;
      }
      const key = keyOf(view, start, end);
      let slot = slots[key];
      if (slot === undefined) {
        slot = { words: new Int32Array(MAX_TEXT / WORD), length: 0, reading: emptyReading() };
        slots[key] = slot;
      } else if (slot.length === length && sameWords(slot.words, view, start, length)) {
        return slot.reading;
      }
      readText(slot.reading, bytes, start, end);
      copyWords(slot.words, view, start, length);
      slot.length = length;
      return slot.reading;
    },
  };
}

const ODD = 0x9e37_79b1 | 0;

/** Mixes every second word: numbers have more digits than that. */
function keyOf(view: DataView, start: number, end: number): number {
  let mixed = view.getInt32(end - WORD, true);
  for (let at = end - 2 * WORD; at >= start; at -= 2 * WORD) {
    mixed = Math.imul(mixed ^ (mixed >>> 15) ^ view.getInt32(at, true), ODD);
  }
  return (mixed ^ (mixed >>> 16)) & (SLOTS - 1);
}
