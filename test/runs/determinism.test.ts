// The same run is the same journal, byte for byte: in another process, time zone and locale, and under another Node. By
// default for some runs of each kind; `npm run determinism` takes all of them and fetches other versions of Node.

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { Recorded } from 'stagetwo';
import { afterAll, describe, expect, it } from 'vitest';
import { openJournal } from '../../src/record/journal/journal.ts';
import { captureAt, captureNames } from '../captures/captures.ts';
import type { Surroundings } from '../cli/spawn.ts';
import { stagetwoBatch } from '../cli/spawn.ts';
import { NODE_VERSIONS, nodeOf } from './node-versions.ts';
import { captureRun, digestOf, GOLDEN_KERNELS, goldenDigests, storyPaths, storyRun } from './runs.ts';

const ALL = process.env.STAGETWO_DETERMINISM === 'all';

/** Fourteen hours before UTC, a locale without a dotless capital I, and the opposite of both. */
const FAR_APART: readonly Surroundings[] = [
  { env: { TZ: 'Pacific/Kiritimati', LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8' } },
  { env: { TZ: 'America/St_Johns', LANG: 'C', LC_ALL: 'C' } },
];

interface Run {
  /** As test/golden/run-hashes.txt calls it. */
  readonly name: string;
  readonly words: readonly string[];
}

const story = (path: string, kernel: string): Run => ({
  name: storyRun(path, kernel),
  words: ['run', path, '--kernel', kernel],
});

const capture = (name: string): Run => ({
  name: captureRun(name),
  words: ['replay', relative(join(import.meta.dirname, '..', '..'), captureAt(name))],
});

const SOME: readonly Run[] = [
  story('scenarios/headline.ts', '6.1'),
  story('scenarios/two-vms.ts', '6.12'),
  story('scenarios/cookbook/nic-push-buffer.ts', '7.0'),
  capture('6.12-gicv2-a72-vfio'),
  capture('6.1-gicv3-max-smp2'),
];

const EVERY: readonly Run[] = [
  ...storyPaths.flatMap((path) => GOLDEN_KERNELS.map((kernel) => story(path, kernel))),
  ...captureNames.map(capture),
];

const folder = mkdtempSync(join(tmpdir(), 'stagetwo-runs-'));
afterAll(() => rmSync(folder, { recursive: true }));

const fileOf = (index: number, where: string): string => join(folder, `${index}-${where}.journal`);

/** Runs all of them in one process. @returns SHA-256 of each journal, by run */
async function journalsIn(
  runs: readonly Run[],
  where: string,
  surroundings: Surroundings,
): Promise<ReadonlyMap<string, string>> {
  const commands = runs.map(({ words }, index) => [...words, '--journal', fileOf(index, where)]);
  const printed = await stagetwoBatch(commands, surroundings);
  for (const [index, { status, err }] of printed.entries()) {
    expect({ status, err }, runs[index]?.name).toEqual({ status: 0, err: '' });
  }
  const hashes = runs.map(({ name }, index) => {
    const bytes = readFileSync(fileOf(index, where));
    return [name, createHash('sha256').update(bytes).digest('hex')] as const;
  });
  return new Map(hashes);
}

function digestOfJournal(file: string): string {
  const events: Recorded[] = [];
  for (const record of openJournal<Recorded>(file).records()) {
    if (record.kind === 'event') events.push(record.event);
  }
  return digestOf(events);
}

describe('a run', () => {
  const runs = ALL ? EVERY : SOME;

  it('is the same journal in another process, time zone and locale, and the golden one', async () => {
    const [here, there] = await Promise.all(
      FAR_APART.map((surroundings, index) => journalsIn(runs, `place-${index}`, surroundings)),
    );

    expect(there).toEqual(here);
    const golden = goldenDigests();
    const digests = runs.map(({ name }, index) => [name, digestOfJournal(fileOf(index, 'place-0'))]);
    expect(digests).toEqual(runs.map(({ name }) => [name, golden.get(name)]));
    if (ALL)
      console.log(`${runs.length} runs in two processes far apart: equal journals, the golden digests`);
  }, 600_000);

  it.runIf(ALL && process.platform === 'linux' && process.arch === 'x64')(
    'is the same journal under other versions of Node',
    async () => {
      const expected = await journalsIn(runs, 'node', {});
      for (const version of NODE_VERSIONS) {
        const found = await journalsIn(runs, `node-${version}`, { node: nodeOf(version) });
        expect(found, `Node ${version}`).toEqual(expected);
        console.log(`${runs.length} runs under Node ${version}: the journals of Node ${process.version}`);
      }
    },
    3_600_000,
  );
});
