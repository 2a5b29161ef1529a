// A disk in memory that fails on demand: any call by its number, once or for ever, with short writes and a capacity;
// and that forgets in a crash what was not synced. It stands in for the files of a journal.

import type { JournalFiles } from '../../../src/record/journal/files.ts';

export type Call =
  | 'open'
  | 'size'
  | 'read'
  | 'write'
  | 'fdatasync'
  | 'truncate'
  | 'close'
  | 'rename'
  | 'remove'
  | 'symlink'
  | 'readlink'
  | 'syncDirectory';

export interface Fault {
  readonly call: Call;
  /** Fails at the nth call of that kind, from 1. */
  readonly nth: number;
  /** Every later call of that kind fails as well. */
  readonly forEver?: boolean;
  readonly errno?: string;
  /** Writes that fail put the first half of their bytes into the file, as a full disk does. */
  readonly half?: boolean;
}

interface Inode {
  data: Buffer;
  /** What fdatasync made safe. */
  synced: Buffer;
}

export interface MemoryDisk {
  /** As process 100 sees it. */
  readonly files: JournalFiles;
  /** As another process of the same host sees it. */
  readonly filesOf: (pid: number) => JournalFiles;
  /** Processes that live. */
  readonly alive: Set<number>;
  readonly names: Map<string, Inode>;
  /** Calls so far, by kind. */
  readonly calls: Map<Call, number>;
  /** Whether the fault came to pass. */
  readonly struck: boolean;
  fault: Fault | null;
  /** Bytes that all files together may have. */
  capacity: number;
  /** Writes take at most this many bytes. */
  longestWrite: number;
  /** The content of a file. */
  bytes(path: string): Buffer;
  put(path: string, data: Buffer): void;
  /** Power is cut: of what was not synced, `share` of the bytes (0 to 1) are on disk. */
  crash(share: number): void;
}

class DiskError extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** The process that `files` belongs to. */
const FIRST_PID = 100;

export function memoryDisk(): MemoryDisk {
  const names = new Map<string, Inode>();
  const links = new Map<string, string>();
  const open = new Map<number, Inode>();
  const calls = new Map<Call, number>();
  let nextFd = 10;
  let struck = false;

  const strikes = (call: Call): boolean => {
    const count = (calls.get(call) ?? 0) + 1;
    calls.set(call, count);
    const { fault } = disk;
    if (fault?.call !== call) return false;
    const hit = count === fault.nth || (fault.forEver === true && count > fault.nth);
    struck ||= hit;
    return hit;
  };
  const fail = (call: Call): void => {
    if (strikes(call)) throw new DiskError(disk.fault?.errno ?? 'EIO');
  };
  const inode = (fd: number): Inode => {
    const found = open.get(fd);
    if (found === undefined) throw new DiskError('EBADF');
    return found;
  };
  const used = (): number => [...names.values()].reduce((sum, { data }) => sum + data.length, 0);

  const write = (file: Inode, from: Uint8Array, position: number): number => {
    const grown = Math.max(0, position + from.length - file.data.length);
    const room = Math.max(0, disk.capacity - used());
    const length = grown > room ? from.length - (grown - room) : from.length;
    if (length <= 0) throw new DiskError('ENOSPC');
    // Content is replaced, never changed inside, so that what is synced needs no copy.
    const data = Buffer.alloc(Math.max(file.data.length, position + length));
    file.data.copy(data);
    data.set(from.subarray(0, length), position);
    file.data = data;
    return length;
  };

  const alive = new Set([FIRST_PID]);
  const files: JournalFiles = {
    self: { pid: FIRST_PID, host: 'memory' },
    locks: new Set(),
    isAlive: (pid) => alive.has(pid),
    open(path, flags) {
      fail('open');
      const found = names.get(path);
      if (flags === 'wx' && found !== undefined) throw new DiskError('EEXIST');
      if (flags.startsWith('r') && found === undefined) throw new DiskError('ENOENT');
      const file = found ?? { data: Buffer.alloc(0), synced: Buffer.alloc(0) };
      if (flags === 'w') file.data = Buffer.alloc(0);
      names.set(path, file);
      open.set(nextFd, file);
      return nextFd++;
    },
    read(fd, into, length, position) {
      fail('read');
      const piece = inode(fd).data.subarray(position, position + length);
      into.set(piece);
      return piece.length;
    },
    write(fd, from, start, length, position) {
      const bytes = from.subarray(start, start + Math.min(length, disk.longestWrite));
      if (!strikes('write')) return write(inode(fd), bytes, position);
      if (disk.fault?.half === true && length > 1) {
        write(inode(fd), from.subarray(start, start + (length >> 1)), position);
      }
      throw new DiskError(disk.fault?.errno ?? 'EIO');
    },
    size(fd) {
      fail('size');
      return inode(fd).data.length;
    },
    fdatasync(fd) {
      fail('fdatasync');
      inode(fd).synced = inode(fd).data;
    },
    truncate(fd, length) {
      fail('truncate');
      inode(fd).data = inode(fd).data.subarray(0, length);
    },
    close(fd) {
      inode(fd);
      open.delete(fd);
      fail('close');
    },
    rename(from, to) {
      fail('rename');
      const link = links.get(from);
      if (link !== undefined) {
        links.delete(from);
        links.set(to, link);
        return;
      }
      const found = names.get(from);
      if (found === undefined) throw new DiskError('ENOENT');
      names.delete(from);
      names.set(to, found);
    },
    remove(path) {
      fail('remove');
      names.delete(path);
      links.delete(path);
    },
    symlink(target, path) {
      fail('symlink');
      if (links.has(path)) throw new DiskError('EEXIST');
      links.set(path, target);
    },
    readlink(path) {
      fail('readlink');
      const target = links.get(path);
      if (target === undefined) throw new DiskError('ENOENT');
      return target;
    },
    syncDirectory: () => fail('syncDirectory'),
  };

  const disk: MemoryDisk = {
    files,
    filesOf(pid) {
      alive.add(pid);
      return { ...files, self: { pid, host: 'memory' }, locks: new Set() };
    },
    alive,
    names,
    calls,
    fault: null,
    capacity: Number.POSITIVE_INFINITY,
    longestWrite: Number.POSITIVE_INFINITY,
    get struck() {
      return struck;
    },
    bytes(path) {
      const found = names.get(path);
      if (found === undefined) throw new DiskError('ENOENT');
      return found.data;
    },
    put: (path, data) => names.set(path, { data, synced: data }),
    crash(share) {
      open.clear();
      for (const file of names.values()) {
        const { data, synced } = file;
        const kept = synced.length + Math.floor((data.length - synced.length) * share);
        if (data.length >= synced.length) file.data = data.subarray(0, kept);
        file.synced = file.data;
      }
    },
  };
  return disk;
}
