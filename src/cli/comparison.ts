// Several runs of one scenario side by side: rows are facts, columns are runs. Where they do not fit beside
// each other they stand below each other. Equal facts are dimmed, so that the difference stands out.

import type { ScenarioRun } from '../machine/report.ts';
import type { Cell, Column } from './layout.ts';
import { facts, table } from './layout.ts';
import type { AccessGroup, Tone } from './run-facts.ts';
import {
  fateOf,
  groupAccesses,
  groupName,
  groupOutcome,
  interruptsText,
  leafShape,
  leafType,
  regionsTouched,
  shortWords,
  styled,
  toneOf,
} from './run-facts.ts';
import type { Terminal } from './terminal.ts';
import { grouped } from './words.ts';

/** One thing that is true of a run, under the name by which runs are compared. */
export interface Fact {
  readonly label: string;
  readonly text: string;
  readonly tone: Tone;
}

export interface ComparedRun {
  readonly name: string;
  readonly run: ScenarioRun;
}

/** What a group of accesses is called; undefined for its plain description. */
export type NameGroup = (group: AccessGroup) => string | undefined;

/** All facts of a run, in the order of the story. */
function factsOf(run: ScenarioRun, nameGroup: NameGroup = () => undefined): Fact[] {
  return [
    ...leafFacts(run),
    ...accessFacts(run, nameGroup),
    ...interruptFacts(run),
    ...run.devices.map((device): Fact => {
      const text = device.shape === '' ? 'nothing' : device.shape;
      return { label: `${device.name} received`, text, tone: 'plain' };
    }),
    ...run.vms.map((vm): Fact => ({ label: vm.name, ...fateOf(vm) })),
    ...expectationFacts(run),
  ];
}

function leafFacts(run: ScenarioRun): Fact[] {
  const regions = regionsTouched(run);
  return regions.flatMap((region) => {
    const prefix = regions.length > 1 ? `${region.region} ` : '';
    const joined = (texts: readonly string[]): string => [...new Set(texts)].join('; ');
    const { leaves } = region;
    if (leaves.length === 0) return [{ label: `${prefix}stage 2`, text: 'nothing mapped', tone: 'dim' }];
    const type = joined(leaves.map(leafType));
    const combined = joined(leaves.flatMap((leaf) => leaf.combined.map(shortWords)));
    return [
      { label: `${prefix}stage 2`, text: type, tone: toneOf(type) },
      { label: `${prefix}because`, text: joined(leaves.map((leaf) => leaf.because)), tone: 'plain' },
      { label: `${prefix}size`, text: joined(leaves.map(leafShape)), tone: 'plain' },
      { label: `${prefix}combined`, text: combined === '' ? '-' : combined, tone: toneOf(combined) },
    ] satisfies Fact[];
  });
}

function accessFacts(run: ScenarioRun, nameGroup: NameGroup): Fact[] {
  const vcpus = run.vms.flatMap((vm) => vm.vcpus.map((vcpu) => ({ vm: vm.name, ...vcpu })));
  const seen = new Map<string, number>();
  const isAlone = regionsTouched(run).length === 1;
  return vcpus.flatMap(({ vm, index, accesses }) =>
    groupAccesses(index, accesses).map((group) => {
      const name = nameGroup(group) ?? groupName(group, !isAlone);
      const label = vcpus.length > 1 ? `${vm}/${index} ${name}` : name;
      const times = (seen.get(label) ?? 0) + 1;
      seen.set(label, times);
      return { label: times === 1 ? label : `${label} (${grouped(times)})`, ...groupOutcome(group) };
    }),
  );
}

/** What each vCPU acknowledged, and what a read that no load asked for took from it. */
function interruptFacts(run: ScenarioRun): Fact[] {
  const vcpus = run.vms.flatMap((vm) => vm.vcpus.map((vcpu) => ({ vm: vm.name, ...vcpu })));
  return vcpus
    .filter(({ interrupts }) => interrupts.length > 0)
    .flatMap(({ vm, index, interrupts }): Fact[] => {
      const label = vcpus.length > 1 ? `${vm}/${index} interrupts` : 'interrupts';
      const seen = interruptsText(interrupts, false) ?? 'none';
      const lost = interruptsText(interrupts, true);
      const text = `${seen} seen${lost === null ? '' : `; ${lost} lost`}`;
      return [{ label, text, tone: lost === null ? 'plain' : 'bad' }];
    });
}

