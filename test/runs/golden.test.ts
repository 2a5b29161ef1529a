// The golden runs come to what they came to. Where one is different, `npm run golden` writes the file anew, and the
// change log says why: it names the digest of the file.

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { captureNames } from '../captures/captures.ts';
import {
  captureEvents,
  captureRun,
  digestOf,
  GOLDEN_KERNELS,
  goldenDigests,
  goldenRuns,
  HASHES_PATH,
  storyEvents,
  storyPaths,
  storyRun,
} from './runs.ts';

const CHANGES = join(import.meta.dirname, '..', '..', 'CHANGELOG.md');

/** The line of the change log that answers for the file; the latest is the first. */
const LINE = /^- Golden runs `([0-9a-f]{12})`: (.+)$/m;

/** What the line says until somebody has said more. */
const UNSAID = 'SAY HERE which runs are different, and why.';

const fileDigest = (): string =>
  createHash('sha256').update(readFileSync(HASHES_PATH)).digest('hex').slice(0, 12);

const storyDigest = async (path: string, kernel: string): Promise<string> =>
  digestOf(await storyEvents(path, kernel));

/** Runs everything and writes what it came to, there and in the latest part of the change log. */
async function pin(): Promise<void> {
  const lines: string[] = [];
  for (const path of storyPaths) {
    for (const kernel of GOLDEN_KERNELS) {
      lines.push(`${await storyDigest(path, kernel)}  ${storyRun(path, kernel)}\n`);
    }
  }
  for (const name of captureNames) lines.push(`${digestOf(captureEvents(name))}  ${captureRun(name)}\n`);
  writeFileSync(HASHES_PATH, lines.join(''));
  writeFileSync(CHANGES, withDigest(readFileSync(CHANGES, 'utf8'), fileDigest()));
}

/** The change log, its latest part with a line for this digest; the words of a line that is there stay. */
function withDigest(changes: string, digest: string): string {
  const [, known] = LINE.exec(changes) ?? [];
  if (known === digest) return changes;
  const start = changes.indexOf('\n## ') + 1;
  const next = changes.indexOf('\n## ', start);
  const latest = changes.slice(start, next === -1 ? undefined : next + 1).trimEnd();
  const [, , words = UNSAID] = LINE.exec(latest) ?? [];
  const line = `- Golden runs \`${digest}\`: ${words}`;
  const written = LINE.test(latest) ? latest.replace(LINE, () => line) : `${latest}\n${line}`;
  const rest = next === -1 ? '\n' : `\n${changes.slice(next)}`;
  return `${changes.slice(0, start)}${written}${rest}`;
}

if (process.env.UPDATE_GOLDEN === '1') await pin();

describe('a golden run', () => {
  const known = goldenDigests();

  it.each(storyPaths)('of %s is the same events as ever', async (path) => {
    for (const kernel of GOLDEN_KERNELS) {
      const digest = await storyDigest(path, kernel);
      expect(digest, `${storyRun(path, kernel)}: if it should be, npm run golden`).toBe(
        known.get(storyRun(path, kernel)),
      );
    }
  });

  it('is on file for every scenario and capture, and for nothing else', () => {
    expect([...known.keys()]).toEqual(goldenRuns);
  });

  it('that changed has its reason in the change log', () => {
    const [, digest, words] = LINE.exec(readFileSync(CHANGES, 'utf8')) ?? [];
    expect(digest, 'npm run golden puts the line there').toBe(fileDigest());
    expect(words, 'CHANGELOG.md, Golden runs').not.toBe(UNSAID);
  });
});

describe('the line in the change log', () => {
  const said = '# Changes\n\n## 0.2\n\n- New.\n- Golden runs `000000000000`: a reason.\n\n## 0.1\n\n- Old.\n';

  it('keeps its words while its release is not out', () => {
    expect(withDigest(said, '111111111111')).toBe(said.replace('000000000000', '111111111111'));
    expect(withDigest(said, '000000000000')).toBe(said);
  });

  it('has to be said anew in the next', () => {
    const next = said.replace('## 0.2', '## Unreleased\n\n- More.\n\n## 0.2');
    expect(withDigest(next, '111111111111')).toContain(
      `- More.\n- Golden runs \`111111111111\`: ${UNSAID}\n\n## 0.2`,
    );
    const first = '# Changes\n\n## 0.1\n\n- One.\n';
    expect(withDigest(first, '111111111111')).toBe(`${first}- Golden runs \`111111111111\`: ${UNSAID}\n`);
  });
});
