// Garbled traces through the whole replay: whatever the lines are and wherever the chunks are cut, each line is counted
// once, each fault is in one class, nothing is thrown, no trace takes long and memory does not grow.

import { emptyLine, readLine } from '../../../src/trace/text/line.ts';
import { parseRecord, printRecord, recordOf } from '../../../src/trace/text/record.ts';
import { createTraceReplay } from '../../../src/trace/text/replay/replay.ts';
import type { TraceReport } from '../../../src/trace/text/replay/report.ts';
import { fixture, fixtureMachine } from '../text/fixtures.ts';
import type { Dice } from './dice.ts';
import { createDice } from './dice.ts';
import { mutateBytes } from './mutate.ts';
import type { Campaign } from './tally.ts';
import { createTally, Violation } from './tally.ts';

const linesOf = (name: string, from: number, to: number): Buffer[] =>
  fixture(name)
    .toString('latin1')
    .split('\n')
    .slice(from, to)
    .map((line) => Buffer.from(line, 'latin1'));

const PERF: readonly string[] = [
  '   CPU 1/KVM 4200/4243 [005] 12345.678901:  1 kvm:kvm_guest_fault: ipa 0x1c010000 hsr 0x93800006 ' +
    'hxfar 0xffff8000f80100a8 pc 0x802c21c8',
  '     0.012 (         ): CPU 0/KVM/4242 kvm:kvm_guest_fault(vcpu_pc: -281474840481340, hsr: 2474639366, ' +
    'hxfar: 4160815272, ipa: 469827584)',
  '# entries-in-buffer/entries-written: 205/400   #P:2',
];

/** Machine and lines of the same host, so that what survives a mutation still means something. */
const SOURCES: readonly { readonly machine: string; readonly lines: readonly Buffer[] }[] = [
  { machine: 'tracecmd', lines: linesOf('tracecmd-report', 0, 400) },
  { machine: 'tracecmd', lines: linesOf('tracecmd-raw', 0, 400) },
  {
    machine: 'tracecmd',
    lines: [...linesOf('tracecmd-latency', 0, 400), ...PERF.map((line) => Buffer.from(line))],
  },
  { machine: 'linux', lines: linesOf('linux', 0, 2000) },
  { machine: 'qemu', lines: linesOf('qemu', 0, 2000) },
  { machine: 'age', lines: linesOf('age', 0, 600) },
];

/** Lines of one trace. */
const TRACE = 500;
const MAX_SECONDS = 10;
const LONG = 2 ** 20;

/** @param cases lines; rounded up to whole traces */
export const traceCampaign: Campaign = async (cases, seed, onProgress) => {
  const dice = createDice(seed);
  const tally = createTally();
  const line = emptyLine();
  for (let done = 0; done < cases; done += TRACE) {
    const { machine, lines } = dice.pick(SOURCES);
    const first = dice.below(lines.length);
    const garbled = Array.from({ length: TRACE }, (_, at) => garbledLine(dice, lines, first + at));
    const started = process.hrtime.bigint();
    for (const bytes of garbled) check(line, bytes, `seed ${seed}, line ${done}`);
    const report = replayInPieces(dice, machine, garbled);
    const seconds = Number(process.hrtime.bigint() - started) / 1e9;
    if (seconds > MAX_SECONDS) throw new Violation(`seed ${seed}, trace at ${done}: takes ${seconds} s`);
    checkCounts(report, garbled.length, `seed ${seed}, trace at ${done}`);
    tally.add('lines understood', report.lines.understood);
    tally.add('lines skipped', report.lines.skipped);
    tally.add('lines rejected', report.lines.rejected);
    for (const name of ['predicted', 'surprising', 'unknown'] as const) {
      tally.add(`faults ${name}`, report.faults[name]);
    }
    tally.sample();
    onProgress(Math.min(done + TRACE, cases), tally);
  }
  return tally;
};

/** In order for the most part, so that exits follow entries. */
function garbledLine(dice: Dice, lines: readonly Buffer[], at: number): Buffer {
  const seed = lines[at % lines.length] as Buffer;
  if (dice.oneIn(3)) return seed;
  if (dice.oneIn(20_000)) return Buffer.concat([seed, Buffer.alloc(LONG, seed)]);
  if (dice.oneIn(50)) return Buffer.from(Array.from({ length: dice.below(300) }, () => dice.below(256)));
  return mutateBytes(dice, dice.oneIn(10) ? dice.pick(lines) : seed);
}

/** A line by itself: one outcome, and what is understood survives printing. */
function check(line: ReturnType<typeof emptyLine>, garbled: Buffer, where: string): void {
  const end = garbled.indexOf(0x0a);
  const bytes = end === -1 ? garbled : garbled.subarray(0, end);
  if (bytes.length > 65_536) return;
  readLine(line, bytes, 0, bytes.length);
  const reasons = [line.event, line.skip, line.reject].filter((it) => it !== null);
  if (reasons.length !== 1)
    throw new Violation(`${where}: ${reasons.length} outcomes of ${bytes.toString('hex')}`);
  const record = recordOf(line);
  if (record === null) return;
  const again = parseRecord(printRecord(record));
  const isSame = JSON.stringify(again, asText) === JSON.stringify(record, asText);
  if (!isSame) throw new Violation(`${where}: printing and parsing changes ${bytes.toString('hex')}`);
}

const asText = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}n` : value);

function replayInPieces(dice: Dice, machine: string, lines: readonly Buffer[]): TraceReport {
  const replay = createTraceReplay(fixtureMachine(machine));
  const bytes = Buffer.concat(lines.flatMap((line) => [noLineFeed(line), Buffer.from('\n')]));
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + dice.below(dice.oneIn(4) ? 100 : 100_000);
    replay.push(bytes.subarray(at, at + length));
    at += length;
  }
  return replay.end();
}

const noLineFeed = (bytes: Buffer): Uint8Array =>
  bytes.includes(0x0a) ? bytes.filter((byte) => byte !== 0x0a) : bytes;

function checkCounts({ lines, faults }: TraceReport, made: number, where: string): void {
  const sum = lines.understood + lines.skipped + lines.rejected;
  if (lines.read !== made || sum !== made)
    throw new Violation(`${where}: ${made} lines, ${JSON.stringify(lines)}`);
  const classes = faults.predicted + faults.surprising + faults.unknown;
  if (classes !== faults.seen) throw new Violation(`${where}: faults ${JSON.stringify(faults)}`);
}
