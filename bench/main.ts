// The figures of the record: faults per second with everything recorded, with a journal, and in bulk; what they
// cost with more pages and more VMs; jumps through the timeline; trace lines. Ends by checking that every event
// and any snapshot can be had.
//   npm run bench -- [--json] [--faults N] [--rounds N] [--trace FILE --machine FILE]

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hrtime } from 'node:process';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import type { Recorded } from '../src/machine/events.ts';
import { createSimulation } from '../src/machine/simulation.ts';
import { createJournal } from '../src/record/journal/journal.ts';
import type { Timeline } from '../src/record/timeline.ts';
import { record } from '../src/record/timeline.ts';
import { loadMachineFile } from '../src/trace/machine-file/load.ts';
import { createTraceReplay } from '../src/trace/text/replay/replay.ts';
import { freshVms, storeToPages } from './faults.ts';
import type { Figure } from './measure.ts';
import { line, median, rate, ratio } from './measure.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    faults: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '5' },
    trace: { type: 'string' },
    machine: { type: 'string' },
  },
});
const FAULTS = Number(values.faults);
const ROUNDS = Number(values.rounds);

let timeline: Timeline | undefined;

/** Faults on fresh pages behind `mapped` others, everything on the bus and in the timeline. */
function recorded(name: string, vms: number, mapped: number): Figure {
  return rate(name, ROUNDS, FAULTS, () => {
    const simulation = createSimulation({ state: 'plain' });
    const recorder = record(simulation);
    const each = FAULTS / vms;
    freshVms(simulation, vms, mapped + each);
    storeToPages(simulation, 0, 0, mapped);
    return () => {
      for (let vm = 0; vm < vms; vm++) storeToPages(simulation, vm, mapped, each);
      timeline = recorder;
    };
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
    simulation.bus.all.subscribe((event) => {
      journal.append(event);
    });
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

function traceLines(trace: string, machine: string): Figure[] {
  const raw = readFileSync(trace);
  const bytes = trace.endsWith('.gz') ? gunzipSync(raw) : raw;
  const lines = bytes.reduce((count, byte) => count + (byte === 10 ? 1 : 0), 0);
  const parsed = rate('traceLinesPerSecond', ROUNDS, lines, () => {
    const replay = createTraceReplay(loadMachineFile(machine));
    return () => {
      for (let at = 0; at < bytes.length; at += 2 ** 20) replay.push(bytes.subarray(at, at + 2 ** 20));
      replay.end(null);
    };
  });
  const split = rate('splitLinesPerSecond', ROUNDS, lines, () => () => {
    let count = 0;
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count += 1;
    if (count !== lines) throw new Error(`split ${count} of ${lines} lines`);
  });
  return [parsed, split, ratio('traceOverSplit', parsed, split)];
}

/** Milliseconds of jumps spread over the whole run; checks that what is found is what happened there. */
function jumps(of: Timeline): number[] {
  const times: number[] = [];
  for (let jump = 0; jump < 100; jump++) {
    const seq = Math.floor((of.length - 1) * ((jump * 0.6180339887) % 1));
    const before = hrtime.bigint();
    const snapshot = of.snapshotAt(seq);
    times.push(Number(hrtime.bigint() - before) / 1e6);
    if (of.event(seq).seq !== seq || snapshot.host === null) throw new Error(`event ${seq} is lost`);
  }
  return times.sort((a, b) => a - b);
}

const base = recorded('recordedFaultsPerSecond', 1, 0);
const small = recorded('with 1,000 pages mapped', 1, 1000);
const large = recorded('with 1,000,000 mapped', 1, 1_000_000);
const many = recorded('on 1,000 VMs', 1000, 0);
const figures = [
  base,
  journaled(),
  bulk(),
  ratio('growthPages', small, large),
  ratio('growthVms', base, many),
  ...(values.trace !== undefined && values.machine !== undefined
    ? traceLines(values.trace, values.machine)
    : []),
];
recorded('for the jumps', 1, 0);
const times = timeline === undefined ? [] : jumps(timeline);
const jumpMsP99 = times[98] ?? Number.NaN;

if (values.json) {
  const entries = figures.map(({ name, cpu, wall }) => [
    name,
    { cpu: median(cpu), wall: median(wall), rounds: { cpu, wall } },
  ]);
  console.log(
    JSON.stringify({ ...Object.fromEntries(entries), jumpMsP99, events: timeline?.length }, null, 2),
  );
} else {
  for (const figure of figures) console.log(line(figure));
  console.log(`${'jumpMsP99'.padEnd(26)} ${jumpMsP99.toFixed(1)} ms over ${timeline?.length} transitions`);
}
