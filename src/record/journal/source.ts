// The text of a journal in pieces of bounded size, from a plain file or from gzip members; which one, the first bytes
// say. A torn last member is left out and reported; every other member must be whole.

import { gunzipSync } from 'node:zlib';
import { errnoOf, errnoWords, JournalError } from './error.ts';
import type { JournalFiles } from './files.ts';
import { closeQuietly, readFully } from './files.ts';
import { isZero, MEMBER_HEADER, memberLength } from './member.ts';

/** What is known of the file once its text has been read. */
export interface SourceEnd {
  /** `gzip-other`: compressed by another program, so that nothing can be appended. */
  readonly form: 'plain' | 'gzip' | 'gzip-other';
  /** Bytes of the file whose text was given. */
  readonly end: number;
  /** Bytes of the file. */
  readonly size: number;
}

const CHUNK = 2 ** 18;

/** Text of one member, or of a file that another program compressed: that is held in memory as a whole. */
const MAX_TEXT = 2 ** 30;

/** Where to start: bytes of the file (for gzip a member starts there) and bytes of its text. */
export interface SourceStart {
  readonly end: number;
  readonly offset: number;
}

/** Whether the file holds its text as it is. @throws JournalError if it cannot be read */
export function isPlainText(file: string, files: JournalFiles): boolean {
  const fd = openToRead(file, files);
  try {
    const head = Buffer.alloc(MEMBER_HEADER);
    return !isCompressed(head.subarray(0, readFully(files, fd, head, head.length, 0)));
  } catch (error) {
    throw unreadable(file, error);
  } finally {
    closeQuietly(files, fd);
  }
}

const isCompressed = (head: Buffer): boolean => head[0] === 0x1f && (head[1] ?? 0x8b) === 0x8b;

/**
 * @throws JournalError if the file cannot be read or a member is damaged
 */
export function* textOf(file: string, files: JournalFiles, from: SourceStart): Generator<Buffer, SourceEnd> {
  const fd = openToRead(file, files);
  try {
    const head = Buffer.allocUnsafe(MEMBER_HEADER);
    const read = head.subarray(0, readFully(files, fd, head, head.length, 0));
    if (!isCompressed(read)) return yield* plainText(fd, files, from.end);
    if (memberLength(read) === 'foreign') return yield* otherText(file, fd, files, from.offset);
    return yield* memberTexts(file, fd, files, from.end);
  } catch (error) {
    if (error instanceof JournalError || errnoOf(error) === '') throw error;
    throw unreadable(file, error);
  } finally {
    closeQuietly(files, fd);
  }
}

function openToRead(file: string, files: JournalFiles): number {
  try {
    return files.open(file, 'r');
  } catch (error) {
    throw unreadable(file, error);
  }
}

const unreadable = (file: string, cause: unknown): JournalError =>
  new JournalError({
    file,
    what: `cannot be read (${errnoWords(cause)})`,
    todo: 'name a journal that you may read',
    cause,
  });

function* plainText(fd: number, files: JournalFiles, from: number): Generator<Buffer, SourceEnd> {
  const size = files.size(fd);
  let end = from;
  for (;;) {
    // One byte more than is known of shows whether another process is still writing.
    const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK, Math.max(0, size - end) + 1));
    const length = files.read(fd, chunk, chunk.length, end);
    if (length === 0) return { form: 'plain', end, size: end };
    end += length;
    yield chunk.subarray(0, length);
  }
}

function* memberTexts(
  file: string,
  fd: number,
  files: JournalFiles,
  from: number,
): Generator<Buffer, SourceEnd> {
  const size = files.size(fd);
  const head = Buffer.allocUnsafe(MEMBER_HEADER);
  let end = from;
  while (end < size) {
    const length = memberLength(head.subarray(0, readFully(files, fd, head, head.length, end)));
    if (length === 'foreign') throw damagedMember(file, end, 'it does not begin as one');
    if (length === 'torn' ? restIsTorn(fd, files, end, size) : end + length > size) break;
    if (length === 'torn') throw damagedMember(file, end, 'it is zeros with something behind');
    const member = Buffer.allocUnsafeSlow(length);
    readFully(files, fd, member, length, end);
    yield unzipped(file, end, member);
    end += length;
  }
  return { form: 'gzip', end, size };
}

/** A header cut short by the end of the file, or zeros to the end. */
function restIsTorn(fd: number, files: JournalFiles, from: number, size: number): boolean {
  if (size - from < MEMBER_HEADER) return true;
  const chunk = new Uint8Array(CHUNK);
  for (let at = from; at < size; ) {
    const length = readFully(files, fd, chunk, CHUNK, at);
    if (length === 0) break;
    if (!isZero(chunk.subarray(0, length))) return false;
    at += length;
  }
  return true;
}

function unzipped(file: string, at: number, member: Buffer): Buffer {
  try {
    return gunzipSync(member, { maxOutputLength: MAX_TEXT });
  } catch (error) {
    throw damagedMember(file, at, errnoWords(error));
  }
}

function* otherText(
  file: string,
  fd: number,
  files: JournalFiles,
  from: number,
): Generator<Buffer, SourceEnd> {
  const size = files.size(fd);
  const bytes = Buffer.allocUnsafeSlow(size);
  readFully(files, fd, bytes, size, 0);
  try {
    yield gunzipSync(bytes, { maxOutputLength: MAX_TEXT }).subarray(from);
  } catch (error) {
    const tooLarge = errnoOf(error) === 'ERR_BUFFER_TOO_LARGE';
    const what = tooLarge
      ? `holds more than ${MAX_TEXT / 2 ** 20} MiB in the gzip of another program`
      : `is damaged in the gzip of another program (${errnoWords(error)})`;
    throw new JournalError({
      file,
      what,
      todo: `gunzip it first${tooLarge ? '' : ': that gives what is whole'}`,
    });
  }
  return { form: 'gzip-other', end: size, size };
}

const damagedMember = (file: string, at: number, why: string): JournalError =>
  new JournalError({
    file,
    what: `the gzip member at byte ${at} of the file is damaged (${why})`,
    todo: 'restore the file from a copy; everything before that member can still be read',
  });
