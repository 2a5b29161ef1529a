// The figures of the record: faults per second with everything recorded, with a journal, and in bulk; what they
// cost with more pages and more VMs, beside a bare sketch of the same libraries; a long record's memory and jumps;
// trace lines. Checks that every event and any snapshot can be had.
//   npm run bench -- [--json] [--faults N] [--rounds N] [--transitions N] [--trace FILE --machine FILE --lines N]

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { parseArgs } from 'node:util';
import type { LongRecord } from './long-record.ts';
import type { Figure } from './measure.ts';
import { line, median, ratio } from './measure.ts';
import type { Options, PartName } from './part.ts';

const TRACES = join(import.meta.dirname, '..', 'test', 'fixtures', 'traces');

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    faults: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '5' },
    transitions: { type: 'string', default: '1000000' },
    trace: { type: 'string', default: join(TRACES, 'linux.txt.gz') },
    machine: { type: 'string', default: join(TRACES, 'linux.machine.json') },
    lines: { type: 'string', default: '1000000' },
  },
});

const options: Options = {
  faults: Number(values.faults),
  rounds: Number(values.rounds),
  transitions: Number(values.transitions),
  lines: Number(values.lines),
  trace: values.trace,
  machine: values.machine,
};

/** @throws Error with what the process said if it failed */
function answer(name: PartName): unknown {
  const part = join(import.meta.dirname, 'part.ts');
  const { status, stdout, stderr } = spawnSync(
    execPath,
    ['--import', 'tsx', part, name, JSON.stringify(options)],
    { encoding: 'utf8', maxBuffer: 2 ** 24 },
  );
  if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

const figure = (name: PartName): Figure => answer(name) as Figure;

const base = figure('recorded');
const baseSketch = figure('recorded sketch');
const journaled = figure('journaled');
const journaledSketch = figure('journaled sketch');
const bulk = figure('bulk');
const bulkSketch = figure('bulk sketch');
const trace = figure('trace lines');
const split = figure('split lines');
const figures = [
  base,
  journaled,
  bulk,
  ratio('recordedOverSketch', base, baseSketch),
  ratio('journaledOverSketch', journaled, journaledSketch),
  ratio('bulkOverSketch', bulk, bulkSketch),
  ratio('growthPages', figure('behind 1,000 pages'), figure('behind 1,000,000 pages')),
  ratio('growthVms', base, figure('recorded on 1,000 VMs')),
  trace,
  split,
  ratio('traceOverSplit', trace, split),
];
const long = answer('long record') as LongRecord;

if (values.json) {
  const entries = figures.map(({ name, cpu, wall }) => [
    name,
    { cpu: median(cpu), wall: median(wall), rounds: { cpu, wall } },
  ]);
  console.log(JSON.stringify({ ...Object.fromEntries(entries), ...long }, null, 2));
} else {
  for (const figure of figures) console.log(line(figure));
  const { transitions, jumpMsP99, bytesPerTransition, peakMiB } = long;
  console.log(`${'jumpMsP99'.padEnd(26)} ${jumpMsP99.toFixed(1)} ms over ${transitions} transitions`);
  console.log(`${'bytesPerTransition'.padEnd(26)} ${bytesPerTransition.toFixed(0)} held`);
  console.log(`${'peakMiB'.padEnd(26)} ${peakMiB.toFixed(0)} resident at most`);
}
