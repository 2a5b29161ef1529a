// The story of one run, from top to bottom: how each VM ended, what stage 2 made of each region and why, what the
// guests saw, what the devices received, and which expectations held.

import type { Recorded } from '../machine/events.ts';
import type { RegionReport, ScenarioRun, VmReport } from '../machine/report.ts';
import { eventLine } from './event-words.ts';
import type { Cell } from './layout.ts';
import { facts, table } from './layout.ts';
import type { AccessGroup } from './run-facts.ts';
import {
  fateOf,
  groupAccesses,
  groupName,
  groupOutcome,
  leafShape,
  leafType,
  regionsTouched,
  ruleText,
  styled,
  toneOf,
} from './run-facts.ts';
import type { Terminal } from './terminal.ts';
import { bytes, count, grouped, hex } from './words.ts';

/** Lines of a program that are shown; the rest is counted. */
const MAX_GROUPS = 24;

export function storyLines(run: ScenarioRun, terminal: Terminal): string[] {
  const { style } = terminal;
  const varied = Object.entries(run.variant).map(([name, value]) => `, ${name} ${String(value)}`);
  const setting = `kernel ${run.kernel}${varied.join('')}, seed ${run.seed}, ${count(run.events.length, 'event')}`;
  return [
    style.strong(run.scenario),
    setting,
    ...run.vms.flatMap((vm) => ['', ...vmLines(vm, terminal)]),
    ...regionsTouched(run).flatMap((region) => ['', ...regionLines(run, region, terminal)]),
    ...run.vms.flatMap((vm) => accessLines(vm, terminal)),
    ...deviceLines(run, terminal),
    ...stuckLines(run, terminal),
    ...expectationLines(run, terminal),
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
  const heading = `${style.strong(region.region)}${owner}, ${region.kind}, ${bytes(region.size)} at IPA ${hex(region.ipa)}`;
  if (region.leaves.length === 0) return [heading, '  nothing mapped at stage 2'];
  const rows = region.leaves.flatMap((leaf): [string, Cell][] => [
    ['stage 2', { text: leafType(leaf), style: styled(style, toneOf(leaf.type)) }],
    ['because', ruleText(leaf.because)],
    ['size', `${leafShape(leaf)}${leaf.sizeBecause === null ? '' : `; ${ruleText(leaf.sizeBecause)}`}`],
    ...leaf.combined.map((type): [string, Cell] => [
      'with stage 1',
      { text: type, style: styled(style, toneOf(type)) },
    ]),
  ]);
  return [heading, ...facts(rows, { width, indent: 2, headerStyle: style.dim })];
}

function accessLines(vm: VmReport, { columns: width, style }: Terminal): string[] {
  return vm.vcpus.flatMap(({ index, accesses }) => {
    if (accesses.length === 0) return [];
    const groups = groupAccesses(index, accesses);
    const rows = groups.slice(0, MAX_GROUPS).map((group) => accessRow(group, style));
    const rest = groups.length - rows.length;
    const more = rest > 0 ? [style.dim(`  ... and ${grouped(rest)} more; --json has them all`)] : [];
    const heading = style.strong(`what ${vm.name} vCPU ${index} saw`);
    const columns = [{ header: '', align: 'right' as const }, { header: '' }, { header: '', wrapsTo: 20 }];
    return ['', heading, ...table(columns, rows, { width, indent: 2 }), ...more];
  });
}

function accessRow(group: AccessGroup, style: Terminal['style']): Cell[] {
  const { text, tone } = groupOutcome(group);
  const [first] = group.accesses;
  const type = first?.outcome === 'completed' && first.combined !== null ? `, ${first.combined}` : '';
  const read = group.accesses.length === 1 && first?.value != null ? ` = ${hex(first.value)}` : '';
  const times = group.accesses.length === 1 ? '' : `${grouped(group.accesses.length)} x`;
  return [times, groupName(group), { text: `${text}${read}${type}`, style: styled(style, tone) }];
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

function expectationLines({ expectations }: ScenarioRun, { columns: width, style }: Terminal): string[] {
  if (expectations.length === 0) return ['', style.dim('nothing is expected of this run')];
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
