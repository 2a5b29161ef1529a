// The PCI Express packets of a run (`--tlp`): what each PCI function received from the bus, packet by packet, and what
// the headers cost.

import type { Tlp } from '../devices/tlp.ts';
import { tlpsOf } from '../devices/tlp.ts';
import type { DeviceReport, ScenarioRun } from '../machine/report.ts';
import type { Cell } from './layout.ts';
import { facts } from './layout.ts';
import type { Terminal } from './terminal.ts';
import { binary, count } from './words.ts';

export interface DeviceTlps {
  readonly device: string;
  readonly packets: readonly Tlp[];
}

const PCI: ReadonlySet<string> = new Set(['vfio-pci', 'sysfs']);

/** Packets of each PCI function, in order of arrival; what the VMM or the kernel emulates never was one. */
export function deviceTlps(run: ScenarioRun): DeviceTlps[] {
  return run.devices
    .filter(({ kind }) => PCI.has(kind))
    .map((device) => ({
      device: device.name,
      packets: device.transactions
        .filter(({ by }) => by === 'bus')
        .flatMap(({ kind, region, offset, size }) =>
          tlpsOf({ kind, address: startOf(run, device, region) + offset, size }),
        ),
    }));
}

function startOf(run: ScenarioRun, { device }: DeviceReport, region: number): number {
  const description = run.simulation.state.devices[device]?.description;
  return description?.regions.find(({ index }) => index === region)?.pa ?? 0;
}

const DW = 4;

/** `2 x MWr 16 DW, BE 0b1111/0b1111`, in order of arrival, runs counted. */
function shapeOf(packets: readonly Tlp[]): string {
  const runs: { words: string; count: number }[] = [];
  for (const { type, length, firstBe, lastBe } of packets) {
    const words = `${type} ${length} DW, BE ${binary(firstBe, 4)}/${binary(lastBe, 4)}`;
    const last = runs.at(-1);
    if (last?.words === words) last.count += 1;
    else runs.push({ words, count: 1 });
  }
  return runs.map((it) => `${it.count} x ${it.words}`).join('; ');
}

/** What headers add to the bytes that were meant; framing and the data link layer come on top. */
function costOf(packets: readonly Tlp[]): string {
  const meant = packets.reduce((sum, { bytes }) => sum + bytes, 0);
  const headers = packets.reduce((sum, { header }) => sum + header * DW, 0);
  return `${count(packets.length, 'packet')}, ${meant} B, ${headers} B of headers`;
}

/** @param runs with the name of each, '' for one that stands alone */
export function tlpLines(
  runs: readonly { readonly name: string; readonly run: ScenarioRun }[],
  { columns: width, style }: Terminal,
): string[] {
  const rows = runs.flatMap(({ name, run }) =>
    deviceTlps(run).flatMap(({ device, packets }): [string, Cell][] => {
      const label = name === '' ? device : `${name} ${device}`;
      if (packets.length === 0) return [[label, { text: 'nothing', style: style.dim }]];
      return [
        [label, shapeOf(packets)],
        ['', { text: costOf(packets), style: style.dim }],
      ];
    }),
  );
  if (rows.length === 0) return ['', style.dim('no PCI function, so no TLP')];
  return ['', style.strong('PCI Express packets (TLP)'), ...facts(rows, { width, indent: 2 })];
}
