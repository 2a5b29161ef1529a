// Several processes and one journal: a writer that is killed with SIGKILL at any moment, again and again, and a second
// writer while the first is at work.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import ts from 'typescript';
import { afterAll, describe, expect, it } from 'vitest';
import { appendTo, createJournal } from '../../../src/record/journal/journal.ts';
import type { Tick } from './example.ts';
import { HEADER, tick } from './example.ts';
import { outcomeOf, Tally } from './outcome.ts';

const folder = mkdtempSync(join(tmpdir(), 'stagetwo-journal-'));
const KILLS = process.env.STAGETWO_TORTURE === 'long' ? 1000 : 100;

/** Writers at a time, each with files of its own: most of a life is the start of Node. */
const LANES = 2;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Compiles what the child needs, so that Node starts it as fast as it can. @returns the child's arguments */
function compiled(): readonly string[] {
  const root = join(import.meta.dirname, '..', '..', '..');
  const record = join('src', 'record', 'journal');
  const sources = [
    ...readdirSync(join(root, record)).map((name) => join(record, name)),
    join('src', 'host', 'page-bitmap.ts'),
    ...['example.ts', 'kill-child.ts'].map((name) => join('test', 'record', 'journal', name)),
  ];
  for (const source of sources) {
    const compilerOptions = {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      rewriteRelativeImportExtensions: true,
    };
    const { outputText } = ts.transpileModule(readFileSync(join(root, source), 'utf8'), { compilerOptions });
    const target = join(folder, 'js', source.replace(/\.ts$/, '.js'));
    mkdirSync(join(target, '..'), { recursive: true });
    writeFileSync(target, outputText);
  }
  writeFileSync(join(folder, 'js', 'package.json'), '{"type":"module"}');
  const at = (path: string): string => join(folder, 'js', path);
  const tests = join('test', 'record', 'journal');
  return [at(join(tests, 'kill-child.js')), at(join(record, 'journal.js')), at(join(tests, 'example.js'))];
}

/**
 * Starts the writer and kills it so many milliseconds after it said `lines` lines: the first when it sets to work,
 * each other when something is acknowledged.
 * @returns what it said was acknowledged last
 */
async function killedAfter(words: readonly string[], lines: number, milliseconds: number): Promise<number> {
  const child = spawn(process.execPath, [...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  let timer: NodeJS.Timeout | undefined;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (said.split('\n').length <= lines) return;
    timer ??= setTimeout(() => child.kill('SIGKILL'), milliseconds);
  });
  const [, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(timer);
  expect(signal, 'the writer must not end by itself').toBe('SIGKILL');
  // A line without its end is the beginning of a number.
  return Number(said.split('\n').at(-2) ?? -1);
}

/** @returns what was left, in words */
function afterKill(name: string, acknowledged: number, where: string): string {
  if (!readdirSync(folder).includes(name)) {
    expect(acknowledged, where).toBe(-1);
    return 'before the file';
  }
  const outcome = outcomeOf(join(folder, name), {});
  expect(outcome.error, where).toBeNull();
  expect(outcome.events, where).toBeGreaterThan(acknowledged);
  return `${acknowledged < 0 ? 'before' : 'after'} an acknowledgement, ${outcome.kind}`;
}

/** Numbers that are the same in every run of the test; the moments they stand for are not. */
function randomFrom(start: number): (below: number) => number {
  let seed = start;
  return (below) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed % below;
  };
}

describe('a writer', () => {
  it('refuses at once where another is at work, and names it', () => {
    const file = join(folder, 'two.journal');
    const first = createJournal<Tick>(file, HEADER);
    first.append(tick(0));
    for (const second of [() => appendTo(file), () => createJournal(file, HEADER, { overwrite: true })]) {
      expect(second).toThrow(`is being written by process ${process.pid} on ${hostname()}`);
    }
    first.close();
    expect(outcomeOf(file, {})).toMatchObject({ kind: 'closed', events: 1 });
  });

  it('takes over the lock of a process that is gone, and no other', async () => {
    const file = join(folder, 'stale.journal');
    createJournal<Tick>(file, HEADER).close();
    const child = spawn(process.execPath, ['--eval', '0']);
    await once(child, 'close');
    symlinkSync(`${child.pid}@${hostname()}`, `${file}.lock`);
    const writer = appendTo<Tick>(file);
    writer.append(tick(0));
    writer.close();
    symlinkSync(`${child.pid}@another-host`, `${file}.lock`);
    expect(() => appendTo(file)).toThrow(
      `process ${child.pid} on another-host; wait for it to end; if there`,
    );
    expect(readdirSync(folder).filter((name) => name.startsWith(`${basename(file)}.lock.`))).toEqual([]);
  });

  it(`loses nothing that was acknowledged, killed ${KILLS} times at random moments`, async () => {
    const words = compiled();
    const tally = new Tally();
    const lane = async (number: number): Promise<void> => {
      const random = randomFrom(12345 + number);
      for (let kill = 0; kill < KILLS / LANES; kill++) {
        // Four lives a file: repair and the taking over of locks are killed as well.
        const name = `kill-${number}-${kill >> 2}.journal${(kill >> 2) % 2 === 0 ? '' : '.gz'}`;
        const acknowledged = await killedAfter([...words, join(folder, name)], 1 + random(3), random(20));
        tally.add(afterKill(name, acknowledged, `kill ${kill} of lane ${number}`));
      }
    };
    await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
    expect(tally.total).toBe(KILLS);
    console.log(`${KILLS} times SIGKILL: ${tally}`);
  }, 3_600_000);
});
