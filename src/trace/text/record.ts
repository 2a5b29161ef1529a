// A line of a trace as plain data, and back as the text that ftrace prints: parsing what was printed gives the same
// record again, whatever form the line had at first.

import { textOf } from './bytes.ts';
import { CATALOGUE, EXIT_NAMES } from './catalogue.ts';
import type { EventName, EventSpec } from './event-spec.ts';
import { valueAt } from './fields.ts';
import type { Line } from './line.ts';
import { commOf, emptyLine, readLine, timeOf } from './line.ts';

export interface TraceRecord {
  readonly comm: string;
  readonly pid: number;
  readonly tgid: number | null;
  readonly cpu: number | null;
  readonly flags: string | null;
  /** As it stands in the trace: clocks differ in unit and digits. */
  readonly time: string;
  readonly event: EventName;
  /** Fields by their name in `CATALOGUE`; 64-bit values need bigint. */
  readonly fields: Readonly<Record<string, bigint>>;
}

/** The record of a line, or null if the line carries none that is understood. */
export function parseRecord(text: string | Uint8Array): TraceRecord | null {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const line = emptyLine();
  readLine(line, bytes, 0, bytes.length);
  return recordOf(line);
}

export function recordOf(line: Line): TraceRecord | null {
  const { event, prefix, bytes, values } = line;
  if (line.outcome !== 'understood' || event === null) return null;
  const fields: Record<string, bigint> = {};
  event.spec.fields.forEach(({ name, kind }, at) => {
    if ((values.present & (1 << at)) === 0) return;
    fields[name] =
      kind === 'decimal' || kind === 'count'
        ? BigInt(valueAt(values, at))
        : (BigInt(values.hi[at] as number) << 32n) + BigInt(values.lo[at] as number);
  });
  return {
    comm: commOf(line),
    pid: prefix.pid,
    tgid: prefix.tgid === -1 ? null : prefix.tgid,
    cpu: prefix.cpu === -1 ? null : prefix.cpu,
    flags: prefix.flagsStart === -1 ? null : textOf(bytes, prefix.flagsStart, prefix.flagsEnd),
    time: timeOf(line),
    event: event.spec.name,
    fields,
  };
}

/** The line as /sys/kernel/tracing/trace prints it (kernel/trace/trace_output.c). */
export function printRecord(record: TraceRecord): string {
  const { comm, pid, tgid, cpu, flags, time, event } = record;
  const group = tgid === null ? '' : `(${String(tgid).padStart(7)}) `;
  const column = cpu === null ? '' : `[${String(cpu).padStart(3, '0')}] `;
  const context = flags === null ? '' : `${flags} `;
  // No name fills the column, so that a line never begins with the # of a header.
  const name = comm.length < 16 ? comm.padStart(16) : ` ${comm}`;
  const task = `${name}-${String(pid).padEnd(7)} ${group}${column}${context}`;
  return `${task}${time.padStart(12)}: ${event}: ${printFields(record)}`;
}

const hex = (value: bigint, digits: number): string => `0x${value.toString(16).padStart(digits, '0')}`;

/** TP_printk of each event; a field that was not there is left out. */
function printFields({ event, fields }: TraceRecord): string {
  const field = (name: string): bigint => fields[name] ?? 0n;
  switch (event) {
    case 'kvm_guest_fault':
      return (
        `ipa ${hex(field('ipa'), 1)}, hsr ${hex(field('esr'), 8)}, hxfar ${hex(field('far'), 8)}, pc ` +
        `${hex(field('pc'), 14)}`
      );
    case 'kvm_mmio_nisv':
      return ['ipa', 'esr', 'far', 'pc'].map((name) => `${name} ${hex(field(name), 14)}`).join(', ');
    case 'kvm_access_fault':
      return `IPA: ${field('ipa').toString(16)}`;
    case 'kvm_entry':
      return `PC: ${hex(field('pc'), 16)}`;
    case 'kvm_exit':
      return printExit(fields);
    case 'kvm_mmio': {
      const type = ['unsatisfied-read', 'read', 'write'][Number(field('type'))];
      const head = type === undefined ? `type=${field('type')}` : `mmio ${type}`;
      return `${head} len ${field('len')} gpa ${hex(field('gpa'), 1)} val ${hex(field('val'), 1)}`;
    }
    case 'kvm_userspace_exit':
      return printUserspaceExit(fields);
    case 'kvm_unmap_hva_range':
    case 'kvm_age_hva': {
      const what = event === 'kvm_age_hva' ? 'age hva' : 'unmap range';
      return `mmu notifier ${what}: ${hex(field('start'), 14)} -- ${hex(field('end'), 14)}`;
    }
    case 'kvm_unmap_hva':
      return `mmu notifier unmap hva: ${hex(field('hva'), 14)}`;
    case 'kvm_set_spte_hva':
      return `mmu notifier set pte hva: ${hex(field('hva'), 14)}`;
    case 'kvm_test_age_hva':
      return `mmu notifier test age hva: ${hex(field('hva'), 14)}`;
  }
}

type Fields = TraceRecord['fields'];

function printExit(fields: Fields): string {
  const values: NonNullable<EventSpec['values']> =
    CATALOGUE.find(({ name }) => name === 'kvm_exit')?.values ?? {};
  const name = Object.entries(values).find(([, { value }]) => BigInt(value) === fields.type)?.[0];
  const type = fields.type === undefined ? [] : [name === undefined ? `ret=${fields.type}` : `${name}:`];
  const ec = fields.ec === undefined ? [] : [`HSR_EC: ${hex(fields.ec, 4)},`];
  return [...type, ...ec, `PC: ${hex(fields.pc ?? 0n, 16)}`].join(' ');
}

/** A negative errno is the reason itself; the exit reason then means nothing. */
function printUserspaceExit({ reason, errno }: Fields): string {
  if (reason !== undefined && errno !== undefined) return `reason=${reason} errno=${errno}`;
  if (errno !== undefined) return `reason ${errno === 4n ? 'restart' : 'error'} (${errno})`;
  const number = reason ?? 0n;
  return `reason ${EXIT_NAMES[Number(number)] ?? hex(number, 1)} (${number})`;
}
