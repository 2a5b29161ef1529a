// Reading a machine file: YAML or JSON of the formats stagetwo-machine/1, kvm-trace/1 and kvm-capture/1, plain or
// gzipped. Every problem is one InputError with the file, the field and what to do.

import { readFileSync, statSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { parseDocument } from 'yaml';
import { InputError } from '../input-error.ts';
import { fromBundle } from './bundle.ts';
import { checked, fromTraceFile } from './captured.ts';
import type { TraceMachine } from './machine.ts';
import { resolveMachine } from './resolve.ts';
import { machineFileSchema } from './schema.ts';

/** Far above any machine file, and above a bundle's machine.json. */
const MAX_BYTES = 2 ** 26;

/** @throws InputError if the file cannot be read, is of no known format or names what cannot be */
export function loadMachineFile(path: string): TraceMachine {
  return parseMachineFile(readText(path), path);
}

/** @param where name of the file for errors @throws InputError as `loadMachineFile` */
export function parseMachineFile(text: string, where: string): TraceMachine {
  const value = parse(text, where);
  const format = formatOf(value);
  if (format === 'kvm-capture/1') return fromBundle(value, where);
  const file = format === 'kvm-trace/1' ? fromTraceFile(value, where) : value;
  if (file !== value || format === 'stagetwo-machine/1')
    return resolveMachine(checked(machineFileSchema, file, where), where);
  const known = 'stagetwo-machine/1, kvm-trace/1 and kvm-capture/1';
  throw new InputError(where, `format: ${JSON.stringify(format) ?? 'is missing'}`, `known are ${known}`);
}

/** The value that a YAML or JSON file holds. @throws InputError if it cannot be read */
export const loadValue = (path: string): unknown => parse(readText(path), path);

const formatOf = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined;

function parse(text: string, where: string): unknown {
  if (text.trimStart().startsWith('{')) {
    try {
      return JSON.parse(text);
    } catch {
      // YAML has flow mappings too, and says the line.
    }
  }
  const document = parseDocument(text, { prettyErrors: true, logLevel: 'silent' });
  const [problem] = document.errors;
  if (problem !== undefined) {
    const line = problem.linePos?.[0].line;
    const what = problem.message.split('\n')[0]?.replace(/ at line .*$/, '') ?? 'cannot be read';
    throw new InputError(where, `line ${line ?? '?'}: ${what}`, 'it has to be YAML or JSON');
  }
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new InputError(
      where,
      error instanceof Error ? error.message : String(error),
      'write it without aliases',
    );
  }
}

function readText(path: string): string {
  try {
    if (statSync(path).size > MAX_BYTES) throw tooLarge(path);
    const bytes = readFileSync(path);
    const gzipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
    return (gzipped ? gunzipSync(bytes, { maxOutputLength: MAX_BYTES }) : bytes).toString('utf8');
  } catch (error) {
    if (error instanceof InputError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    if (code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(path);
    const what = code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`;
    throw new InputError(path, what, 'name a machine file, docs/machine-file.md has an example');
  }
}

const tooLarge = (path: string): InputError =>
  new InputError(path, `holds more than ${MAX_BYTES / 2 ** 20} MiB`, 'no machine file is that large');
