// `stagetwo replay TRACE --machine FILE` and `stagetwo machine --smaps FILE`: a trace of a real host against the
// simulated one, and help to write down the facts that a trace does not carry.

import { readFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { InputError } from '../trace/input-error.ts';
import { loadMachineFile } from '../trace/machine-file/load.ts';
import { parseNumber } from '../trace/machine-file/numbers.ts';
import type { SlotInput } from '../trace/machine-file/smaps.ts';
import { machineFromSmaps } from '../trace/machine-file/smaps.ts';
import { traceFile } from '../trace/text/read.ts';
import { createTraceReplay } from '../trace/text/replay/replay.ts';
import type { TraceReport } from '../trace/text/replay/report.ts';
import { SURPRISE, UNKNOWN } from '../trace/text/replay/report.ts';
import { facts, paragraph } from './layout.ts';
import type { Terminal } from './terminal.ts';
import { count, grouped, oneLine, toJson } from './words.ts';

interface TraceOptions {
  readonly machine: string;
  readonly json?: boolean;
  /** Taken from the machine file: a trace is of one kernel. */
  readonly kernel?: string;
  readonly journal?: string;
}

/**
 * One trace at a time: a machine file describes one host.
 * @throws InputError for more than one trace
 */
export function replayTraces(
  paths: readonly string[],
  options: TraceOptions,
  terminal: Terminal,
): Promise<number> {
  const [path, second] = paths;
  if (path === undefined || second !== undefined) {
    throw new InputError('--machine', 'goes with one trace', 'replay one trace at a time');
  }
  if (options.kernel !== undefined) {
    throw new InputError('--kernel', 'does not go with a trace', 'name the kernel in the machine file');
  }
  if (options.journal !== undefined) {
    throw new InputError('--journal', 'does not go with a trace', 'leave it out');
  }
  return replayTrace(path, options, terminal);
}

/**
 * @param path ftrace, trace-cmd report or perf script text, plain or gzipped
 * @returns exit status: 1 where the trace surprised the simulated host
 * @throws InputError for files that cannot be read and machine files that do not fit
 */
async function replayTrace(path: string, options: TraceOptions, terminal: Terminal): Promise<number> {
  const started = process.hrtime.bigint();
  const replay = createTraceReplay(loadMachineFile(options.machine));
  let read = 0;
  const { damage } = await traceFile(path).read((chunk) => {
    replay.push(chunk);
    read += chunk.length;
    terminal.progress(`replaying ${path}: ${grouped(Math.floor(read / 2 ** 20))} MiB`);
  });
  const report = replay.end(damage);
  terminal.progress('');
  const seconds = Number((process.hrtime.bigint() - started) / 1000n) / 1e6;
  if (options.json === true) terminal.out(toJson({ trace: path, ...report, seconds }));
  else terminal.out(`${traceLines(path, report, seconds, terminal).join('\n')}\n`);
  if (damage !== null) throw new InputError(path, damage, 'what was whole is reported; fetch the file again');
  return report.faults.surprising > 0 ? 1 : 0;
}

function traceLines(path: string, report: TraceReport, seconds: number, terminal: Terminal): string[] {
  const { style, columns: width } = terminal;
  const { lines, faults, notifiers, vms, damage } = report;
  const because = <Reason extends string>(
    counts: Partial<Record<Reason, number>>,
    words: Readonly<Record<Reason, string>>,
  ): [string, string][] =>
    (Object.entries(counts) as [Reason, number][]).map(([reason, n]) => [
      `  ${grouped(n)} ${reason}`,
      words[reason],
    ]);
  const reasons = (counts: Partial<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([reason, n = 0]) => `${grouped(n)} ${reason}`)
      .join(', ');
  const rows: [string, string][] = [
    ['lines', `${grouped(lines.read)} read, ${grouped(lines.understood)} understood`],
    [
      '  skipped',
      `${grouped(lines.skipped)}${lines.skipped > 0 ? `: ${reasons(lines.skippedBecause)}` : ''}`,
    ],
    [
      '  rejected',
      `${grouped(lines.rejected)}${lines.rejected > 0 ? `: ${reasons(lines.rejectedBecause)}` : ''}`,
    ],
    ...rejectedRow(report),
    [
      'events',
      Object.entries(report.events)
        .map(([name, n]) => `${grouped(n)} ${oneLine(name, 40)}`)
        .join(', '),
    ],
    ['vCPU threads', vms.map(({ name, vcpuTasks }) => `${vcpuTasks} of ${oneLine(name, 64)}`).join(', ')],
    ['notifiers', `${grouped(notifiers.seen)}, of which ${grouped(notifiers.applied)} hit a slot`],
    ...callsRow(report),
    ...(report.lost > 0
      ? [['lost', `${count(report.lost, 'line')} say that events were lost`] as [string, string]]
      : []),
    ['faults', `${grouped(faults.seen)}`],
    ['  predicted', grouped(faults.predicted)],
    ['  surprising', grouped(faults.surprising)],
    ...because(faults.surprisingBecause, SURPRISE),
    ['  unknown', grouped(faults.unknown)],
    ...because(faults.unknownBecause, UNKNOWN),
  ];
  return [
    style.strong(oneLine(path)),
    `kernel ${oneLine(report.kernel)}, ${seconds.toFixed(2)} s`,
    '',
    ...facts(rows, { width, indent: 2 }),
    ...(damage === null ? [] : ['', ...paragraph('', style.bad(`the input is not whole: ${damage}`), width)]),
    '',
    ...verdict(report, terminal),
  ];
}

function rejectedRow({ lines }: TraceReport): [string, string][] {
  const first = lines.firstRejected;
  if (first === null) return [];
  const text = first.text === '' ? '' : `: ${oneLine(first.text, 100)}`;
  return [['  first', `line ${grouped(first.line)} (${first.reason})${text}`]];
}

/** The VMM's later calls of the machine file. */
function callsRow({ calls }: TraceReport): [string, string][] {
  if (calls.given === 0) return [];
  const refused = calls.refused === 0 ? '' : `, ${grouped(calls.refused)} refused by the simulated host`;
  return [['calls', `${grouped(calls.applied)} of ${grouped(calls.given)} reached${refused}`]];
}

function verdict({ firstSurprise, faults }: TraceReport, { style, columns: width }: Terminal): string[] {
  if (firstSurprise === null) {
    const rest =
      faults.unknown === 0 ? 'every fault was predicted' : 'no fault contradicts the simulated host';
    return [faults.seen === 0 ? 'there is no fault in it' : style.good(rest)];
  }
  const { line, time, story } = firstSurprise;
  return [
    style.bad(`first surprise: line ${grouped(line)}, at ${oneLine(time, 40)}`),
    ...story.flatMap((sentence) => paragraph('  ', oneLine(sentence), width)),
  ];
}

export interface MachineOptions {
  readonly smaps: string;
  /** `ipa,size,hva` or `slot=ipa,size,hva`, one for each memslot. */
  readonly slot: readonly string[];
  readonly kernel: string;
  readonly pageSize: string;
  readonly ipaBits: number;
  readonly pid?: number;
}

/**
 * Prints a machine file to be completed by hand.
 * @returns exit status 0
 * @throws InputError for a slot that cannot be read or that smaps does not know
 */
export function machineCommand(options: MachineOptions, terminal: Terminal): number {
  const slots = options.slot.map(slotOf);
  const given = {
    name: 'guest',
    ipaBits: options.ipaBits,
    ...(options.pid === undefined ? {} : { pid: options.pid }),
  };
  const { vm, missing } = machineFromSmaps(textOf(options.smaps), slots, given, options.smaps);
  const todo = [
    'host.cpu: null stands for what smaps does not tell; docs/machine-file.md says where to look',
    ...missing,
  ];
  const cpu = { fwb: null, dic: null, lpa2: null, hardwareAccessFlag: null, ipaLimitBits: null };
  const host = { kernel: options.kernel, pageSize: options.pageSize, cpu };
  const file = stringify({ format: 'stagetwo-machine/1', host, vms: [vm] });
  terminal.out(`${todo.map((line) => `# to fill in: ${oneLine(line)}\n`).join('')}${file}`);
  return 0;
}

function slotOf(text: string, index: number): SlotInput {
  const [left = '', right] = text.split('=');
  const numbers = (right ?? left).split(',').map((part) => parseNumber(part.trim()));
  const slot = right === undefined ? index : parseNumber(left.trim());
  const [ipa, size, hva] = numbers;
  if (
    slot === undefined ||
    ipa === undefined ||
    size === undefined ||
    hva === undefined ||
    numbers.length !== 3
  ) {
    throw new InputError(
      `--slot ${oneLine(text, 60)}`,
      'is no memslot',
      'write ipa,size,hva or slot=ipa,size,hva',
    );
  }
  return { slot, ipa, size, hva };
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new InputError(path, `cannot be read (${code})`, 'name a copy of /proc/PID/smaps');
  }
}
