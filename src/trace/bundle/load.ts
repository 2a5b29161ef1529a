// Reading a bundle's files: JSON, then the schema. Every problem becomes one InputError that says which file, where
// in it, and what to do.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';
import { InputError } from '../input-error.ts';
import type { BundleExpected, BundleMachine } from './schema.ts';
import { expectedSchema, machineSchema } from './schema.ts';

export interface Bundle {
  readonly directory: string;
  readonly machine: BundleMachine;
  /** Null for a bundle without answers. */
  readonly expected: BundleExpected | null;
}

/** @throws InputError if machine.json is missing, or a file is no JSON or not of the format */
export function loadBundle(directory: string): Bundle {
  const machine = read(join(directory, 'machine.json'), machineSchema);
  if (machine === null) {
    throw new InputError(directory, 'there is no machine.json here', 'name a directory that holds a kvm-capture/1 bundle');
  }
  return { directory, machine, expected: read(join(directory, 'expected.json'), expectedSchema) };
}

/** Null if there is no such file. */
function read<T>(path: string, schema: z.ZodType<T>): T | null {
  const text = readText(path);
  if (text === null) return null;
  const parsed = schema.safeParse(parse(path, text));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue?.path.join('.') || 'top level';
  throw new InputError(path, `${where}: ${issue?.message ?? 'not of the format'}`, 'compare the file with docs/formats.md');
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new InputError(path, `cannot be read (${String(code)})`, 'check its permissions');
  }
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError(path, `is no JSON: ${reason}`, 'the file may be cut short; fetch it again');
  }
}
