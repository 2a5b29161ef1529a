// Mutated bundles and machine files through the command line: each ends with a report (status 0 or 1) or with status 2
// and one line that says where, what and what to do; never with a stack trace, never after seconds.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { parse, stringify } from 'yaml';
import { command } from '../../cli/memory-terminal.ts';
import { fixture } from '../text/fixtures.ts';
import type { Dice } from './dice.ts';
import { createDice } from './dice.ts';
import { mutateBytes, mutateValue } from './mutate.ts';
import type { Campaign } from './tally.ts';
import { createTally, Violation } from './tally.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures');

const captured = (bundle: string, file: string): string =>
  gunzipSync(readFileSync(join(FIXTURES, 'captures', bundle, `${file}.gz`))).toString();

/** Small bundles: what a mutation does to them shows sooner. */
const BUNDLES = [
  '6.1-gicv3-max-nisv',
  '6.12-gicv3-max-nolpa2-ipa44',
  '6.12-gicv3-max-nolpa2b-sysfs',
  '6.12-gicv3-max-nolpa2-bars2',
].map((name) => ({ machine: captured(name, 'machine.json'), expected: captured(name, 'expected.json') }));

const SMALLEST = BUNDLES.slice(0, 2);

/** The examples of the documentation, and the files of captured traces. */
const MACHINES: readonly string[] = [
  exampleFile(),
  readFileSync(join(FIXTURES, 'traces/tracecmd.machine.json'), 'utf8'),
  ...BUNDLES.slice(0, 2).map(({ machine }) => machine),
];

function exampleFile(): string {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/machine-file.md'), 'utf8');
  const [first = '', second = ''] = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(
    ([, text]) => text ?? '',
  );
  return `${first}${second}`;
}

const MAX_SECONDS = 20;

/** @param cases bundles and machine files, in turn */
export const documentCampaign: Campaign = async (cases, seed, onProgress) => {
  const dice = createDice(seed);
  const tally = createTally();
  const folder = mkdtempSync(join(tmpdir(), 'stagetwo-fuzz-'));
  writeFileSync(join(folder, 'trace.txt'), fixture('tracecmd-report').subarray(0, 12_000));
  try {
    for (let done = 0; done < cases; done += 1) {
      const where = `seed ${seed}, case ${done}`;
      const kind = done % 2 === 0 ? 'bundle' : 'machine file';
      const words = kind === 'bundle' ? bundleCase(dice, folder) : machineCase(dice, folder);
      const started = process.hrtime.bigint();
      const printed = await command(words);
      const seconds = Number(process.hrtime.bigint() - started) / 1e9;
      if (seconds > MAX_SECONDS) throw new Violation(`${where}: takes ${seconds} s; see ${kept(folder)}`);
      tally.add(`${kind} ${outcomeOf(printed, `${where}; see ${folder}`)}`);
      if (done % 100 === 0) tally.sample();
      onProgress(done + 1, tally);
    }
    rmSync(folder, { recursive: true });
    return tally;
  } catch (error) {
    if (error instanceof Violation) throw error;
    throw new Violation(`${kept(folder)}: ${error instanceof Error ? error.stack : String(error)}`);
  }
};

const kept = (folder: string): string => `the input is kept in ${folder}`;

function outcomeOf({ status, out, err }: Awaited<ReturnType<typeof command>>, where: string): string {
  const isOneLine = err.startsWith('stagetwo: ') && err.indexOf('\n') === err.length - 1;
  if (err.includes('fault of stagetwo itself')) throw new Violation(`${where}: ${err}`);
  if (status === 2 && isOneLine) return 'refused';
  if ((status === 0 || status === 1) && err === '' && out !== '') {
    return status === 0 ? 'as expected' : 'with differences';
  }
  throw new Violation(`${where}: status ${status}, stderr ${JSON.stringify(err)}`);
}

function bundleCase(dice: Dice, folder: string): string[] {
  const { machine, expected } = dice.pick(dice.oneIn(8) ? BUNDLES : SMALLEST);
  const isMachine = !dice.oneIn(4);
  writeFileSync(join(folder, 'machine.json'), isMachine ? mutated(dice, machine) : machine);
  writeFileSync(join(folder, 'expected.json'), isMachine ? expected : mutated(dice, expected));
  return ['replay', folder, ...(dice.oneIn(4) ? ['--kernel', dice.pick(['6.1', '6.12', '7.0'])] : [])];
}

function machineCase(dice: Dice, folder: string): string[] {
  const file = join(folder, 'host.yaml');
  const bytes = mutated(dice, dice.pick(MACHINES));
  writeFileSync(file, dice.oneIn(50) ? mutateBytes(dice, gzipSync(bytes)) : bytes);
  return ['replay', join(folder, 'trace.txt'), '--machine', file];
}

const parsed = new Map<string, unknown>();

/** As text or as a value. */
function mutated(dice: Dice, text: string): Buffer {
  if (dice.oneIn(3)) return mutateBytes(dice, Buffer.from(text));
  const isJson = text.startsWith('{');
  const seed = parsed.get(text) ?? (isJson ? JSON.parse(text) : parse(text));
  parsed.set(text, seed);
  const value = mutateValue(dice, seed);
  return Buffer.from(isJson || dice.oneIn(3) ? JSON.stringify(value) : asYaml(value));
}

/** What is nested too deep for a writer of YAML is JSON, which is YAML, too. */
function asYaml(value: unknown): string {
  try {
    return stringify(value);
  } catch {
    return JSON.stringify(value);
  }
}
