// `stagetwo compare`: one scenario in variants, their facts side by side, and for each the first event where
// it parts from the first variant, with the rule that made the difference.

import type { ScenarioRun } from '../machine/report.ts';
import { runScenario } from '../machine/runner.ts';
import type { Scenario } from '../machine/scenario.ts';
import type { ComparedBlock, ComparedRun } from './comparison.ts';
import { comparisonLines } from './comparison.ts';
import { differingFields, eventLine } from './event-words.ts';
import type { Cell } from './layout.ts';
import { facts, table } from './layout.ts';
import type { Parting } from './parting.ts';
import { partingOf } from './parting.ts';
import { ruleText } from './rule-words.ts';
import { runDocument } from './run-document.ts';
import { inScenario, loadScenario } from './scenario-file.ts';
import type { Terminal } from './terminal.ts';
import { tlpLines } from './tlp-report.ts';
import type { VariantChoice } from './vary.ts';
import { variantsOf } from './vary.ts';
import { toJson } from './words.ts';

export interface CompareOptions {
  readonly vary: readonly string[];
  readonly seed?: number;
  readonly tlp?: boolean;
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
  const choices = await variantsOf(options.vary);
  const { path, scenario } = await loadScenario(argument);
  const runs = inScenario(path, () => runAll(scenario, choices, options.seed, terminal));
  if (options.json === true) terminal.out(toJson(compareDocument(scenario.name, runs, options.tlp)));
  else {
    const packets = options.tlp === true ? tlpLines(runs, terminal) : [];
    terminal.out(`${[...compareLines(scenario.name, runs, terminal), ...packets].join('\n')}\n`);
  }
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

function compareLines(title: string, runs: readonly ChosenRun[], terminal: Terminal): string[] {
  const { style } = terminal;
  return [
    style.strong(title),
    '',
    ...comparisonLines(blocksOf(runs), terminal),
    ...rulesLines(
      runs.map(({ run }) => run),
      terminal,
    ),
    ...partingLines(runs, terminal),
  ];
}

/** One dimension makes columns; with more, the last one makes columns and the others make blocks. */
export function blocksOf(runs: readonly ChosenRun[]): ComparedBlock[] {
  const blocks = new Map<string, ChosenRun[]>();
  for (const run of runs) {
    const { values } = run.choice;
    const name = values.slice(0, -1).join(' ');
    blocks.set(name, [...(blocks.get(name) ?? []), { ...run, name: values.at(-1) ?? run.name }]);
  }
  return [...blocks].map(([title, members]) => ({ title, runs: members }));
}

/** The rules that stand in the tables by name, in words. */
export function rulesLines(runs: readonly ScenarioRun[], { columns: width, style }: Terminal): string[] {
  const leaves = runs.flatMap(({ regions }) => regions.flatMap((region) => region.leaves));
  const words = new Map(leaves.map(({ because, becauseText }) => [because, becauseText]));
  if (words.size === 0) return [];
  return ['', ...facts([...words], { width, headerStyle: style.strong })];
}

/** Within a block, each run against the first: what else varies made the blocks. */
function partingLines(runs: readonly ChosenRun[], terminal: Terminal): string[] {
  return partingsOf(runs).flatMap(({ block, first, other, parting }) => {
    const prefix = block === '' ? '' : `${block}: `;
    const heading = terminal.style.strong(`${prefix}${first.name} and ${other.name}`);
    return parting === null
      ? ['', `${heading} go the same way`]
      : ['', ...onePartingLines(heading, [first.name, other.name], parting, terminal)];
  });
}

function partingsOf(runs: readonly ChosenRun[]) {
  return blocksOf(runs).flatMap(({ title, runs: members }) => {
    const [first, ...others] = members;
    if (first === undefined) return [];
    return others.map((other) => ({ block: title, first, other, parting: partingOf(first.run, other.run) }));
  });
}

function onePartingLines(
  heading: string,
  [a, b]: readonly [string, string],
  { first, second, because }: Parting,
  { columns: width, style }: Terminal,
): string[] {
  const options = { width, indent: 2, headerStyle: style.dim };
  const rules = facts(
    [
      [a, because?.first == null ? '-' : ruleText(because.first)],
      [b, because?.second == null ? '-' : ruleText(because.second)],
    ],
    options,
  );
  const why = because === null ? [] : ['because', ...rules];
  if (first !== null && second !== null && first.type === second.type) {
    const rows = differingFields(first, second);
    const fields = table(
      [
        { header: '', wrapsTo: 20 },
        { header: a, wrapsTo: 12 },
        { header: b, wrapsTo: 12 },
      ],
      rows.map(([path, left, right]) => [path, left, right]),
      options,
    );
    return [`${heading} part at event ${first.seq}, ${first.type}`, ...fields, ...why];
  }
  const event = (it: Parting['first']): Cell =>
    it === null ? { text: 'had ended', style: style.dim } : `event ${it.seq}, ${it.type} ${eventLine(it)}`;
  const events: [string, Cell][] = [
    [a, event(first)],
    [b, event(second)],
  ];
  return [`${heading} part at`, ...facts(events, options), ...why];
}

/** @param withTlp the PCI Express packets of each run, too */
export function compareDocument(name: string, runs: readonly ChosenRun[], withTlp = false) {
  return {
    scenario: name,
    runs: runs.map(({ name: variant, run }) => ({ name: variant, ...runDocument(run, false, withTlp) })),
    partings: partingsOf(runs).map(({ block, first, other, parting }) => ({
      block: block === '' ? null : block,
      between: [first.name, other.name],
      ...(parting ?? { first: null, second: null, because: null }),
    })),
  };
}
