// One writer at a time: FILE.lock is a symbolic link to nowhere whose target, PID@HOST, names the process that writes;
// unlike a file it appears with its content at once. A lock whose process is gone is stale and taken over; one of
// another host cannot be judged from here and is respected.

import { errnoOf, errnoWords, JournalError } from './error.ts';
import type { JournalFiles } from './files.ts';
import { removeQuietly } from './files.ts';

/**
 * @returns releases the lock
 * @throws JournalError at once if another writer holds it
 */
export function acquireLock(file: string, files: JournalFiles): () => void {
  const path = `${file}.lock`;
  const self = `${files.self.pid}@${files.self.host}`;
  const { locks: held } = files;
  if (held.has(path)) throw refused(file, self);
  if (!created(file, path, self, files)) {
    takeOver(file, path, files);
    if (!created(file, path, self, files)) throw refused(file, holderOf(path, files));
  }
  held.add(path);
  return () => {
    held.delete(path);
    removeQuietly(files, path);
  };
}

/** False if there is a lock already. */
function created(file: string, path: string, self: string, files: JournalFiles): boolean {
  try {
    files.symlink(self, path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw notLocked(file, error);
  }
}

/**
 * Moves a stale lock aside. Two processes can find the same lock stale: the slower one then moves the winner's
 * fresh lock, sees that by its target and puts it back.
 */
function takeOver(file: string, path: string, files: JournalFiles): void {
  const found = holderOf(path, files);
  if (found === null) return;
  if (!isStale(found, files)) throw refused(file, found);
  const aside = `${path}.${files.self.pid}`;
  try {
    files.rename(path, aside);
    const moved = holderOf(aside, files);
    if (moved !== found) {
      files.rename(aside, path);
      throw refused(file, moved);
    }
    files.remove(aside);
  } catch (error) {
    if (error instanceof JournalError) throw error;
    if (errnoOf(error) !== 'ENOENT') throw notLocked(file, error);
  }
}

function isStale(holder: string, { self, isAlive }: JournalFiles): boolean {
  const [, pid, host] = /^(\d+)@(.*)$/.exec(holder) ?? [];
  return host === self.host && (Number(pid) === self.pid || !isAlive(Number(pid)));
}

/** Null where there is no lock any more. @returns the file's own name for a lock that is no link */
function holderOf(path: string, files: JournalFiles): string | null {
  try {
    return files.readlink(path);
  } catch (error) {
    return errnoOf(error) === 'ENOENT' ? null : path;
  }
}

function refused(file: string, holder: string | null): JournalError {
  const [, pid, host] = /^(\d+)@(.*)$/.exec(holder ?? '') ?? [];
  const who = pid === undefined ? 'another process' : `process ${pid} on ${host}`;
  return new JournalError({
    file,
    what: `is being written by ${who}`,
    todo: `wait for it to end; if there is no such process, delete ${file}.lock`,
  });
}

const notLocked = (file: string, cause: unknown): JournalError =>
  new JournalError({
    file: `${file}.lock`,
    what: `cannot be created (${errnoWords(cause)})`,
    todo: 'a journal needs a directory that you may write to',
    cause,
  });
