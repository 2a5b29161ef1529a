// `stagetwo run`: one scenario under one kernel or several, each run told as a story.

import { resolve } from 'node:path';
import type { ScenarioRun } from '../machine/report.ts';
import { runScenario } from '../machine/runner.ts';
import type { Outline } from '../machine/scenario.ts';
import { outline } from '../machine/scenario.ts';
import { InputError } from '../trace/input-error.ts';
import type { JournalOut } from './journal-out.ts';
import { fileHash, journalOut } from './journal-out.ts';
import { kernelChosen, newestKernel } from './kernel-name.ts';
import { runDocument } from './run-document.ts';
import { eventLines, storyLines } from './run-story.ts';
import { inScenario, loadScenario } from './scenario-file.ts';
import type { Terminal } from './terminal.ts';
import { tlpLines } from './tlp-report.ts';
import { toJson } from './words.ts';

export interface RunOptions {
  readonly kernel?: readonly string[];
  readonly seed?: number;
  readonly events?: boolean;
  readonly tlp?: boolean;
  /** File for a journal of the run. */
  readonly journal?: string;
  readonly json?: boolean;
}

/**
 * @param argument path or name of a scenario
 * @returns exit status: 1 where an expectation failed
 * @throws InputError for an unknown kernel and for a file that is no working scenario
 */
export async function run(argument: string, options: RunOptions, terminal: Terminal): Promise<number> {
  const kernels = await Promise.all((options.kernel ?? [newestKernel()]).map((name) => kernelChosen(name)));
  if (options.journal !== undefined && kernels.length > 1) {
    const what = `a journal is of one run, and ${kernels.length} kernels are asked for`;
    throw new InputError('--journal', what, 'give one --kernel');
  }
  const { path, scenario } = await loadScenario(argument);
  const seed = options.seed === undefined ? {} : { seed: options.seed };
  const runs = kernels.map((kernel, index): ScenarioRun => {
    terminal.progress(`running ${path} on ${kernel.name} (${index + 1} of ${kernels.length})`);
    const journal = journalOf(path, options.kernel?.[index] ?? kernel.name, options);
    try {
      return inScenario(path, () =>
        runScenario(scenario, { kernel, ...seed, onSimulation: (it) => journal?.onSimulation(it) }),
      );
    } finally {
      journal?.close();
    }
  });
  const withEvents = options.events === true;
  if (options.json === true) {
    const documents = runs.map((it) => runDocument(it, withEvents, options.tlp));
    terminal.out(toJson(documents.length === 1 ? documents[0] : documents));
  } else {
    const about = inScenario(path, () => outline(scenario));
    const blocks = runs.map((it) => [
      ...storyLines(it, terminal, nothingExpected(it.kernel, about)),
      ...(options.tlp === true ? tlpLines([{ name: '', run: it }], terminal) : []),
      ...(withEvents ? ['', ...eventLines(it.events, terminal)] : []),
    ]);
    terminal.out(`${blocks.map((lines) => lines.join('\n')).join('\n\n\n')}\n`);
  }
  return runs.every(({ ok }) => ok) ? 0 : 1;
}

function journalOf(path: string, kernel: string, { journal, seed = 1 }: RunOptions): JournalOut | null {
  if (journal === undefined) return null;
  return journalOut(journal, { source: path, hash: fileHash(resolve(path)), seed, preset: kernel });
}

/** A run without expectations is not one that went well: where there are any is said. */
function nothingExpected(kernel: string, { kernels }: Outline): string {
  if (kernels.length === 0) return 'the scenario expects nothing';
  return `nothing is expected under ${kernel}; the scenario expects something under ${kernels.join(', ')}`;
}
