// `stagetwo hunt`: searches what the architecture lets processors do, and the turns of a scenario's programs, for a
// behaviour that breaks an expectation; or repeats one that was found, from the file it was saved in.

import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import type { Attempt, Hunted, Script } from '../machine/hunt.ts';
import { attempt, hunt as search } from '../machine/hunt.ts';
import type { Finding } from '../machine/hunt-shrink.ts';
import { shrink } from '../machine/hunt-shrink.ts';
import { InputError } from '../trace/input-error.ts';
import { departureLines } from './departure-words.ts';
import { kernelChosen, newestKernel } from './kernel-name.ts';
import { wrap } from './layout.ts';
import type { ScenarioFile } from './scenario-file.ts';
import { inScenario, loadScenario } from './scenario-file.ts';
import type { Terminal } from './terminal.ts';
import { parseVary } from './vary.ts';
import { count, toJson } from './words.ts';

export interface HuntCommandOptions {
  readonly kernel?: string;
  readonly vary?: readonly string[];
  readonly seed?: number;
  readonly runs?: number;
  readonly save?: string;
  readonly json?: boolean;
}

/** A finding as it is saved: with the scenario all that repeats it. */
const SAVED = z.strictObject({
  finding: z.literal(1),
  scenario: z.string(),
  kernel: z.string(),
  vary: z.array(z.string()),
  choices: z.array(z.int().min(0)),
  schedule: z.array(z.int().min(0)),
});

type Saved = z.infer<typeof SAVED>;

/**
 * @param argument a scenario, or a file that `--save` wrote
 * @returns exit status: 1 where an expectation broke
 * @throws InputError for what cannot be read, and for a scenario that expects nothing there
 */
export async function hunt(
  argument: string,
  options: HuntCommandOptions,
  terminal: Terminal,
): Promise<number> {
  if (argument.endsWith('.json')) return repeat(readSaved(argument), options, terminal);
  const file = await loadScenario(argument);
  const choice = options.kernel ?? newestKernel();
  const kernel = await kernelChosen(choice);
  const words = options.vary ?? [];
  const settings = { kernel, vary: variantOf(words) };
  const { seed = 1, runs = 2000 } = options;
  const onRun = (done: number): void => {
    if (done % 50 === 0) terminal.progress(`hunting in ${file.path}: ${done} of at most ${runs} runs`);
  };
  return inScenario(file.path, () => {
    checkExpects(file, attempt(file.scenario, settings, { choices: [], schedule: [] }), kernel.name);
    const hunted = search(file.scenario, { ...settings, seed, runs, onRun });
    const finding = hunted.broken === null ? null : shrink(file.scenario, settings, hunted.broken);
    const saved =
      finding === null
        ? null
        : {
            finding: 1 as const,
            scenario: argument,
            kernel: choice,
            vary: [...words],
            ...mutable(finding.script),
          };
    if (saved !== null && options.save !== undefined) writeSaved(options.save, saved);
    const document = {
      scenario: file.scenario.name,
      kernel: kernel.name,
      vary: words,
      ...resultOf(hunted, finding),
    };
    if (options.json === true) terminal.out(toJson(document));
    else terminal.out(`${huntLines(file, document.kernel, hunted, finding, options, terminal).join('\n')}\n`);
    return finding === null ? 0 : 1;
  });
}

const mutable = ({ choices, schedule }: Script) => ({ choices: [...choices], schedule: [...schedule] });

/** One value each: a hunt is in one machine. */
function variantOf(words: readonly string[]) {
  const { choices } = parseVary(words);
  const [only, ...others] = choices;
  if (words.some((word) => word.startsWith('kernel='))) {
    throw new InputError('--vary kernel=...', 'a hunt is on one kernel', 'give it with --kernel');
  }
  if (only === undefined || others.length > 0) {
    throw new InputError('--vary', 'a hunt is in one variant', 'give one value, such as gicv=normal-nc');
  }
  return only.variant;
}

