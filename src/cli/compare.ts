// `stagetwo compare`: one scenario in variants, their facts side by side, and for each the first event where it
// parts from the first variant, with the rule that made the difference.

import type { ScenarioRun } from '../machine/report.ts';
import { runScenario } from '../machine/runner.ts';
import type { Scenario } from '../machine/scenario.ts';
import type { ComparedRun, NameGroup } from './comparison.ts';
import { comparisonLines } from './comparison.ts';
import { eventLine } from './event-words.ts';
import type { Cell } from './layout.ts';
import { facts } from './layout.ts';
import type { Parting } from './parting.ts';
import { partingOf } from './parting.ts';
import { runDocument } from './run-document.ts';
import { ruleText } from './run-facts.ts';
import { inScenario, loadScenario } from './scenario-file.ts';
import type { Terminal } from './terminal.ts';
import type { VariantChoice } from './vary.ts';
import { parseVary } from './vary.ts';
import { toJson } from './words.ts';

export interface CompareOptions {
  readonly vary: readonly string[];
  readonly seed?: number;
  readonly json?: boolean;
}

export interface ChosenRun extends ComparedRun {
  readonly choice: VariantChoice;
}

/**
 * @param argument path or name of a scenario
 * @returns exit status: 1 where an expectation failed in some variant
 * @throws InputError for a --vary that cannot be read and for a file that is no working scenario
 */
export async function compare(
  argument: string,
  options: CompareOptions,
  terminal: Terminal,
): Promise<number> {
  const { choices } = parseVary(options.vary);
  const { path, scenario } = await loadScenario(argument);
  const runs = inScenario(path, () => runAll(scenario, choices, options.seed, terminal));
  if (options.json === true) terminal.out(toJson(compareDocument(scenario.name, runs)));
  else terminal.out(`${compareLines(scenario.name, runs, terminal).join('\n')}\n`);
  return runs.every(({ run }) => run.ok) ? 0 : 1;
}

export function runAll(
  scenario: Scenario,
  choices: readonly VariantChoice[],
  seed: number | undefined,
  terminal: Terminal,
): ChosenRun[] {
  return choices.map((choice, index) => {
    const { name, kernel, variant } = choice;
    terminal.progress(`running ${name} (${index + 1} of ${choices.length})`);
    const run = runScenario(scenario, { kernel, vary: variant, ...(seed === undefined ? {} : { seed }) });
    return { name, run, choice };
  });
}

export function compareLines(title: string, runs: readonly ChosenRun[], terminal: Terminal): string[] {
  const { style } = terminal;
  return [
    style.strong(title),
    ...blocksOf(runs).flatMap(({ name, runs: block }) => ['', ...comparisonLines(name, block, terminal)]),
    ...rulesLines(
      runs.map(({ run }) => run),
      terminal,
    ),
    ...partingLines(runs, terminal),
  ];
}

export interface Block {
  readonly name: string;
  readonly runs: readonly ChosenRun[];
}

/** One dimension makes columns; with more, the last one makes columns and the others make blocks. */
export function blocksOf(runs: readonly ChosenRun[]): Block[] {
  const blocks = new Map<string, ChosenRun[]>();
  for (const run of runs) {
    const { values } = run.choice;
    const name = values.slice(0, -1).join(' ');
    blocks.set(name, [...(blocks.get(name) ?? []), { ...run, name: values.at(-1) ?? run.name }]);
  }
  return [...blocks].map(([name, members]) => ({ name, runs: members }));
}

/** The rules that stand in the tables by name, in words. */
export function rulesLines(runs: readonly ScenarioRun[], { columns: width, style }: Terminal): string[] {
  const leaves = runs.flatMap(({ regions }) => regions.flatMap((region) => region.leaves));
  const words = new Map(leaves.map(({ because, becauseText }) => [because, becauseText]));
  if (words.size === 0) return [];
  return ['', ...facts([...words], { width, headerStyle: style.strong })];
}

function partingLines(runs: readonly ChosenRun[], terminal: Terminal): string[] {
  const [first, ...others] = runs;
  if (first === undefined) return [];
  return others.flatMap((other) => [
    '',
    ...onePartingLines(first, other, partingOf(first.run, other.run), terminal),
  ]);
}

function onePartingLines(a: ChosenRun, b: ChosenRun, parting: Parting | null, terminal: Terminal): string[] {
  const { columns: width, style } = terminal;
  const heading = style.strong(`${a.name} and ${b.name}`);
  if (parting === null) return [`${heading} go the same way`];
  const { first, second, because } = parting;
  const event = (it: Parting['first']): Cell =>
    it === null ? { text: 'had ended', style: style.dim } : `event ${it.seq}: ${it.type} ${eventLine(it)}`;
  const rules: [string, Cell][] =
    because === null
      ? []
      : [
          ['', ''],
          [a.name, because.first === null ? '-' : ruleText(because.first)],
          [b.name, because.second === null ? '-' : ruleText(because.second)],
        ];
  return [
    `${heading} part at`,
    ...facts(
      [
        [a.name, event(first)],
        [b.name, event(second)],
      ],
      { width, indent: 2, headerStyle: style.dim },
    ),
    ...(rules.length === 0 ? [] : ['because']),
    ...facts(rules.slice(1), { width, indent: 2, headerStyle: style.dim }),
  ];
}

export function compareDocument(name: string, runs: readonly ChosenRun[]) {
  const [first] = runs;
  return {
    scenario: name,
    runs: runs.map(({ name: variant, run }) => ({ name: variant, ...runDocument(run, false) })),
    partings: runs.slice(1).map((other) => ({
      between: [first?.name, other.name],
      ...(first === undefined
        ? {}
        : (partingOf(first.run, other.run) ?? { first: null, second: null, because: null })),
    })),
  };
}

export type { NameGroup };
