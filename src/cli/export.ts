// `stagetwo export`: a run in the formats of other tools, each written to the file that was named.

import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, relative, resolve, sep } from 'node:path';
import type { ScenarioRun } from '../machine/report.ts';
import { junitXml } from '../trace/export/junit.ts';
import { perfettoTrace } from '../trace/export/perfetto.ts';
import { reduxDocument } from '../trace/export/redux.ts';
import { vitestFile } from '../trace/export/vitest-file.ts';
import { InputError } from '../trace/input-error.ts';
import type { RecordedRun } from './recorded-run.ts';
import { asked, openRun } from './recorded-run.ts';
import type { SourceOptions } from './run-source.ts';
import { plainOf } from './state-words.ts';
import type { Terminal } from './terminal.ts';
import { count, toJson } from './words.ts';

export interface ExportOptions extends SourceOptions {
  readonly perfetto?: string;
  readonly junit?: string;
  readonly vitest?: string;
  readonly redux?: string;
}

/** @throws InputError for a run that cannot be read or exported so, and a file that cannot be written */
export async function exportRun(
  argument: string,
  options: ExportOptions,
  terminal: Terminal,
): Promise<number> {
  const { perfetto, junit, vitest, redux, ...rest } = options;
  if ([perfetto, junit, vitest, redux].every((file) => file === undefined)) {
    throw new InputError(
      'export',
      'no format is given',
      'give --perfetto, --junit, --vitest or --redux with a file',
    );
  }
  const run = await openRun(argument, rest, terminal);
  const said: string[] = [];
  if (perfetto !== undefined) said.push(writePerfetto(run, perfetto));
  if (redux !== undefined) said.push(writeRedux(run, redux));
  if (junit !== undefined || vitest !== undefined) {
    const judged = await judgedRun(run);
    if (junit !== undefined) said.push(writeJunit(judged, junit));
    if (vitest !== undefined) said.push(writeVitest(run, judged, vitest));
  }
  terminal.out(`${said.join('\n')}\n`);
  return 0;
}

/** Expectations are the scenario's; they are asked of it again. */
async function judgedRun(run: RecordedRun): Promise<ScenarioRun> {
  const source = await run.source();
  const judged = source.run(() => {});
  if (judged !== null) return judged;
  throw new InputError(
    run.name,
    'is of a bundle, which has no expectations',
    'stagetwo replay compares bundles',
  );
}

function writePerfetto({ timeline }: RecordedRun, file: string): string {
  const { length } = timeline;
  const last = timeline.at(length - 1);
  const run = {
    length,
    event: timeline.event,
    vms: last.vms.map(({ name }) => name),
    vcpus: last.vcpus,
    devices: last.devices.map(({ description }) => description.name),
  };
  writing(file, () => {
    const fd = openSync(file, 'w');
    try {
      let pieces: Uint8Array[] = [];
      for (const piece of perfettoTrace(run)) {
        if (pieces.push(piece) < PIECES) continue;
        writeWhole(fd, Buffer.concat(pieces));
        pieces = [];
      }
      writeWhole(fd, Buffer.concat(pieces));
    } finally {
      closeSync(fd);
    }
  });
  return `${file}: ${count(length, 'event')} for ui.perfetto.dev`;
}

/** Packets that are written at once. */
const PIECES = 4096;

function writeWhole(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}

function writeRedux({ timeline, name }: RecordedRun, file: string): string {
  const events = Array.from({ length: timeline.length }, (_, seq) => timeline.event(seq));
  const document = asked(name, 'export a shorter run, or --perfetto', () =>
    reduxDocument(events, (seq) => plainOf(timeline.at(seq))),
  );
  writing(file, () => writeFileSync(file, toJson(document)));
  return `${file}: ${count(events.length, 'event')} for Redux DevTools`;
}

function writeJunit(judged: ScenarioRun, file: string): string {
  writing(file, () => writeFileSync(file, junitXml(judged)));
  const failed = judged.expectations.filter(({ ok }) => !ok).length;
  return `${file}: ${count(judged.expectations.length, 'expectation')}, ${failed} failed`;
}

function writeVitest({ header }: RecordedRun, judged: ScenarioRun, file: string): string {
  const path = relative(dirname(resolve(file)), resolve(header.source))
    .split(sep)
    .join('/');
  const text = vitestFile(judged, path.startsWith('.') ? path : `./${path}`);
  if (text === null) return `${file}: not written, for no expectation failed`;
  writing(file, () => writeFileSync(file, text));
  return `${file}: ${count(judged.expectations.filter(({ ok }) => !ok).length, 'failed expectation')} as a test`;
}

function writing(file: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    throw new InputError(file, `cannot be written (${String(error.code)})`, 'name a file that you may write');
  }
}
