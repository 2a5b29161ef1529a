// Where a recorded run came from, and how to run it again: a scenario under a kernel and a seed, or a bundle. Both are
// deterministic, so that a run again is the same run.

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { KernelPreset } from '../host/kernels.ts';
import type { ScenarioRun } from '../machine/report.ts';
import { runScenario } from '../machine/runner.ts';
import type { Simulation } from '../machine/simulation.ts';
import type { JournalHeader } from '../record/journal/format.ts';
import { loadBundle } from '../trace/bundle/load.ts';
import { replayBundle } from '../trace/bundle/replay.ts';
import { fileHash } from './journal-out.ts';
import { kernelChosen, newestKernel } from './kernel-name.ts';
import { inScenario, loadScenario } from './scenario-file.ts';

export interface RunSource {
  readonly header: JournalHeader;
  /** Runs it from the start. @returns null for a bundle, which expects nothing of itself */
  run(onSimulation: (simulation: Simulation) => void): ScenarioRun | null;
}

export interface SourceOptions {
  readonly kernel?: string;
  readonly seed?: number;
}

const DEFAULT_SEED = 1;

/** The file that says all of a bundle; null for anything else. */
export function machineFileIn(directory: string): string | null {
  const names = [join(directory, 'machine.json'), join(directory, 'machine.json.gz')];
  return names.find((name) => existsSync(name)) ?? null;
}

/**
 * @param argument a scenario, as `run` takes it, or the directory of a bundle
 * @throws InputError for what is neither, and for a kernel without a preset
 */
export async function sourceOf(argument: string, { kernel, seed }: SourceOptions): Promise<RunSource> {
  const chosen = kernel === undefined ? undefined : await kernelChosen(kernel);
  const machineFile = machineFileIn(argument);
  if (machineFile !== null) return bundleSource(argument, machineFile, kernel, chosen);
  const { path, scenario } = await loadScenario(argument);
  const preset = kernel ?? newestKernel();
  const header = { source: path, hash: fileHash(resolve(path)), seed: seed ?? DEFAULT_SEED, preset };
  return {
    header,
    run: (onSimulation) =>
      inScenario(path, () =>
        runScenario(scenario, {
          kernel: chosen ?? preset,
          seed: header.seed,
          events: 'drop',
          state: 'plain',
          onSimulation,
        }),
      ),
  };
}

function bundleSource(
  directory: string,
  machineFile: string,
  kernel: string | undefined,
  chosen: KernelPreset | undefined,
): RunSource {
  const { machine } = loadBundle(directory);
  const preset = kernel ?? machine.host.kernel.version;
  return {
    header: { source: directory, hash: fileHash(machineFile), seed: null, preset },
    run(onSimulation) {
      replayBundle(machine, directory, () => {}, chosen ?? preset, onSimulation);
      return null;
    },
  };
}
