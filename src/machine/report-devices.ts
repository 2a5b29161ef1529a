// What each device of a run received: transactions of the bus, and accesses that user space or the kernel emulated. A
// device may cut one into several registers; here it counts once, as it arrived.

import type { MemoryType } from '../arch/memory-type.ts';
import { describeMemoryType } from '../arch/memory-type.ts';
import type { Recorded } from './events.ts';
import type { DeviceReport, TransactionReport } from './report.ts';
import type { Setup } from './scenario-setup.ts';

export interface DeviceCollector {
  hear(event: Recorded): void;
  reports(): readonly DeviceReport[];
}

/** Something on its way to a device. */
interface Arriving {
  readonly kind: 'read' | 'write';
  readonly by: TransactionReport['by'];
  readonly vm: number;
  readonly vcpu: number;
  readonly size: number;
  readonly stores: number;
  readonly memoryType: MemoryType | null;
}

export function deviceCollector(setup: Setup): DeviceCollector {
  const received = new Map<number, TransactionReport[]>();
  /** By the seq of the event that sent it; taken out by the first register that it reaches. */
  const arriving = new Map<number, Arriving>();
  return {
    hear(event) {
      const sent = sentBy(event);
      if (sent !== null) arriving.set(event.seq, sent);
      if (event.type !== 'device-read' && event.type !== 'device-written') return;
      const from = event.cause === null ? undefined : arriving.get(event.cause);
      if (from === undefined || event.cause === null) return;
      arriving.delete(event.cause);
      const { memoryType, ...rest } = from;
      const { region, offset, seq, effect } = event;
      const words = memoryType === null ? null : describeMemoryType(memoryType);
      const list = received.get(event.device) ?? [];
      list.push({ ...rest, seq, region, offset, effect, memoryType: words });
      received.set(event.device, list);
    },
    reports: () =>
      setup.devices.map(({ name, kind }, device) => reportOf(name, device, kind, received.get(device) ?? [])),
  };
}

function sentBy(event: Recorded): Arriving | null {
  if (event.type === 'transaction-issued') {
    const { kind, size, stores, memoryType } = event.transaction;
    return { kind, by: 'bus', vm: event.vm, vcpu: event.vcpu, size, stores, memoryType };
  }
  if (event.type !== 'mmio-exited' && event.type !== 'mmio-handled' && event.type !== 'gicv-trapped')
    return null;
  const by = {
    'mmio-exited': 'mmio-exit',
    'mmio-handled': 'in-kernel',
    'gicv-trapped': 'hypervisor',
  } as const;
  const { vm, vcpu, size, write } = event;
  return {
    kind: write ? 'write' : 'read',
    by: by[event.type],
    vm,
    vcpu,
    size,
    stores: write ? 1 : 0,
    memoryType: null,
  };
}

function reportOf(
  name: string,
  device: number,
  kind: string,
  transactions: readonly TransactionReport[],
): DeviceReport {
  const of = (wanted: 'read' | 'write'): readonly TransactionReport[] =>
    transactions.filter((it) => it.kind === wanted);
  const bytes = (list: readonly TransactionReport[]): number => list.reduce((sum, it) => sum + it.size, 0);
  const writes = of('write');
  const reads = of('read');
  return {
    name,
    device,
    kind,
    writes: writes.length,
    reads: reads.length,
    bytesWritten: bytes(writes),
    bytesRead: bytes(reads),
    transactions,
    shape: shapeOf(transactions),
  };
}

function shapeOf(transactions: readonly TransactionReport[]): string {
  const runs: { words: string; count: number }[] = [];
  for (const { kind, size } of transactions) {
    const words = `${size} B ${kind}`;
    const last = runs.at(-1);
    if (last?.words === words) last.count += 1;
    else runs.push({ words, count: 1 });
  }
  return runs.length === 0 ? 'nothing' : runs.map(({ words, count }) => `${count} x ${words}`).join(', ');
}
