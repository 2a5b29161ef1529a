// What `stagetwo` alone prints: the scenario `headline` on a VFIO-PCI BAR, on a device that is not PCI and on
// GICV, under 6.1 and 6.12. The guest maps write-combining, makes an aligned burst, then one unaligned store:
// where stage 2 says Device, that store ends the VM (kvm_handle_guest_abort, "Unsupported FSC").

import type { Scenario } from '../machine/scenario.ts';
import type { ChosenRun } from './compare.ts';
import { blocksOf, compareDocument, rulesLines, runAll } from './compare.ts';
import type { Fact } from './comparison.ts';
import { comparisonLines } from './comparison.ts';
import { paragraph, wrap } from './layout.ts';
import type { AccessGroup } from './run-facts.ts';
import { groupAccesses, groupName } from './run-facts.ts';
import { bundledScenario, inScenario } from './scenario-file.ts';
import type { Terminal } from './terminal.ts';
import { parseVary } from './vary.ts';
import { grouped, toJson } from './words.ts';

const VARY = ['device=vfio-pci,vfio-platform,gicv', 'kernel=6.1,6.12'];

/** Headings of the blocks. */
const DEVICE_WORDS: Readonly<Record<string, string>> = {
  'vfio-pci': 'VFIO-PCI BAR',
  'vfio-platform': 'vfio-platform',
  gicv: 'GICv2: GICV',
};

export interface HeadlineOptions {
  readonly json?: boolean;
}

/** @returns exit status: 1 if a run did not end as kernels of these releases end it */
export async function headline(options: HeadlineOptions, terminal: Terminal): Promise<number> {
  const { path, scenario } = await bundledScenario('headline');
  return inScenario(path, () => tellHeadline(scenario, options, terminal));
}

/** The comparison of a scenario that is loaded already. @returns exit status */
export function tellHeadline(scenario: Scenario, options: HeadlineOptions, terminal: Terminal): number {
  const runs = runAll(scenario, parseVary(VARY).choices, undefined, terminal);
  if (options.json === true) terminal.out(toJson(compareDocument(scenario.name, runs)));
  else terminal.out(`${headlineLines(scenario.name, runs, terminal).join('\n')}\n`);
  return runs.every(({ run }) => run.ok) ? 0 : 1;
}

function headlineLines(title: string, runs: readonly ChosenRun[], terminal: Terminal): string[] {
  const { style, columns: width } = terminal;
  const blocks = blocksOf(runs).map(({ title: device, runs: members }) => ({
    title: DEVICE_WORDS[device] ?? device,
    runs: members.map((run) => ({ ...run, name: `Linux ${run.name}` })),
  }));
  return [
    ...wrap(title, width).map(style.strong),
    ...wrap(programOf(runs), width).map(style.dim),
    '',
    ...comparisonLines(blocks, terminal, { nameGroup: nameOf, without: isAside }),
    ...rulesLines(
      runs.map(({ run }) => run),
      terminal,
    ),
    ...logLines(runs, width),
  ];
}

/** How large a leaf is, and that all went as expected, is not what the screen is about. */
const isAside = ({ label, tone }: Fact): boolean =>
  label === 'size' || (label === 'expectations' && tone === 'good');

/** What the guest does, told once: by the run that came furthest. */
function programOf(runs: readonly ChosenRun[]): string {
  const programs = runs.map(({ run }) =>
    run.vms.flatMap(({ vcpus }) => vcpus.flatMap(({ accesses }) => accesses)),
  );
  const longest = programs.reduce((a, b) => (b.length > a.length ? b : a), []);
  const steps = groupAccesses(0, longest).map((group) => {
    const times = group.accesses.length === 1 ? '' : `${grouped(group.accesses.length)} x `;
    return `${times}${groupName(group, false)}`;
  });
  return `the guest maps write-combining: ${steps.join(', then ')}`;
}

/** An access off its own alignment is what the story turns on. */
const nameOf = ({ start, size }: AccessGroup): string =>
  start % size === 0 ? 'aligned burst' : 'unaligned store';

/** What the host logged for the VMs that died, each line once. */
function logLines(runs: readonly ChosenRun[], width: number): string[] {
  const lines = runs.flatMap(({ run }) => run.vms.flatMap(({ dead }) => dead?.log ?? []));
  const unique = [...new Set(lines)];
  return unique.length === 0 ? [] : ['', ...unique.flatMap((line) => paragraph('log  ', line, width))];
}
