// What a journal costs: one record encoded by several ways, writing with and without fdatasync and compression at
// several batch sizes, and reading back. Events are those of a run that faults once a page, so that size and form are
// real. Processor time, which other programs disturb least; the best of several rounds.
//   npm run bench:journal -- [--faults N] [--rounds N] [--events N] [--folder DIR]

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cpuUsage, hrtime, memoryUsage } from 'node:process';
import { parseArgs } from 'node:util';
import { crc32 } from 'node:zlib';
import { normalWriteBack } from '../src/guest/mapping.ts';
import type { Recorded } from '../src/machine/events.ts';
import { runScenario } from '../src/machine/runner.ts';
import { scenario } from '../src/machine/scenario.ts';
import { nodeFiles } from '../src/record/journal/files.ts';
import type { CreateOptions } from '../src/record/journal/journal.ts';
import { createJournal, openJournal } from '../src/record/journal/journal.ts';
import { MACHINE_VALUES } from '../src/record/journal/machine-values.ts';
import { toText } from '../src/record/journal/values.ts';

const { values } = parseArgs({
  options: {
    faults: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '7' },
    events: { type: 'string', default: '0' },
    folder: { type: 'string', default: tmpdir() },
  },
});

const PAGE = 4096;
const faults = Number(values.faults);
const folder = mkdtempSync(join(values.folder, 'stagetwo-bench-'));
const header = { source: 'bench', hash: '', seed: 1, preset: '6.12' };

/** One store to each page of RAM. */
const touch = scenario('one fault a page', ({ host }) => {
  const size = faults * PAGE;
  const vm = host.vm('guest', { ram: size });
  vm.vcpu(0).run(function* (cpu) {
    const ram = cpu.ioremap(vm.at(0x4000_0000, size), normalWriteBack);
    for (let page = 0; page < faults; page++) yield* cpu.store(ram.at(page * PAGE), { size: 8, value: 1n });
  });
});

const events: readonly Recorded[] = runScenario(touch, { kernel: '6.12', state: 'plain' }).events;

/** Calls `work` several times; the best processor time and its wall time, nanoseconds an event. */
function measure(name: string, count: number, work: () => void, rounds = Number(values.rounds)): void {
  let best = { cpu: Number.POSITIVE_INFINITY, wall: 0 };
  for (let round = 0; round < rounds; round++) {
    const before = cpuUsage();
    const started = hrtime.bigint();
    work();
    const wall = Number(hrtime.bigint() - started) / count;
    const { user, system } = cpuUsage(before);
    const cpu = ((user + system) * 1000) / count;
    if (cpu < best.cpu) best = { cpu, wall };
  }
  const rate = Math.round(1e6 / best.cpu);
  const figures = `${best.cpu.toFixed(0).padStart(6)} ns cpu ${best.wall.toFixed(0).padStart(6)} ns wall`;
  console.log(`${name.padEnd(44)}${figures} ${String(rate).padStart(6)} k/s`);
}

function write(name: string, file: string, options: CreateOptions): void {
  const path = join(folder, file);
  measure(name, events.length, () => {
    const writer = createJournal<Recorded>(path, header, { ...options, overwrite: true });
    for (const event of events) writer.append(event);
    writer.close();
  });
  console.log(`${''.padEnd(44)}${(statSync(path).size / events.length).toFixed(0)} bytes an event`);
}

const withoutSync = { files: { ...nodeFiles, fdatasync: () => {} } };

const withoutBigint = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? `0x${value.toString(16)}` : value;

const plain = events.map((event): unknown => JSON.parse(JSON.stringify(event, withoutBigint)));
const texts = events.map((event) => toText(event, MACHINE_VALUES));
const buffers = texts.map((text) => Buffer.from(text));
let sink = 0;

console.log(`${events.length} events, ${(events.length / faults).toFixed(1)} a fault`);
measure('JSON.stringify, no bigint, no check', events.length, () => {
  for (const event of plain) sink += JSON.stringify(event).length;
});
measure('JSON.stringify with a replacer', events.length, () => {
  for (const event of events) sink += JSON.stringify(event, withoutBigint).length;
});
measure('toText: exact', events.length, () => {
  for (const event of events) sink += toText(event, MACHINE_VALUES).length;
});
measure('crc32 of the string', events.length, () => {
  for (const text of texts) sink = crc32(text, sink);
});
measure('crc32 of the bytes', events.length, () => {
  for (const bytes of buffers) sink = crc32(bytes, sink);
});
for (const batchBytes of [2 ** 12, 2 ** 16, 2 ** 18, 2 ** 20]) {
  write(`written by ${batchBytes / 1024} KiB, no fdatasync`, 'a.jsonl', { ...withoutSync, batchBytes });
}
write('written, fdatasync every 8 MiB', 'b.jsonl', {});
write('written, fdatasync every 256 KiB', 'b.jsonl', { commitBytes: 2 ** 18 });
write('compressed, fdatasync every 8 MiB', 'c.jsonl.gz', {});

function read(file: string, count: number, rounds?: number): void {
  const records = (): void => {
    let found = 0;
    for (const record of openJournal<Recorded>(join(folder, file)).records())
      found += Number(record.kind === 'event');
    if (found !== count) throw new Error(`${file} gave ${found} events of ${count}`);
  };
  measure(`read ${file}`, count, records, rounds);
}

read('b.jsonl', events.length);
read('c.jsonl.gz', events.length);

const many = Number(values.events);
if (many > 0) {
  for (const file of ['many.jsonl', 'many.jsonl.gz']) {
    const writer = createJournal<Recorded>(join(folder, file), header, withoutSync);
    for (let seq = 0; seq < many; seq++) {
      const event = events[seq % events.length];
      if (event !== undefined) writer.append({ ...event, seq, cause: null });
    }
    writer.close();
    const size = (statSync(join(folder, file)).size / 2 ** 20).toFixed(0);
    read(file, many, 1);
    console.log(`${many} events, ${size} MiB: ${(memoryUsage.rss() / 2 ** 20).toFixed(0)} MiB resident`);
  }
}

rmSync(folder, { recursive: true });
if (sink === 0) throw new Error('nothing was measured');
