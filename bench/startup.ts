// What starting costs: processor time (user and system, with the child processes waited for) and wall time of
// `stagetwo --help` and of one whole run of the smallest scenario, each started afresh many times.
//   npm run bench:startup -- [SCENARIO] [--runs N]
// The shell's own `time` measures, so the numbers are those of the processes and not of this script.

import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const root = join(import.meta.dirname, '..');
const launcher = join(root, 'bin', 'stagetwo.js');

type Sample = { readonly cpu: number; readonly wall: number };

/** One start, in milliseconds. Throws when the command fails: a failing start is not worth timing. */
function measure(command: readonly string[]): Sample {
  const words = [process.execPath, ...command];
  const script = 'exec 3>&2; time "$@" >/dev/null 2>&3';
  const env = { ...process.env, TIMEFORMAT: 'time %R %U %S', LC_ALL: 'C' };
  const { status, stderr } = spawnSync('bash', ['-c', script, 'bash', ...words], {
    cwd: root,
    encoding: 'utf8',
    env,
  });
  const [, wall, user, system] = /^time (\S+) (\S+) (\S+)$/m.exec(stderr) ?? [];
  if (status !== 0 || wall === undefined)
    throw new Error(`'${words.join(' ')}' ended with ${status}:\n${stderr}`);
  return { cpu: (Number(user) + Number(system)) * 1000, wall: Number(wall) * 1000 };
}

/** Median, and the span that holds all but the extreme tenth on each side. */
function summary(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.round(share * (sorted.length - 1))] ?? 0).toFixed(0);
  return `${at(0.5).padStart(5)} ms (${at(0.1)}..${at(0.9)})`.padEnd(24);
}

function smallestScenario(): string | undefined {
  const folder = join(root, 'scenarios');
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));
  const bySize = files.toSorted((a, b) => statSync(join(folder, a)).size - statSync(join(folder, b)).size);
  return bySize[0] === undefined ? undefined : join('scenarios', bySize[0]);
}

const { values, positionals } = parseArgs({
  options: { runs: { type: 'string', default: '15' } },
  allowPositionals: true,
});
const scenario = positionals[0] ?? smallestScenario();
const commands: (readonly [name: string, command: readonly string[]])[] = [
  ['node alone', ['--eval', '0']],
  ['stagetwo --help', [launcher, '--help']],
];
if (scenario !== undefined) commands.push([`stagetwo run ${scenario}`, [launcher, 'run', scenario]]);

console.log(`${'median of '.concat(values.runs, ' (10%..90%)').padEnd(44)}cpu                     wall`);
for (const [name, command] of commands) {
  measure(command); // the first start builds a stale dist/ and fills the disk cache
  const samples = Array.from({ length: Number(values.runs) }, () => measure(command));
  const cpu = summary(samples.map((sample) => sample.cpu));
  console.log(`${name.padEnd(40)}${cpu}${summary(samples.map((sample) => sample.wall)).trimEnd()}`);
}
