// The few file operations a journal needs, as an interface, so that tests can let any call of them fail, and the
// real ones of Node. Everything is synchronous and by position; nothing here retries or hides an error.

import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readlinkSync,
  readSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { kill, pid } from 'node:process';
import { errnoOf } from './error.ts';

export interface JournalFiles {
  /** As open(2): `wx` creates and fails with EEXIST, `w` creates or empties. */
  open(path: string, flags: 'r' | 'r+' | 'w' | 'wx'): number;
  /** @returns bytes read; 0 at the end of the file */
  read(fd: number, into: Uint8Array, length: number, position: number): number;
  /** @returns bytes written, which can be fewer than asked for */
  write(fd: number, from: Uint8Array, start: number, length: number, position: number): number;
  /** Bytes in the file. */
  size(fd: number): number;
  fdatasync(fd: number): void;
  truncate(fd: number, length: number): void;
  close(fd: number): void;
  rename(from: string, to: string): void;
  /** A file that is not there is no error. */
  remove(path: string): void;
  /** A symbolic link: name and content appear at once, or EEXIST. */
  symlink(target: string, path: string): void;
  readlink(path: string): string;
  /** fsync of the directory that holds `path`, so that a new name survives a crash. */
  syncDirectory(path: string): void;
  /** Who holds a lock that this process takes. */
  readonly self: { readonly pid: number; readonly host: string };
  /** Locks of this process: tells an own one from one that an earlier process with the same pid left. */
  readonly locks: Set<string>;
  isAlive(pid: number): boolean;
}

export const nodeFiles: JournalFiles = {
  open: (path, flags) => openSync(path, flags, 0o644),
  read: (fd, into, length, position) => readSync(fd, into, 0, length, position),
  write: (fd, from, start, length, position) => writeSync(fd, from, start, length, position),
  size: (fd) => fstatSync(fd).size,
  fdatasync: fdatasyncSync,
  truncate: ftruncateSync,
  close: closeSync,
  rename: renameSync,
  remove: (path) => rmSync(path, { force: true }),
  symlink: (target, path) => symlinkSync(target, path),
  readlink: (path) => readlinkSync(path),
  syncDirectory(path) {
    const fd = openDirectory(dirname(path));
    if (fd === null) return;
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  },
  self: { pid, host: hostname() },
  locks: new Set(),
  isAlive(other) {
    try {
      return kill(other, 0);
    } catch (error) {
      return errnoOf(error) === 'EPERM';
    }
  },
};

/** Null where a directory cannot be opened as a file (Windows), and so cannot be synced either. */
function openDirectory(path: string): number | null {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (['EISDIR', 'EPERM'].includes(errnoOf(error))) return null;
    throw error;
  }
}

/** For a file that was only read, or whose failure is known already: close(2) then has nothing to add. */
export function closeQuietly(files: JournalFiles, fd: number): void {
  try {
    files.close(fd);
  } catch {}
}

/** What is left behind harms nobody: a file that no journal is known by, a lock whose process will be gone. */
export function removeQuietly(files: JournalFiles, path: string): void {
  try {
    files.remove(path);
  } catch {}
}

/** Writes all of [0, length), in as many calls as it takes. */
export function writeAll(
  files: JournalFiles,
  fd: number,
  bytes: Uint8Array,
  length: number,
  position: number,
): void {
  let done = 0;
  while (done < length) done += files.write(fd, bytes, done, length - done, position + done);
}

/** Reads until `length` bytes are there or the file ends. @returns bytes read */
export function readFully(
  files: JournalFiles,
  fd: number,
  into: Uint8Array,
  length: number,
  position: number,
): number {
  let done = 0;
  while (done < length) {
    const count = files.read(fd, into.subarray(done), length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