function checkExpects({ path }: ScenarioFile, { run }: Attempt, kernel: string): void {
  if (run.expectations.length > 0) return;
  const what = `expects nothing under ${kernel}, so that nothing could break`;
  throw new InputError(path, what, 'add an expectation, or name another kernel with --kernel');
}

const brokenOf = ({ run }: Attempt) => ({
  broken: run.expectations.filter(({ ok }) => !ok),
  stuck: run.stuck,
});

const resultOf = (hunted: Hunted, finding: Finding | null) => ({
  runs: hunted.runs,
  exhaustive: hunted.isExhaustive,
  departures: hunted.departures,
  drawn: hunted.drawn,
  finding:
    finding === null
      ? null
      : { ...finding.script, departures: finding.departures, ...brokenOf(finding.attempt) },
});

function huntLines(
  { path, scenario }: ScenarioFile,
  kernel: string,
  hunted: Hunted,
  finding: Finding | null,
  { save, vary = [] }: HuntCommandOptions,
  terminal: Terminal,
): string[] {
  const { style, columns } = terminal;
  const heading = [
    style.strong(scenario.name),
    `kernel ${kernel}${vary.map((it) => `, ${it}`).join('')}, ${path}`,
    '',
  ];
  if (finding === null) {
    const verdict = hunted.isExhaustive ? 'safe' : 'nothing broke';
    return [...heading, ...wrap(`${verdict}: ${spaceWords(hunted)}`, columns).map(style.good)];
  }
  const steps = finding.departures.length;
  const how = steps === 0 ? 'the typical run breaks it' : `${count(steps, 'departure')} from the typical run`;
  return [
    ...heading,
    style.bad(`broken: ${how}, found in ${count(hunted.runs, 'run')}`),
    ...departureLines(finding, terminal),
    ...(save === undefined ? [] : ['', `saved: stagetwo hunt ${save} repeats it`]),
  ];
}

/** What was searched, so that nobody takes a sample for a proof. */
function spaceWords({ isExhaustive, runs, departures, drawn }: Hunted): string {
  if (isExhaustive) {
    return runs === 1
      ? 'one behaviour, there is no other: the memory types leave no choice'
      : `all ${count(runs, 'behaviour')} were run, there are no others`;
  }
  const whole = `all behaviours with at most ${count(departures, 'departure')} from the typical run`;
  return `${count(runs, 'run')}: ${whole}, some beyond, ${drawn} drawn by the seed; there are others`;
}

function writeSaved(path: string, saved: Saved): void {
  try {
    writeFileSync(path, toJson(saved));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError(path, `cannot be written: ${reason}`, 'name a file in a folder that exists');
  }
}

function readSaved(path: string): Saved {
  const hint = 'give a file that hunt --save wrote';
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError(path, `cannot be read: ${reason}`, hint);
  }
  const parsed = SAVED.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InputError(path, `is no finding: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`, hint);
}

async function repeat(saved: Saved, { json }: HuntCommandOptions, terminal: Terminal): Promise<number> {
  const { scenario, path } = await loadScenario(saved.scenario);
  const kernel = await kernelChosen(saved.kernel);
  return inScenario(path, () => {
    const tried = attempt(scenario, { kernel, vary: variantOf(saved.vary) }, saved);
    const departures = tried.decisions.filter(({ chosen }) => chosen !== 0);
    const { choices, schedule } = saved;
    const finding: Finding = { attempt: tried, script: { choices, schedule }, departures };
    if (json === true) terminal.out(toJson({ ...saved, isBroken: tried.isBroken, ...brokenOf(tried) }));
    else {
      const verdict = tried.isBroken
        ? terminal.style.bad('it breaks again')
        : terminal.style.good('nothing breaks');
      const lines = [terminal.style.strong(scenario.name), verdict, ...departureLines(finding, terminal)];
      terminal.out(`${lines.join('\n')}\n`);
    }
    return tried.isBroken ? 1 : 0;
  });
}
