// What is wrong with a journal, in one line: which file, which line, byte and event, what, and what to do about it.

export interface JournalPlace {
  /** From 1; in the journal's text, also where that is compressed. */
  readonly line?: number;
  /** Bytes from the start of the journal's text. */
  readonly offset?: number;
  /** Number of the event that stands there, or that was expected there. */
  readonly seq?: number;
}

export interface JournalProblem extends JournalPlace {
  readonly file: string;
  readonly what: string;
  readonly todo: string;
  readonly cause?: unknown;
}

export class JournalError extends Error {
  readonly file: string;
  readonly line: number | null;
  readonly offset: number | null;
  readonly seq: number | null;
  /** What to do about it. */
  readonly todo: string;

  constructor({ file, line, offset, seq, what, todo, cause }: JournalProblem) {
    super(`${file}: ${placeWords({ line, offset, seq })}${what}; ${todo}`, { cause });
    this.name = 'JournalError';
    this.file = file;
    this.line = line ?? null;
    this.offset = offset ?? null;
    this.seq = seq ?? null;
    this.todo = todo;
  }
}

type Place = { readonly [Key in keyof JournalPlace]: number | undefined };

function placeWords({ line, offset, seq }: Place): string {
  if (line === undefined) return '';
  const inside = [
    ...(offset === undefined ? [] : [`byte ${offset}`]),
    ...(seq === undefined ? [] : [`seq ${seq}`]),
  ];
  return inside.length === 0 ? `line ${line}: ` : `line ${line} (${inside.join(', ')}): `;
}

/** The errno of a failed system call, ENOSPC for example; empty for all other errors. */
export const errnoOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : '';

const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EDQUOT: 'the quota is used up',
  EIO: 'the device failed',
  EISDIR: 'it is a directory',
  EMFILE: 'too many files are open',
  ENOENT: 'there is no such file or directory',
  ENOSPC: 'the disk is full',
  EROFS: 'the file system is read-only',
  Z_BUF_ERROR: 'the compressed data ends early',
  Z_DATA_ERROR: 'the compressed data is not what was written',
};

/** `ENOSPC, the disk is full`. */
export function errnoWords(error: unknown): string {
  const errno = errnoOf(error);
  const words = WORDS[errno];
  if (words !== undefined) return `${errno}, ${words}`;
  return errno === '' && error instanceof Error ? error.message : errno;
}
