// Looking back into a journal much larger than memory should be: writes one of five million events, then asks it as a
// user would, each question in a process of its own, and prints what that took at most.
//   npm run bench:long-journal -- [--events N] [--folder DIR]

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { parseArgs } from 'node:util';
import type { Recorded } from '../src/machine/events.ts';
import { createSimulation } from '../src/machine/simulation.ts';
import { createJournal } from '../src/record/journal/journal.ts';
import { freshVms, storeToPages } from './faults.ts';

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '5000000' },
    folder: { type: 'string', default: tmpdir() },
  },
});

const EVENTS_A_FAULT = 7;
const folder = mkdtempSync(join(values.folder, 'stagetwo-bench-'));
const file = join(folder, 'long.journal');

/** @returns its events */
function write(faults: number): number {
  const simulation = createSimulation({ state: 'plain' });
  const journal = createJournal<Recorded>(file, { source: 'bench', hash: '', seed: 1, preset: '6.12' });
  simulation.record((event, seq, cause, at) => journal.appendEnclosed(event, { seq, cause, at }));
  freshVms(simulation, 1, faults);
  storeToPages(simulation, 0, 0, faults);
  journal.close();
  return simulation.length;
}

/** What a process took that asked. @throws Error if it failed */
function ask(command: string, args: readonly string[]): { peakMiB: number; cpuSeconds: number } {
  const usage = join(folder, 'usage.json');
  const bin = join(import.meta.dirname, '..', 'bin', 'stagetwo.js');
  const { status, stderr } = spawnSync(
    execPath,
    ['--import', join(import.meta.dirname, 'peak.js'), bin, command, file, ...args],
    { env: { ...process.env, STAGETWO_PEAK: usage }, maxBuffer: 2 ** 28, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`);
  return JSON.parse(readFileSync(usage, 'utf8')) as { peakMiB: number; cpuSeconds: number };
}

const length = write(Math.ceil(Number(values.events) / EVENTS_A_FAULT));
const late = String(Math.floor(length * 0.9));
const leaf = 'vm0.stage2[0x40100000]';
console.log(`${length} events, ${(statSync(file).size / 2 ** 20).toFixed(0)} MiB`);
const questions: readonly (readonly [command: string, ...args: string[]])[] = [
  ['show', '--at', late],
  ['diff', '--from', '1000', '--to', late],
  ['why', leaf, '--at', late],
  ['why', 'vm0.dead', '--at', late],
  ['why', 'vm0.slots[0].size', '--at', late],
];
for (const [command, ...args] of questions) {
  const { peakMiB, cpuSeconds } = ask(command, args);
  const question = [command, ...args].join(' ').padEnd(44);
  console.log(
    `${question}${peakMiB.toFixed(0).padStart(6)} MiB at most ${cpuSeconds.toFixed(1).padStart(6)} s CPU`,
  );
}
rmSync(folder, { recursive: true });
