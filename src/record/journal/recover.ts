// Repair of a journal after a crash: cuts off what is provably the beginning of a write that never ended, and keeps it
// beside the file. Everything is checked first and the copy is on disk before the file is cut, so that a failure at any
// step leaves a file that the next repair can take up.

import { errnoOf, errnoWords, JournalError } from './error.ts';
import type { JournalFiles } from './files.ts';
import { readFully, removeQuietly, writeAll } from './files.ts';
import { NEWLINE } from './format.ts';
import type { ScanEnd } from './scan.ts';

export interface Recovery {
  /** Bytes cut off; 0 where only the newline of a whole last line was missing. */
  readonly dropped: number;
  /** Where in the file they began. */
  readonly at: number;
  /** They are kept here; null if there were none. */
  readonly kept: string | null;
}

/**
 * Brings the file to the state that `end` describes.
 * @returns null if it was whole already
 * @throws JournalError if a step failed; the file is then as it was, or still to be repaired
 */
export function repair(file: string, fd: number, end: ScanEnd, files: JournalFiles): Recovery | null {
  const { torn, unterminated } = end;
  if (torn === 0 && !unterminated) return null;
  try {
    const kept = torn === 0 ? null : keepTail(file, fd, end, files);
    if (torn > 0) files.truncate(fd, end.end);
    if (unterminated) writeAll(files, fd, Uint8Array.of(NEWLINE), 1, end.end);
    files.fdatasync(fd);
    return { dropped: torn, at: end.end, kept };
  } catch (cause) {
    throw new JournalError({
      file,
      what: `cannot be repaired (${errnoWords(cause)})`,
      todo: 'no event is lost; make room beside it and open it again',
      cause,
    });
  }
}

/** Copies the tail to the first free FILE.torn-N. */
function keepTail(file: string, fd: number, { end, torn }: ScanEnd, files: JournalFiles): string {
  const { path, copy } = createFree(file, files);
  try {
    const chunk = new Uint8Array(Math.min(torn, 2 ** 20));
    for (let done = 0; done < torn; ) {
      const length = readFully(files, fd, chunk, Math.min(chunk.length, torn - done), end + done);
      if (length === 0) break;
      writeAll(files, copy, chunk, length, done);
      done += length;
    }
    files.fdatasync(copy);
  } catch (error) {
    removeQuietly(files, path);
    throw error;
  } finally {
    files.close(copy);
  }
  files.syncDirectory(path);
  return path;
}

function createFree(file: string, files: JournalFiles): { readonly path: string; readonly copy: number } {
  for (let number = 1; ; number++) {
    const path = `${file}.torn-${number}`;
    try {
      return { path, copy: files.open(path, 'wx') };
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
  }
}
