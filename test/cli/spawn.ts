// Starts the command as a user does, in a process of its own: for what an import cannot show, such as loading
// a scenario file. Each start costs a third of a second, so a test that can do without does.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Printed } from './memory-terminal.ts';

const root = join(import.meta.dirname, '..', '..');

/** Runs in the child: the built command line, asked several times, each time with a terminal in memory. */
const BATCH = `
  const { currentEntry } = await import('./tools/build.js');
  const { main } = await import((await currentEntry()).path);
  const same = (text) => text;
  const style = new Proxy({}, { get: () => same });
  const results = [];
  for (const words of JSON.parse(process.env.BATCH)) {
    const printed = { out: '', err: '' };
    const out = (text) => { printed.out += text; };
    const err = (text) => { printed.err += text; };
    const status = await main(words, { columns: 80, style, out, err, progress() {} });
    results.push({ status, ...printed });
  }
  process.stdout.write(JSON.stringify(results));
`;

/** Where a process runs. */
export interface Surroundings {
  /** Variables besides PATH and HOME. */
  readonly env?: NodeJS.ProcessEnv;
  /** The Node that runs it; that of the tests unless given. */
  readonly node?: string;
}

/**
 * Several commands, one after the other, in one process of their own: what loads scenario files, at a single
 * start.
 */
export async function stagetwoBatch(
  commands: readonly (readonly string[])[],
  { env = {}, node = process.execPath }: Surroundings = {},
): Promise<Printed[]> {
  const words = ['--input-type=module', '--eval', BATCH];
  const { status, out, err } = await startNode(words, { BATCH: JSON.stringify(commands), ...env }, node);
  if (status !== 0) throw new Error(`the batch ended with status ${status}: ${err}`);
  return JSON.parse(out) as Printed[];
}

/** @param env variables besides PATH; colour is off and the width 80 unless they say otherwise */
export function stagetwo(words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Printed> {
  return startNode([join(root, 'bin', 'stagetwo.js'), ...words], env);
}

function startNode(
  words: readonly string[],
  env: NodeJS.ProcessEnv,
  node = process.execPath,
): Promise<Printed> {
  const child = spawn(node, [...words], {
    cwd: root,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve({ status: status ?? -1, out, err }));
  });
}
