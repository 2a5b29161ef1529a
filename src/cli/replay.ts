// `stagetwo replay`: feeds captures of real kernels to the simulation and says how many of the kernel's
// faults, outcomes, results and descriptors it predicted, and where it first went another way.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { HandlerError } from '../bus/bus.ts';
import type { KernelPreset } from '../host/kernels.ts';
import type { Divergence } from '../trace/bundle/check.ts';
import type { Bundle } from '../trace/bundle/load.ts';
import { loadBundle } from '../trace/bundle/load.ts';
import type { ReplayReport } from '../trace/bundle/report.ts';
import { reportOf } from '../trace/bundle/report.ts';
import { InputError } from '../trace/input-error.ts';
import type { JournalOut } from './journal-out.ts';
import { fileHash, journalOut } from './journal-out.ts';
import { kernelChosen } from './kernel-name.ts';
import type { TimedReport } from './replay-report.ts';
import { replayLines, replayTable } from './replay-report.ts';
import { machineFileIn } from './run-source.ts';
import type { Terminal } from './terminal.ts';
import { toJson } from './words.ts';

export interface ReplayOptions {
  readonly kernel?: string;
  /** File for a journal of the replay. */
  readonly journal?: string;
  readonly json?: boolean;
}

/**
 * @param directories one or more bundles
 * @returns exit status: 1 where a prediction differs from the capture
 * @throws InputError for a bundle that cannot be read or a kernel without a preset
 */
export async function replay(
  directories: readonly string[],
  options: ReplayOptions,
  terminal: Terminal,
): Promise<number> {
  const kernel = options.kernel === undefined ? undefined : await kernelChosen(options.kernel);
  if (options.journal !== undefined && directories.length > 1) {
    const what = `a journal is of one run, and there are ${directories.length} bundles`;
    throw new InputError('--journal', what, 'name one bundle');
  }
  const reports = directories.map((directory, index) => {
    terminal.progress(`replaying ${directory} (${index + 1} of ${directories.length})`);
    return replayOne(directory, kernel, options);
  });
  const [first, ...others] = reports;
  if (first === undefined) return 0;
  if (options.json === true) {
    terminal.out(toJson(others.length === 0 ? document(first) : reports.map(document)));
  } else {
    const lines = others.length === 0 ? replayLines(first, terminal) : replayTable(reports, terminal);
    terminal.out(`${lines.join('\n')}\n`);
  }
  return reports.some(({ divergences }) => divergences > 0) ? 1 : 0;
}

function replayOne(directory: string, kernel: KernelPreset | undefined, options: ReplayOptions): TimedReport {
  checkDirectory(directory);
  const started = process.hrtime.bigint();
  const report = reportUnder(directory, kernel, options);
  const seconds = Number((process.hrtime.bigint() - started) / 1000n) / 1e6;
  return { ...report, seconds };
}

/** What the simulated machine refuses, such as 52 bits of IPA without LPA2, is a fault of what was asked. */
function reportUnder(
  directory: string,
  kernel: KernelPreset | undefined,
  options: ReplayOptions,
): ReplayReport {
  const bundle = loadBundle(directory);
  const journal = journalOf(bundle, options.kernel, options.journal);
  try {
    return reportOf(bundle, kernel, journal?.onSimulation);
  } catch (error) {
    const cause = error instanceof HandlerError ? error.cause : error;
    if (cause instanceof InputError) throw cause;
    if (!(cause instanceof RangeError)) throw error;
    const host = `kernel ${kernel?.name ?? bundle.machine.host.kernel.version}`;
    throw new InputError(
      directory,
      `cannot be replayed under ${host}: ${cause.message}`,
      'check machine.json',
    );
  } finally {
    journal?.close();
  }
}

function journalOf(bundle: Bundle, kernel: string | undefined, file: string | undefined): JournalOut | null {
  if (file === undefined) return null;
  const { directory, machine } = bundle;
  const preset = kernel ?? machine.host.kernel.version;
  const hash = fileHash(machineFileIn(directory) ?? directory);
  return journalOut(file, { source: directory, hash, seed: null, preset });
}

/** Tells the usual slips apart before a file is opened: a typo, a file, a folder of bundles. */
function checkDirectory(directory: string): void {
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new InputError(directory, 'there is no such directory', 'name one that holds a machine.json');
  }
  if (!stat.isDirectory()) {
    throw new InputError(directory, 'is a file, not a bundle', 'name a directory that holds a machine.json');
  }
  if (holdsMachine(directory)) return;
  const inside = readdirSync(directory).filter((name) => holdsMachine(join(directory, name))).length;
  if (inside === 0) return; // the loader says what is missing
  const what = `there is no machine.json here, but in ${inside} of its folders`;
  throw new InputError(directory, what, `stagetwo replay ${join(directory, '*')} takes them all`);
}

const holdsMachine = (directory: string): boolean =>
  existsSync(join(directory, 'machine.json')) || existsSync(join(directory, 'machine.json.gz'));

/** The stable shape of `--json`: these keys first, in this order. */
function document(report: TimedReport) {
  const { bundle, kernel, accesses, faults, outcomes, operations, dumps, events, seconds } = report;
  return {
    bundle,
    kernel,
    accesses,
    faults: { expected: faults.expected, matched: faults.matched, unexpected: faults.unexpected },
    outcomes,
    operations,
    dumps,
    firstDivergence: report.firstDivergence === null ? null : divergence(report.firstDivergence),
    events,
    seconds,
    divergences: report.divergences,
    checked: report.checked,
  };
}

const divergence = ({ access, expected, predicted, because, where }: Divergence) => ({
  access,
  expected,
  predicted,
  because,
  where,
});
