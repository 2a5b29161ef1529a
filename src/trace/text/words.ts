// Text four bytes at a time: what a trace repeats is compared so in a quarter of the steps. The last four bytes stand
// where they end, so that a text of any length from four on is whole words.

/** Bytes of a word; a shorter text has none. */
export const WORD = 4;

/** Copies [start, start + length) of `view`. @param into at least `length` / 4 words, rounded up */
export function copyWords(into: Int32Array, view: DataView, start: number, length: number): void {
  const last = start + length - WORD;
  for (let index = 0; index * WORD < length; index += 1) {
    into[index] = view.getInt32(Math.min(start + index * WORD, last), true);
  }
}

/** Whether [start, start + length) is what was copied; from the right, where lines of a trace differ. */
export function sameWords(words: Int32Array, view: DataView, start: number, length: number): boolean {
  const last = start + length - WORD;
  for (let index = (length - 1) >> 2; index >= 0; index -= 1) {
    const at = start + index * WORD;
    if (words[index] !== view.getInt32(at > last ? last : at, true)) return false;
  }
  return true;
}
