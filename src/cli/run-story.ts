// The story of one run, from top to bottom: how each VM ended, what stage 2 made of each region and why, what
// the guests saw, what the devices received, and which expectations held.

import type { Recorded } from '../machine/events.ts';
import type { RegionReport, ScenarioRun, VmReport } from '../machine/report.ts';
import { eventLine } from './event-words.ts';
import type { Cell } from './layout.ts';
import { facts, table, wrap } from './layout.ts';
import { ruleText } from './rule-words.ts';
import type { AccessGroup } from './run-facts.ts';
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
import { bytes, count, grouped, hex } from './words.ts';

/** Lines of a program that are shown; the rest is counted. */
const MAX_GROUPS = 24;

/** @param expected what to say where nothing is expected of the run */
export function storyLines(
  run: ScenarioRun,
  terminal: Terminal,
  expected = 'nothing is expected of this run',
): string[] {
  const { style, columns } = terminal;
  const varied = Object.entries(run.variant).map(([name, value]) => `, ${name} ${String(value)}`);
  const events = count(run.events.length, 'event');
  const setting = `kernel ${run.kernel}${varied.join('')}, seed ${run.seed}, ${events}`;
  return [
    ...wrap(run.scenario, columns).map(style.strong),
    ...wrap(setting, columns),
    ...run.vms.flatMap((vm) => ['', ...vmLines(vm, terminal)]),
    ...regionsTouched(run).flatMap((region) => ['', ...regionLines(run, region, terminal)]),
    ...run.vms.flatMap((vm) => accessLines(vm, terminal)),
    ...interruptLines(run, terminal),
    ...deviceLines(run, terminal),
    ...stuckLines(run, terminal),
    ...expectationLines(run, terminal, expected),
  ];
}

function vmLines(vm: VmReport, { columns: width, style }: Terminal): string[] {
  const { text, tone } = fateOf(vm);
  const heading = `${style.strong(vm.name)} ${styled(style, tone)(text)}`;
  const deaths = vm.dead === null ? vm.skipped : [vm.dead];
  const rows = deaths.flatMap(({ log, because }): [string, Cell][] => [
    ...log.map((line): [string, Cell] => ['log', line]),
    ['because', ruleText(because)],
  ]);
  return [heading, ...facts(rows, { width, indent: 2, headerStyle: style.dim })];
}

function regionLines(run: ScenarioRun, region: RegionReport, { columns: width, style }: Terminal): string[] {
  const owner = run.vms.length > 1 ? ` in ${region.vm}` : '';
  const place = `${bytes(region.size)} at IPA ${hex(region.ipa)}`;
  const heading = `${style.strong(region.region)}${owner}, ${region.kind}, ${place}`;
  if (region.leaves.length === 0) return [heading, '  nothing mapped at stage 2'];
  const rows = region.leaves.flatMap((leaf): [string, Cell][] => [
    ['stage 2', { text: leafType(leaf), style: styled(style, toneOf(leaf.type)) }],
    ['because', ruleText(leaf.because)],
    ['size', `${leafShape(leaf)}${leaf.sizeBecause === null ? '' : `; ${ruleText(leaf.sizeBecause)}`}`],
    ...leaf.combined.map((type): [string, Cell] => [
      'combined',
      { text: shortWords(type), style: styled(style, toneOf(type)) },
    ]),
  ]);
  return [heading, ...facts(rows, { width, indent: 2, headerStyle: style.dim })];
}

function accessLines(vm: VmReport, { columns: width, style }: Terminal): string[] {
  return vm.vcpus.flatMap(({ index, accesses }) => {
    if (accesses.length === 0) return [];
    const groups = groupAccesses(index, accesses);
    const shown = groups.slice(0, MAX_GROUPS);
    const rows = shown.flatMap((group) => accessRows(group, style));
    const rest = groups.length - shown.length;
    const more = rest > 0 ? [style.dim(`  ... and ${grouped(rest)} more; --json has them all`)] : [];
    const heading = style.strong(`what ${vm.name} vCPU ${index} saw`);
    const columns = [
      { header: '', wrapsTo: 16 },
      { header: '', wrapsTo: 20 },
    ];
    return ['', heading, ...table(columns, rows, { width, indent: 2 }), ...more];
  });
}