function expectationFacts({ expectations }: ScenarioRun): Fact[] {
  if (expectations.length === 0) return [];
  const failed = expectations.filter(({ ok }) => !ok);
  const text =
    failed.length === 0
      ? `as expected (${expectations.length})`
      : `FAILED: ${failed.map(({ what, actual }) => `${what}, found ${actual}`).join('; ')}`;
  return [{ label: 'expectations', text, tone: failed.length === 0 ? 'good' : 'bad' }];
}

interface Row {
  readonly label: string;
  readonly cells: readonly (Fact | undefined)[];
}

/**
 * Facts of all runs by label: in the order of the first run, those of later runs after what precedes them
 * there.
 */
function rowsOf(columns: readonly (readonly Fact[])[]): Row[] {
  const labels: string[] = [];
  for (const column of columns) {
    let at = 0;
    for (const { label } of column) {
      const known = labels.indexOf(label);
      if (known === -1) labels.splice(at, 0, label);
      at = (known === -1 ? at : known) + 1;
    }
  }
  return labels.map((label) => ({
    label,
    cells: columns.map((column) => column.find((fact) => fact.label === label)),
  }));
}

/** Least width of labels, their indent included, and of values. */
const LABEL_COLUMNS = 14;
const VALUE_COLUMNS = 20;
const INDENT = 2;

/** Runs that stand beside each other, under a heading. */
export interface ComparedBlock {
  readonly title: string;
  readonly runs: readonly ComparedRun[];
}

export interface ComparisonOptions {
  readonly nameGroup?: NameGroup;
  /** Facts to leave out. */
  readonly without?: (fact: Fact) => boolean;
}

/** Blocks with as many runs each, in one table, so that their columns stand below each other. */
export function comparisonLines(
  blocks: readonly ComparedBlock[],
  terminal: Terminal,
  { nameGroup, without = () => false }: ComparisonOptions = {},
): string[] {
  const { columns: width, style } = terminal;
  const wanted = ({ run }: ComparedRun): Fact[] => factsOf(run, nameGroup).filter((fact) => !without(fact));
  const tables = blocks.map((block) => ({ ...block, rows: rowsOf(block.runs.map(wanted)) }));
  const most = Math.max(...blocks.map(({ runs }) => runs.length));
  if (LABEL_COLUMNS + most * (VALUE_COLUMNS + 2) > width) {
    return tables.flatMap(({ title, runs, rows }, index) => [
      ...(index === 0 ? [] : ['']),
      ...(title === '' ? [] : [style.strong(title)]),
      ...belowEachOther(runs, rows, terminal),
    ]);
  }
  const columns: Column[] = [
    { header: '', wrapsTo: LABEL_COLUMNS },
    ...Array.from({ length: most }, () => ({ header: '', wrapsTo: VALUE_COLUMNS })),
  ];
  const strong = (text: string): Cell => ({ text, style: style.strong });
  const body = tables.flatMap(({ title, runs, rows }, index) => [
    ...(index === 0 ? [] : [[]]),
    [title, ...runs.map(({ name }) => name)].map(strong),
    ...rows.map((row) => rowCells(row, terminal)),
  ]);
  return table(columns, body, { width });
}

function rowCells({ label, cells }: Row, { style }: Terminal): Cell[] {
  const isEqual = cells.length > 1 && cells.every((cell) => cell?.text === cells[0]?.text);
  const cellOf = (fact: Fact | undefined): Cell => {
    if (fact === undefined) return { text: '-', style: style.dim };
    const tone = isEqual && fact.tone === 'plain' ? 'dim' : fact.tone;
    return { text: fact.text, style: styled(style, tone) };
  };
  return [`${' '.repeat(INDENT)}${label}`, ...cells.map(cellOf)];
}

function belowEachOther(runs: readonly ComparedRun[], rows: readonly Row[], terminal: Terminal): string[] {
  const { columns: width, style } = terminal;
  return runs.flatMap(({ name }, index) => {
    const entries = rows.flatMap(({ label, cells }): [string, Cell][] => {
      const fact = cells[index];
      return fact === undefined ? [] : [[label, { text: fact.text, style: styled(style, fact.tone) }]];
    });
    const block = facts(entries, { width, indent: INDENT * 2, headerStyle: style.dim });
    return [`${' '.repeat(INDENT)}${style.strong(name)}`, ...block];
  });
}
