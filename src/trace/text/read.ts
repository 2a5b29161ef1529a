// The bytes of a trace file in chunks of 1 MiB, plain or gzipped (told by the first bytes, not by the name). A gzip
// file that is cut short or damaged gives what was whole, and then the damage.

import { closeSync, openSync, readSync } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { InputError } from '../input-error.ts';

const CHUNK = 2 ** 20;
const GZIP_MAGIC = [0x1f, 0x8b] as const;

export interface TraceSource {
  /** Hands over the chunks in order; each is valid only during its call. */
  read(onChunk: (chunk: Uint8Array) => void): Promise<{ readonly damage: string | null }>;
}

/**
 * @throws InputError from `read` if the file cannot be opened or read
 */
export function traceFile(path: string): TraceSource {
  return {
    async read(onChunk) {
      const file = open(path);
      try {
        const buffer = Buffer.allocUnsafe(CHUNK);
        const first = readInto(path, file, buffer);
        const gzipped = first >= 2 && GZIP_MAGIC.every((byte, at) => buffer[at] === byte);
        if (gzipped) return await readGzip(path, file, buffer, first, onChunk);
        for (let length = first; length > 0; length = readInto(path, file, buffer)) {
          onChunk(buffer.subarray(0, length));
        }
        return { damage: null };
      } finally {
        closeSync(file);
      }
    },
  };
}

function open(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw unreadable(path, error);
  }
}

function readInto(path: string, file: number, buffer: Buffer): number {
  try {
    return readSync(file, buffer, 0, CHUNK, null);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): InputError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  const what = code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`;
  return new InputError(path, what, 'name a trace as ftrace, trace-cmd report or perf script print it');
}

/** Feeds the decompressor piece by piece and waits for it, so that neither side's buffer grows. */
async function readGzip(
  path: string,
  file: number,
  buffer: Buffer,
  first: number,
  onChunk: (chunk: Uint8Array) => void,
): Promise<{ readonly damage: string | null }> {
  const gunzip = createGunzip({ chunkSize: CHUNK });
  let failure: { readonly error: unknown } | null = null;
  gunzip.on('data', (chunk: Buffer) => {
    if (failure !== null) return;
    try {
      onChunk(chunk);
    } catch (error) {
      failure = { error };
    }
  });
  const over = new Promise<string | null>((resolve) => {
    gunzip.on('end', () => resolve(null));
    gunzip.on('error', (error: Error & { code?: string }) => resolve(error.code ?? error.message));
  });
  const write = (length: number): Promise<void> =>
    new Promise((resolve) => {
      // The callback comes when the piece is decompressed, so the buffer may be filled again.
      gunzip.write(buffer.subarray(0, length), () => resolve());
    });
  for (let length = first; length > 0; length = readInto(path, file, buffer)) {
    const broken = await Promise.race([write(length).then(() => false), over.then((code) => code !== null)]);
    if (broken || failure !== null) break;
  }
  gunzip.end();
  const code = await over;
  const thrown = failure as { readonly error: unknown } | null;
  if (thrown !== null) throw thrown.error;
  return { damage: code === null ? null : `the gzip data is damaged or cut short (${code})` };
}