function accessRows(group: AccessGroup, style: Terminal['style']): Cell[][] {
  const { tone, text: outcomes } = groupOutcome(group);
  const { accesses, step, size } = group;
  // How many there are stands before them already.
  const text = outcomes.includes(', ') ? outcomes : outcomes.replace(/^[\d,]+ /, '');
  const last = accesses.at(-1);
  const type =
    last?.outcome === 'completed' && last.combined !== null ? `, ${shortWords(last.combined)}` : '';
  const read = accesses.length === 1 && last?.value != null ? ` = ${hex(last.value)}` : '';
  const times = accesses.length === 1 ? '' : `${grouped(accesses.length)} x `;
  const every = step === size || accesses.length === 1 ? '' : step === 0 ? ', again' : `, every ${hex(step)}`;
  const row: Cell[] = [
    `${times}${groupName(group)}${every}`,
    { text: `${text}${read}${type}`, style: styled(style, tone) },
  ];
  if (last?.aborted == null) return [row];
  return [row, ['', { text: ruleText(last.aborted.because), style: style.dim }]];
}

function interruptLines(run: ScenarioRun, { columns: width, style }: Terminal): string[] {
  const rows = run.vms.flatMap((vm) =>
    vm.vcpus.flatMap(({ index, interrupts }): [string, Cell][] => {
      const name = `${vm.name} vCPU ${index}`;
      const seen = interruptsText(interrupts, false);
      const lost = interruptsText(interrupts, true);
      const words = `${lost ?? ''} acknowledged by a read that no load asked for`;
      return [
        ...(seen === null ? [] : [[name, seen] satisfies [string, Cell]]),
        ...(lost === null ? [] : [[name, { text: words, style: style.bad }] satisfies [string, Cell]]),
      ];
    }),
  );
  const eventfds = run.eventfds.map(({ vm, eventfd, signalled }): [string, Cell] => [
    `${vm} eventfd ${eventfd}`,
    count(signalled, 'signal'),
  ]);
  return [
    ...(rows.length === 0 ? [] : ['', style.strong('interrupts seen'), ...facts(rows, { width, indent: 2 })]),
    ...(eventfds.length === 0
      ? []
      : ['', style.strong('stores that did not exit'), ...facts(eventfds, { width, indent: 2 })]),
  ];
}

function deviceLines(run: ScenarioRun, { columns: width, style }: Terminal): string[] {
  if (run.devices.length === 0) return [];
  const rows = run.devices.map(({ name, shape }): [string, Cell] => [
    name,
    shape === '' ? { text: 'nothing', style: style.dim } : shape,
  ]);
  return ['', style.strong('what the devices received'), ...facts(rows, { width, indent: 2 })];
}

function stuckLines({ stuck }: ScenarioRun, { style }: Terminal): string[] {
  return stuck.length === 0
    ? []
    : ['', style.bad(`waiting for a signal that nobody raised: ${stuck.join(', ')}`)];
}

function expectationLines(
  { expectations }: ScenarioRun,
  { columns: width, style }: Terminal,
  nothing: string,
): string[] {
  if (expectations.length === 0) return ['', ...wrap(nothing, width).map(style.dim)];
  const rows = expectations.map(({ what, expected, actual, ok }): Cell[] => [
    ok ? { text: 'ok', style: style.good } : { text: 'FAILED', style: style.bad },
    ok ? `${what}: ${expected}` : `${what}: expected ${expected}; found ${actual}`,
  ]);
  const columns = [{ header: '' }, { header: '', wrapsTo: 20 }];
  return ['', style.strong('expectations'), ...table(columns, rows, { width, indent: 2 })];
}

/** Every event with its number, its cause and its fields. */
export function eventLines(events: readonly Recorded[], { columns: width, style }: Terminal): string[] {
  const rows = events.map((event): Cell[] => [
    { text: String(event.seq), style: style.dim },
    { text: event.cause === null ? '' : `<- ${event.cause}`, style: style.dim },
    event.type,
    eventLine(event),
  ]);
  const columns = [
    { header: 'seq', align: 'right' as const },
    { header: 'cause' },
    { header: 'event' },
    { header: '', wrapsTo: 24 },
  ];
  return table(columns, rows, { width, headerStyle: style.strong });
}
