// The figures of the record: faults per second with everything recorded, with a journal, and in bulk; what they
// cost with more pages and more VMs, beside a bare sketch of the same libraries; a long record's memory and jumps;
// trace lines. Checks that every event and any snapshot can be had.
//   npm run bench -- [--json] [--faults N] [--rounds N] [--transitions N] [--trace FILE --machine FILE --lines N]

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import type { Recorded } from '../src/machine/events.ts';
import { createSimulation } from '../src/machine/simulation.ts';
import { createJournal } from '../src/record/journal/journal.ts';
import { record } from '../src/record/timeline.ts';
import { loadMachineFile } from '../src/trace/machine-file/load.ts';
import { createTraceReplay } from '../src/trace/text/replay/replay.ts';
import { freshVms, mapPages, storeToPages } from './faults.ts';
import { longRecord } from './long-record.ts';
import type { Figure } from './measure.ts';
import { line, median, rate, ratio } from './measure.ts';
import type { SketchMode } from './sketch.ts';
import { sketch } from './sketch.ts';

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
const FAULTS = Number(values.faults);
const ROUNDS = Number(values.rounds);

/** Faults of new VMs, everything on the bus and in the timeline; each round begins anew. */
const recorded = (name: string, vms: number): Figure =>
  rate(name, ROUNDS, FAULTS, () => {
    const simulation = createSimulation({ state: 'plain' });
    record(simulation);
    const each = FAULTS / vms;
    freshVms(simulation, vms, each);
    return () => {
      for (let vm = 0; vm < vms; vm++) storeToPages(simulation, vm, 0, each);
    };
  });

/** Recorded faults of one VM behind pages that are mapped already; the rounds follow one another. */
function behind(name: string, mapped: number): Figure {
  const simulation = createSimulation({ state: 'plain' });
  record(simulation);
  freshVms(simulation, 1, mapped + ROUNDS * FAULTS);
  mapPages(simulation, 0, mapped);
  let first = mapped;
  return rate(name, ROUNDS, FAULTS, () => () => {
    storeToPages(simulation, 0, first, FAULTS);
    first += FAULTS;
  });
}

function journaled(): Figure {
  const folder = mkdtempSync(join(tmpdir(), 'stagetwo-bench-'));
  let round = 0;
  const figure = rate('journaledFaultsPerSecond', ROUNDS, FAULTS, () => {
    const simulation = createSimulation({ state: 'plain' });
    record(simulation);
    const header = { source: 'bench', hash: '', seed: 1, preset: '6.12' };
    const journal = createJournal<Recorded>(join(folder, `${round++}.journal`), header);
    simulation.record((event, seq, cause, at) => journal.appendEnclosed(event, { seq, cause, at }));
    freshVms(simulation, 1, FAULTS);
    return () => {
      storeToPages(simulation, 0, 0, FAULTS);
      journal.close();
    };
  });
  rmSync(folder, { recursive: true });
  return figure;
}

const bulk = (): Figure =>
  rate('bulkFaultsPerSecond', ROUNDS, FAULTS, () => {
    const simulation = createSimulation({ state: 'plain' });
    freshVms(simulation, 1, FAULTS);
    return () => storeToPages(simulation, 0, 0, FAULTS);
  });

/** The least that such a run can cost here. */
const sketched = (mode: SketchMode): Figure => rate(mode, ROUNDS, FAULTS, () => sketch(mode, FAULTS));

/** A trace again and again until there are so many lines; time runs on, so that only the first reading is new. */
function repeated(file: string, lines: number): { readonly bytes: Buffer; readonly lines: number } {
  const raw = readFileSync(file);
  const once = file.endsWith('.gz') ? gunzipSync(raw) : raw;
  const inOnce = countLines(once);
  const times = Math.max(1, Math.round(lines / inOnce));
  return { bytes: Buffer.concat(Array.from({ length: times }, () => once)), lines: times * inOnce };
}

function countLines(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count += 1;
  return count;
}

const PIECE = 2 ** 20;

function traceLines(trace: string, machine: string): Figure[] {
  const { bytes, lines } = repeated(trace, Number(values.lines));
  const parsed = rate('traceLinesPerSecond', ROUNDS, lines, () => {
    const replay = createTraceReplay(loadMachineFile(machine));
    return () => {
      for (let at = 0; at < bytes.length; at += PIECE) replay.push(bytes.subarray(at, at + PIECE));
      replay.end(null);
    };
  });
  const split = rate('splitLinesPerSecond', ROUNDS, lines, () => () => {
    const decoder = new StringDecoder('utf8');
    let count = 0;
    let rest = '';
    for (let at = 0; at < bytes.length; at += PIECE) {
      const pieces = (rest + decoder.write(bytes.subarray(at, at + PIECE))).split('\n');
      rest = pieces.pop() ?? '';
      count += pieces.length;
    }
    if (count !== lines) throw new Error(`split ${count} of ${lines} lines`);
  });
  return [parsed, split, ratio('traceOverSplit', parsed, split)];
}

// First, while the process holds nothing else.
const long = longRecord(Number(values.transitions));
const base = recorded('recordedFaultsPerSecond', 1);
const many = recorded('on 1,000 VMs', 1000);
const small = behind('with 1,000 pages mapped', 1000);
const large = behind('with 1,000,000 mapped', 1_000_000);
const journal = journaled();
const unrecorded = bulk();
const figures = [
  base,
  journal,
  unrecorded,
  ratio('recordedOverSketch', base, sketched('recorded')),
  ratio('journaledOverSketch', journal, sketched('journaled')),
  ratio('bulkOverSketch', unrecorded, sketched('bulk')),
  ratio('growthPages', small, large),
  ratio('growthVms', base, many),
  ...traceLines(values.trace, values.machine),
];

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
