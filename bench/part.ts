// One figure of the benchmark, in a process of its own: what a run costs must not depend on what ran before it in the
// same process. `main.ts` starts it and reads the answer from standard output.
//   node --import tsx bench/part.ts NAME OPTIONS_AS_JSON

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv } from 'node:process';
import { StringDecoder } from 'node:string_decoder';
import { gunzipSync } from 'node:zlib';
import type { Recorded } from '../src/machine/events.ts';
import { createSimulation } from '../src/machine/simulation.ts';
import { createJournal } from '../src/record/journal/journal.ts';
import { record } from '../src/record/timeline.ts';
import { loadMachineFile } from '../src/trace/machine-file/load.ts';
import { createTraceReplay } from '../src/trace/text/replay/replay.ts';
import { freshVms, mapPages, storeToPages } from './faults.ts';
import type { LongRecord } from './long-record.ts';
import { longRecord } from './long-record.ts';
import type { Figure } from './measure.ts';
import { rate } from './measure.ts';
import type { SketchMode } from './sketch.ts';
import { sketch } from './sketch.ts';

export interface Options {
  readonly faults: number;
  readonly rounds: number;
  readonly transitions: number;
  readonly lines: number;
  readonly trace: string;
  readonly machine: string;
}

const options = JSON.parse(argv[3] ?? '{}') as Options;
const { faults: FAULTS, rounds: ROUNDS } = options;

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

function traceLines(): Figure {
  const { bytes, lines } = repeated(options.trace, options.lines);
  return rate('traceLinesPerSecond', ROUNDS, lines, () => {
    const replay = createTraceReplay(loadMachineFile(options.machine));
    return () => {
      for (let at = 0; at < bytes.length; at += PIECE) replay.push(bytes.subarray(at, at + PIECE));
      replay.end(null);
    };
  });
}

function splitLines(): Figure {
  const { bytes, lines } = repeated(options.trace, options.lines);
  return rate('splitLinesPerSecond', ROUNDS, lines, () => () => {
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
}

const PARTS = {
  recorded: () => recorded('recordedFaultsPerSecond', 1),
  'recorded on 1,000 VMs': () => recorded('on 1,000 VMs', 1000),
  'behind 1,000 pages': () => behind('with 1,000 pages mapped', 1000),
  'behind 1,000,000 pages': () => behind('with 1,000,000 mapped', 1_000_000),
  journaled,
  bulk,
  'recorded sketch': () => sketched('recorded'),
  'journaled sketch': () => sketched('journaled'),
  'bulk sketch': () => sketched('bulk'),
  'trace lines': traceLines,
  'split lines': splitLines,
  'long record': () => longRecord(options.transitions),
} as const satisfies Readonly<Record<string, () => Figure | LongRecord>>;

export type PartName = keyof typeof PARTS;

const part = Object.entries(PARTS).find(([name]) => name === argv[2]);
if (part === undefined)
  throw new Error(`there is no part ${argv[2]}; there are ${Object.keys(PARTS).join(', ')}`);
console.log(JSON.stringify(part[1]()));
