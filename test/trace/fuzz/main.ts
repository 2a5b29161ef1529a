// The campaigns at full length: `npm run fuzz:trace`, `npm run fuzz:bundles`. Prints what came of the cases; ends with
// status 1 at the first case that breaks the property. The work is done in a child, so that one that hangs is found.
//   node --import tsx test/trace/fuzz/main.ts trace|bundles [--cases N] [--seed N]

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { documentCampaign } from './document-campaign.ts';
import type { Tally } from './tally.ts';
import { traceCampaign } from './trace-campaign.ts';

/** A case that takes longer hangs. */
const SILENCE_MS = 120_000;
const STEP = 0.02;

const CAMPAIGNS = {
  trace: { run: traceCampaign, cases: 1_000_000, what: 'lines' },
  bundles: { run: documentCampaign, cases: 100_000, what: 'bundles and machine files' },
} as const;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cases: { type: 'string' },
    seed: { type: 'string', default: '1' },
    child: { type: 'boolean', default: false },
  },
});
const name = positionals[0] === 'bundles' ? 'bundles' : 'trace';
const { run, cases: most, what } = CAMPAIGNS[name];
const cases = Number(values.cases ?? most);
const seed = Number(values.seed);

function print(done: number, tally: Tally): void {
  const counts = Object.entries(tally.counts()).map(([outcome, n]) => `${outcome} ${n}`);
  console.log(`${done} of ${cases} ${what}: ${counts.join(', ')}; peak ${tally.peak()} MiB`);
}

async function work(): Promise<void> {
  let next = 0;
  const tally = await run(cases, seed, (done, so) => {
    if (done < next) return;
    next = done + cases * STEP;
    print(done, so);
    process.send?.(done);
  });
  print(cases, tally);
  process.disconnect?.();
}

function watch(): void {
  const child = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), '--child'], {
    execArgv: ['--import', 'tsx'],
  });
  let last = 0;
  const silent = (): void => {
    console.error(`nothing for ${SILENCE_MS / 1000} s after case ${last}, seed ${seed}: a case hangs`);
    child.kill('SIGKILL');
  };
  let timer = setTimeout(silent, SILENCE_MS);
  child.on('message', (done) => {
    last = Number(done);
    clearTimeout(timer);
    timer = setTimeout(silent, SILENCE_MS);
  });
  child.on('exit', (code) => {
    clearTimeout(timer);
    process.exitCode = code === 0 ? 0 : 1;
  });
}

if (values.child) await work();
else watch();
