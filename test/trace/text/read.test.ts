// Trace files, plain and gzipped, whole and damaged.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { InputError } from '../../../src/trace/input-error.ts';
import { traceFile } from '../../../src/trace/text/read.ts';

const folder = mkdtempSync(join(tmpdir(), 'stagetwo-trace-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function bytesOf(name: string, content: Uint8Array): Promise<{ text: Buffer; damage: string | null }> {
  const path = join(folder, name);
  writeFileSync(path, content);
  const chunks: Buffer[] = [];
  const { damage } = await traceFile(path).read((chunk) => chunks.push(Buffer.from(chunk)));
  return { text: Buffer.concat(chunks), damage };
}

/** Three megabytes, so that there are several chunks. */
const text = Buffer.from(
  Array.from({ length: 60_000 }, (_, at) => `a line of a trace, number ${at}, and so on\n`).join(''),
);

describe('a trace file', () => {
  it('comes as it is, plain or gzipped, whatever its name', async () => {
    for (const [name, content] of [
      ['plain.gz', text],
      ['gzipped.txt', gzipSync(text)],
    ] as const) {
      const read = await bytesOf(name, content);
      expect([read.text.equals(text), read.damage]).toEqual([true, null]);
    }
  });

  it('gives what is whole of gzip data that is cut short, and says so', async () => {
    const whole = gzipSync(text);
    const { text: start, damage } = await bytesOf('cut.gz', whole.subarray(0, whole.length / 2));
    expect(damage).toMatch(/cut short/);
    expect(start.length).toBeGreaterThan(0);
    expect(text.subarray(0, start.length).equals(start)).toBe(true);
  });

  it('may be empty', async () => {
    expect(await bytesOf('empty', Buffer.alloc(0))).toEqual({ text: Buffer.alloc(0), damage: null });
  });

  it('that is not there is an error in one line', async () => {
    const path = join(folder, 'missing');
    await expect(traceFile(path).read(() => {})).rejects.toThrow(InputError);
    await expect(traceFile(folder).read(() => {})).rejects.toThrow(/cannot be read/);
  });
});
