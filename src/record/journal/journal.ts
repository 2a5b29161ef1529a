// Journals on disk: create one, append to one, open one to read, repair one. docs/journal.md describes the format and
// what is promised.

import { errnoOf, errnoWords, JournalError } from './error.ts';
import type { JournalFiles } from './files.ts';
import { closeQuietly, nodeFiles, removeQuietly, writeAll } from './files.ts';
import type { Journaled, JournalHeader } from './format.ts';
import { VERSION } from './format.ts';
import { acquireLock } from './lock.ts';
import { MACHINE_VALUES } from './machine-values.ts';
import type { JournalOptions, JournalRecord } from './read.ts';
import { nothingScanned, readFirst, readRecords } from './read.ts';
import type { Recovery } from './recover.ts';
import { repair } from './recover.ts';
import type { ScanEnd } from './scan.ts';
import type { JournalWriter, Opened, WriteOptions } from './write.ts';
import { createWriter, firstLine } from './write.ts';

export interface Journal<E extends Journaled> {
  readonly file: string;
  readonly header: JournalHeader;
  /** Version that the file is of; its events come as the current one has them. */
  readonly version: number;
  /**
   * Every record in order, the last one of kind `finish`; each call reads the file anew.
   * @throws JournalError at the first damage, after everything before it was given
   */
  records(): Generator<JournalRecord<E>, void>;
}

export interface CreateOptions extends JournalOptions, WriteOptions {
  /** Replace an existing file; it stays whole until the new one has its header on disk. */
  readonly overwrite?: boolean;
}

/**
 * A new journal; compressed if its name ends in .gz.
 * @throws JournalError if the file exists, another process writes it, or it cannot be created
 */
export function createJournal<E extends Journaled>(
  file: string,
  header: JournalHeader,
  options: CreateOptions = {},
): JournalWriter<E> {
  const files = options.files ?? nodeFiles;
  return locked(file, files, (release) => {
    if (options.overwrite !== true) refuseExisting(file, files);
    const gzip = file.endsWith('.gz');
    const { source, hash, seed, preset } = header;
    const version = options.version ?? VERSION;
    const { bytes, crc } = firstLine({ journal: 'stagetwo', version, source, hash, seed, preset }, gzip);
    const fd = createFile(file, bytes, files);
    const codecs = options.codecs ?? MACHINE_VALUES;
    const position = bytes.length;
    const opened: Opened = {
      file,
      fd,
      files,
      codecs,
      gzip,
      position,
      crc,
      events: 0,
      recovery: null,
      release,
    };
    return createWriter<E>(opened, options);
  });
}

/**
 * Goes on where the journal ends, after repairing what a crash left.
 * @throws JournalError if it is damaged, of an older version, or written by another process
 */
export function appendTo<E extends Journaled>(
  file: string,
  options: JournalOptions & WriteOptions = {},
): JournalWriter<E> {
  const files = options.files ?? nodeFiles;
  return locked(file, files, (release) => {
    const { end, seq } = scanToEnd(file, { ...options, files });
    return withFile(file, files, (fd) => {
      const recovery = repair(file, fd, end, files);
      const codecs = options.codecs ?? MACHINE_VALUES;
      const gzip = end.form === 'gzip';
      const position = end.end + (end.unterminated ? 1 : 0);
      const { crc } = end;
      return createWriter<E>(
        { file, fd, files, codecs, gzip, position, crc, events: seq, recovery, release },
        options,
      );
    });
  });
}

/**
 * Opens a journal to read; neither locks nor changes it.
 * @throws JournalError if the file cannot be read, is no journal, or its header is damaged
 */
export function openJournal<E extends Journaled>(file: string, options: JournalOptions = {}): Journal<E> {
  const { header, version } = readFirst(file, options);
  return { file, header, version, records: () => readRecords<E>(file, options) };
}

/**
 * Repairs what a crash left behind; a journal that is whole stays untouched.
 * @returns null for a whole journal
 * @throws JournalError for one that is damaged, which no repair touches, or written by another process
 */
export function recoverJournal(file: string, options: JournalOptions = {}): Recovery | null {
  const files = options.files ?? nodeFiles;
  const release = acquireLock(file, files);
  try {
    const { end } = scanToEnd(file, { ...options, files });
    if (end.torn === 0 && !end.unterminated) return null;
    const { fd, recovery } = withFile(file, files, (opened) => ({
      fd: opened,
      recovery: repair(file, opened, end, files),
    }));
    closeQuietly(files, fd);
    return recovery;
  } finally {
    release();
  }
}

/** Holds the lock for the writer that `open` gives, or lets it go if it fails. */
function locked<T>(file: string, files: JournalFiles, open: (release: () => void) => T): T {
  const release = acquireLock(file, files);
  try {
    return open(release);
  } catch (error) {
    release();
    throw error;
  }
}

/** Reads and checks everything. @throws JournalError where nothing can be appended */
function scanToEnd(file: string, options: JournalOptions): { readonly end: ScanEnd; readonly seq: number } {
  const scanned = nothingScanned();
  for (const _ of readRecords<Journaled>(file, options, scanned));
  const { end, seq, version } = scanned;
  if (end === null) throw new Error(`${file} was not read to its end`);
  const current = options.version ?? VERSION;
  if (version !== current) {
    const what = `is of version ${version}, and this stagetwo writes version ${current}`;
    throw new JournalError({ file, what, todo: 'run again into a new file' });
  }
  if (end.form === 'gzip-other') {
    throw new JournalError({ file, what: 'was compressed by another program', todo: 'gunzip it first' });
  }
  return { end, seq };
}

function withFile<T>(file: string, files: JournalFiles, use: (fd: number) => T): T {
  let fd: number;
  try {
    fd = files.open(file, 'r+');
  } catch (cause) {
    const what = `cannot be written (${errnoWords(cause)})`;
    throw new JournalError({ file, what, todo: 'name a file that you may write to', cause });
  }
  try {
    return use(fd);
  } catch (error) {
    closeQuietly(files, fd);
    throw error;
  }
}

function refuseExisting(file: string, files: JournalFiles): void {
  try {
    files.close(files.open(file, 'r'));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw notCreated(file, error);
  }
  throw new JournalError({ file, what: 'exists already', todo: 'name another file, or move this one away' });
}

/** The name appears with a whole header behind it, or not at all. @returns the open file */
function createFile(file: string, header: Uint8Array, files: JournalFiles): number {
  const beside = `${file}.new`;
  let fd: number | null = null;
  try {
    fd = files.open(beside, 'w');
    writeAll(files, fd, header, header.length, 0);
    files.fdatasync(fd);
    files.rename(beside, file);
    files.syncDirectory(file);
    return fd;
  } catch (error) {
    if (fd !== null) closeQuietly(files, fd);
    removeQuietly(files, beside);
    throw notCreated(file, error);
  }
}

const notCreated = (file: string, cause: unknown): JournalError =>
  new JournalError({
    file,
    what: `cannot be created (${errnoWords(cause)})`,
    todo: 'a journal needs a directory that you may write to, with room',
    cause,
  });
