// Excerpts of real traces with the machine files that go with them.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { loadMachineFile } from '../../../src/trace/machine-file/load.ts';
import type { TraceMachine } from '../../../src/trace/machine-file/machine.ts';
import { createTraceReplay } from '../../../src/trace/text/replay/replay.ts';
import type { TraceReport } from '../../../src/trace/text/replay/report.ts';

const fixturePath = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/traces/${name}`, import.meta.url));

export const fixture = (name: string): Buffer => gunzipSync(readFileSync(fixturePath(`${name}.txt.gz`)));

export const fixtureMachine = (name: string): TraceMachine => {
  const gzipped = ['age', 'smp2', 'twovm'].includes(name);
  return loadMachineFile(fixturePath(`${name}.machine.json${gzipped ? '.gz' : ''}`));
};

export function replayText(text: Uint8Array | string, machine: TraceMachine): TraceReport {
  const replay = createTraceReplay(machine);
  replay.push(typeof text === 'string' ? Buffer.from(text) : text);
  return replay.end();
}
