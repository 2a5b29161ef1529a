// Reading a bundle's files, plain or gzipped: JSON, then the schema, then limits. Every problem becomes one
// InputError that says which file, where in it, and what to do.

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { z } from 'zod';
import { InputError } from '../input-error.ts';
import { checkLimits } from './limits.ts';
import type { BundleExpected, BundleMachine } from './schema.ts';
import { expectedSchema, machineSchema } from './schema.ts';

export interface Bundle {
  readonly directory: string;
  readonly machine: BundleMachine;
  /** Null for a bundle without answers. */
  readonly expected: BundleExpected | null;
}

/**
 * @param directory holds machine.json or machine.json.gz, and may hold expected.json or expected.json.gz
 * @throws InputError if there is no machine.json, or a file is no JSON, not of the format or beyond the limits
 */
export function loadBundle(directory: string): Bundle {
  const machine = read(directory, 'machine.json', machineSchema);
  if (machine === null) {
    throw new InputError(
      directory,
      'there is no machine.json here',
      'name a directory that holds a kvm-capture/1 bundle',
    );
  }
  checkLimits(machine.data, machine.path);
  return {
    directory,
    machine: machine.data,
    expected: read(directory, 'expected.json', expectedSchema)?.data ?? null,
  };
}

interface ReadFile<T> {
  readonly path: string;
  readonly data: T;
}

/** The plain file or its gzipped form; null if there is neither. */
function read<T>(directory: string, name: string, schema: z.ZodType<T>): ReadFile<T> | null {
  for (const path of [join(directory, name), join(directory, `${name}.gz`)]) {
    const text = readText(path);
    if (text === null) continue;
    const parsed = schema.safeParse(parse(path, text));
    if (parsed.success) return { path, data: parsed.data };
    const issue = parsed.error.issues[0];
    const where = issue?.path.join('.') || 'top level';
    throw new InputError(
      path,
      `${where}: ${issue?.message ?? 'not of the format'}`,
      'compare the file with docs/formats.md',
    );
  }
  return null;
}

/** A hundred times the largest capture; more text than this would not fit a string. */
const MAX_BYTES = 2 ** 28;

function readText(path: string): string | null {
  try {
    if (statSync(path).size > MAX_BYTES) throw tooLarge(path);
    const bytes = readFileSync(path);
    const plain = path.endsWith('.gz') ? gunzipSync(bytes, { maxOutputLength: MAX_BYTES }) : bytes;
    return plain.toString('utf8');
  } catch (error) {
    if (error instanceof InputError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    if (code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(path);
    if (code.startsWith('Z_'))
      throw new InputError(path, `is no whole gzip file (${code})`, 'fetch it again');
    throw new InputError(path, `cannot be read (${code})`, 'it must be a file that you may read');
  }
}

const tooLarge = (path: string): InputError =>
  new InputError(
    path,
    `holds more than ${MAX_BYTES / 2 ** 20} MiB`,
    'no capture is that large: check the file',
  );

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError(
      path,
      `is no JSON${lineOf(text, reason)}: ${reason}`,
      'the file may be cut short or of another kind; fetch it again',
    );
  }
}

/** The parser counts characters; people count lines. */
function lineOf(text: string, reason: string): string {
  const position = /at position (\d+)/.exec(reason)?.[1];
  if (position === undefined) return '';
  return ` at line ${text.slice(0, Number(position)).split('\n').length}`;
}
