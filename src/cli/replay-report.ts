// The result of a replay on a screen: counts of what was predicted, and the first difference with its rule.

import type { Divergence } from '../trace/bundle/check.ts';
import type { ReplayReport } from '../trace/bundle/report.ts';
import type { Cell, Column } from './layout.ts';
import { facts, paragraph, table, wrap } from './layout.ts';
import { ruleText } from './rule-words.ts';
import type { Style, Terminal } from './terminal.ts';
import { count, grouped } from './words.ts';

/** A report and what it took, in seconds of wall time. */
export interface TimedReport extends ReplayReport {
  readonly seconds: number;
}

interface Counts {
  readonly matched: number;
  readonly expected: number;
}

/** Leaves of all dumps; one that the kernel did not have counts as one that was missed. */
function leavesOf({ dumps }: TimedReport): Counts {
  return {
    matched: dumps.reduce((sum, dump) => sum + dump.matched, 0),
    expected: dumps.reduce((sum, dump) => sum + dump.leaves + dump.extra, 0),
  };
}

/** Faults that the kernel took; one too many counts as one that was missed. */
const faultsOf = ({ faults }: TimedReport): Counts => ({
  matched: faults.matched,
  expected: faults.expected + faults.unexpected,
});

const sumOf = (counts: readonly Counts[]): Counts => ({
  matched: counts.reduce((sum, { matched }) => sum + matched, 0),
  expected: counts.reduce((sum, { expected }) => sum + expected, 0),
});

const isWhole = ({ matched, expected }: Counts): boolean => matched === expected;

function tally(counts: Counts, style: Style, nothing = '-'): Cell {
  if (counts.expected === 0) return { text: nothing, style: style.dim };
  if (isWhole(counts)) return grouped(counts.expected);
  return { text: `${grouped(counts.matched)}/${grouped(counts.expected)}`, style: style.bad };
}

/** One bundle in full. */
export function replayLines(report: TimedReport, terminal: Terminal): string[] {
  const { columns: width, style } = terminal;
  const speed = `${count(report.events, 'event')} in ${report.seconds.toFixed(2)} s`;
  const head = [
    style.strong(report.bundle),
    ...wrap(`kernel ${report.kernel}, ${count(report.accesses, 'access', 'accesses')}, ${speed}`, width),
    '',
  ];
  if (!report.checked)
    return [...head, ...paragraph('', 'nothing to compare with: there is no expected.json', width)];
  const { faults, outcomes, operations, dumps } = report;
  const unexpected =
    faults.unexpected > 0 ? `, ${grouped(faults.unexpected)} that the kernel did not take` : '';
  const said = (counts: Counts, more = ''): Cell => ({
    text: `${grouped(counts.matched)} of ${grouped(counts.expected)}${more}`,
    style: isWhole(counts) && more === '' ? (text) => text : style.bad,
  });
  const dumpFacts = dumps.map(({ name, vm, leaves, matched, extra }): [string, Cell] => [
    `dump ${name}`,
    {
      text: `${grouped(matched)} of ${count(leaves, 'leaf', 'leaves')} of ${vm}${extraText(extra)}`,
      style: matched === leaves && extra === 0 ? (text) => text : style.bad,
    },
  ]);
  const tallies = facts(
    [
      ['faults', said(faults, unexpected)],
      ['outcomes', said(outcomes)],
      ['operations', said(operations)],
      ...dumpFacts,
    ],
    { width, indent: 2 },
  );
  return [...head, ...tallies, '', ...verdict(report, terminal)];
}

const extraText = (extra: number): string => (extra > 0 ? `, ${grouped(extra)} extra` : '');

function verdict(report: TimedReport, terminal: Terminal): string[] {
  const { style, columns: width } = terminal;
  const { firstDivergence, divergences } = report;
  if (firstDivergence === null) {
    return wrap('every fault, outcome, result and descriptor is as the kernel had it', width).map(style.good);
  }
  const more = divergences > 1 ? ` (of ${grouped(divergences)})` : '';
  return [
    ...wrap(`first difference${more}: ${firstDivergence.where}`, width).map(style.bad),
    ...divergenceLines(firstDivergence, { width, style }),
  ];
}

function divergenceLines(
  { expected, predicted, because }: Divergence,
  { width, style }: { readonly width: number; readonly style: Style },
): string[] {
  const reason = because === null ? [] : [['because', ruleText(because)] as const];
  return facts([['captured', expected], ['predicted', predicted], ...reason], {
    width,
    indent: 2,
    headerStyle: style.dim,
  });
}

const COLUMNS: readonly Column[] = [
  { header: 'bundle' },
  { header: 'kernel', drop: 3 },
  { header: 'accesses', align: 'right', drop: 4 },
  { header: 'faults', align: 'right' },
  { header: 'outcomes', align: 'right', drop: 1 },
  { header: 'calls', align: 'right', drop: 2 },
  { header: 'leaves', align: 'right' },
  { header: '' },
];

/** Many bundles, one a line, then the differences. */
export function replayTable(reports: readonly TimedReport[], terminal: Terminal): string[] {
  const { columns: width, style } = terminal;
  const rows = reports.map((report): Cell[] => [
    report.bundle,
    report.kernel,
    grouped(report.accesses),
    tally(faultsOf(report), style),
    tally(report.outcomes, style),
    tally(report.operations, style),
    tally(leavesOf(report), style),
    resultOf(report, style),
  ]);
  const all: Cell[] = [
    { text: `all ${reports.length}`, style: style.strong },
    '',
    grouped(reports.reduce((sum, { accesses }) => sum + accesses, 0)),
    tally(sumOf(reports.map(faultsOf)), style),
    tally(sumOf(reports.map(({ outcomes }) => outcomes)), style),
    tally(sumOf(reports.map(({ operations }) => operations)), style),
    tally(sumOf(reports.map(leavesOf)), style),
    '',
  ];
  const differing = reports.filter(({ divergences }) => divergences > 0);
  return [
    ...table(COLUMNS, [...rows, all], { width, headerStyle: style.strong }),
    '',
    ...differing.flatMap((report) => [style.strong(report.bundle), ...verdict(report, terminal), '']),
    ...summary(reports, differing.length, terminal),
  ];
}

function resultOf({ checked, divergences }: TimedReport, style: Style): Cell {
  if (!checked) return { text: 'not checked', style: style.dim };
  return divergences === 0
    ? { text: 'ok', style: style.good }
    : { text: `${divergences} differ`, style: style.bad };
}

function summary(
  reports: readonly TimedReport[],
  differing: number,
  { style, columns: width }: Terminal,
): string[] {
  const events = reports.reduce((sum, report) => sum + report.events, 0);
  const seconds = reports.reduce((sum, report) => sum + report.seconds, 0);
  const speed = `${count(events, 'event')} in ${seconds.toFixed(2)} s`;
  if (differing > 0) {
    return wrap(
      `${differing} of ${count(reports.length, 'bundle')} differ from the kernel; ${speed}`,
      width,
    ).map(style.bad);
  }
  const unchecked = reports.filter(({ checked }) => !checked).length;
  const rest = unchecked > 0 ? ` (${unchecked} had no answers to compare with)` : '';
  return wrap(`every prediction is as the kernel had it${rest}; ${speed}`, width).map(style.good);
}
