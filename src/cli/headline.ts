// What `stagetwo` alone prints: one guest program on a VFIO-PCI BAR, on a device that is not PCI and on GICV, under
// 6.1 and 6.12. The guest maps write-combining, makes an aligned burst, then one unaligned store: where stage 2 says
// Device, that store ends the VM (kvm_handle_guest_abort, "Unsupported FSC").

import { vfioPci } from '../devices/plug.ts';
import { writeCombining } from '../guest/mapping.ts';
import type { Scenario } from '../machine/scenario.ts';
import { scenario } from '../machine/scenario.ts';
import type { ChosenRun } from './compare.ts';
import { blocksOf, compareDocument, rulesLines, runAll } from './compare.ts';
import { comparisonLines } from './comparison.ts';
import { paragraph, wrap } from './layout.ts';
import type { AccessGroup } from './run-facts.ts';
import type { Terminal } from './terminal.ts';
import { parseVary } from './vary.ts';
import { toJson } from './words.ts';

const BURST_STORES = 8;
const STORE_BYTES = 8;
/** Four bytes off the alignment of the store, past the burst. */
const UNALIGNED = 0x104;

const VARY = ['device=vfio-pci,vfio-platform,gicv', 'kernel=6.1,6.12'];

/** Headings of the blocks. */
const DEVICE_WORDS: Readonly<Record<string, string>> = {
  'vfio-pci': 'VFIO-PCI BAR',
  'vfio-platform': 'vfio-platform',
  gicv: 'GICv2: GICV',
};

const DEAD = { errno: 'EFAULT', log: /Unsupported FSC: EC=0x24 xFSC=0x21/ };

export const headlineScenario: Scenario = scenario(
  'one unaligned store into device memory that the guest maps write-combining',
  ({ host, expect }) => {
    const device = host.plug(vfioPci('device', { bars: [{ size: '16M', prefetchable: true }] }));
    const guest = host.vm('VM', { ram: '64M' });
    const bar = guest.assign(device.bar(0), { at: 0x1000_0000 });
    guest.vcpu(0).run(function* (cpu) {
      const mapped = cpu.ioremap(bar, writeCombining);
      yield* cpu.burst(mapped.at(0), { count: BURST_STORES, size: STORE_BYTES });
      yield* cpu.dmb();
      yield* cpu.store(mapped.at(UNALIGNED), { size: STORE_BYTES });
    });
    expect.kernel('6.1', () => guest.died(DEAD));
    expect.when({ kernel: '6.12', device: 'vfio-pci' }, () => guest.survived());
    expect.when({ kernel: '6.12', device: ['vfio-platform', 'gicv'] }, () => guest.died(DEAD));
  },
);

export interface HeadlineOptions {
  readonly json?: boolean;
}

/** @returns exit status: 1 if a run did not end as kernels of these releases end it */
export async function headline(options: HeadlineOptions, terminal: Terminal): Promise<number> {
  const runs = runAll(headlineScenario, parseVary(VARY).choices, undefined, terminal);
  if (options.json === true) terminal.out(toJson(compareDocument(headlineScenario.name, runs)));
  else terminal.out(`${headlineLines(runs, terminal).join('\n')}\n`);
  return runs.every(({ run }) => run.ok) ? 0 : 1;
}

export function headlineLines(runs: readonly ChosenRun[], terminal: Terminal): string[] {
  const { style, columns: width } = terminal;
  const blocks = blocksOf(runs).flatMap(({ name, runs: block }) => [
    '',
    ...comparisonLines(
      DEVICE_WORDS[name] ?? name,
      block.map((run) => ({ ...run, name: `Linux ${run.name}` })),
      terminal,
      nameOf,
    ),
  ]);
  return [
    ...wrap(headlineScenario.name, width).map(style.strong),
    ...blocks,
    ...rulesLines(
      runs.map(({ run }) => run),
      terminal,
    ),
    ...logLines(runs, width),
  ];
}

function nameOf({ start }: AccessGroup): string {
  return start === UNALIGNED ? 'unaligned store' : 'aligned burst';
}

/** What the host logged for the VMs that died, each line once. */
function logLines(runs: readonly ChosenRun[], width: number): string[] {
  const lines = runs.flatMap(({ run }) => run.vms.flatMap(({ dead }) => dead?.log ?? []));
  const unique = [...new Set(lines)];
  return unique.length === 0 ? [] : ['', ...unique.flatMap((line) => paragraph('log  ', line, width))];
}
