import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Pa } from '../../src/arch/addresses.ts';
import { NORMAL_NC, NORMAL_WB } from '../../src/arch/memory-type.ts';
import type { BufferedStore, StoreBuffer } from '../../src/guest/store-buffer.ts';
import {
  byLine,
  closed,
  EMPTY_STORE_BUFFER,
  isFull,
  LINES,
  overlapping,
  withElders,
  withoutLines,
  withStore,
  writesOf,
} from '../../src/guest/store-buffer.ts';
import type { Step } from '../helpers/device-memory.ts';
import { DEVICE, shape, traffic } from '../helpers/device-memory.ts';
import { accessAt } from '../helpers/machine.ts';
import { property } from '../helpers/twice.ts';

const bytesFrom = (first: number, size: number): number[] =>
  Array.from({ length: size }, (_, index) => (first + index) % 256);

const part = (pa: number, size: number, first = 0): BufferedStore => ({
  pa: pa as Pa,
  size,
  bytes: bytesFrom(first, size),
  memoryType: NORMAL_NC,
});

const buffered = (...parts: BufferedStore[]): StoreBuffer => parts.reduce(withStore, EMPTY_STORE_BUFFER);

describe('a line of the store buffer', () => {
  it('leaves as one write when neighbouring stores filled it', () => {
    const buffer = buffered(
      ...Array.from({ length: 8 }, (_, index) => part(0x1000 + index * 8, 8, index * 8)),
    );
    const [line] = buffer.lines;
    expect(line).toBeDefined();
    if (line === undefined) return;
    expect(isFull(line)).toBe(true);
    expect(writesOf(line)).toEqual([
      {
        kind: 'write',
        pa: 0x1000,
        size: 64,
        bytes: bytesFrom(0, 64),
        memoryType: NORMAL_NC,
        stores: 8,
        access: null,
      },
    ]);
  });

  it('leaves as one write for each contiguous run of bytes', () => {
    const buffer = buffered(part(0x1000, 4, 1), part(0x1010, 8, 2), part(0x1018, 8, 3), part(0x103c, 4, 4));
    const writes = buffer.lines.flatMap(writesOf);
    expect(writes.map(({ pa, size, stores }) => [pa, size, stores])).toEqual([
      [0x1000, 4, 1],
      [0x1010, 16, 2],
      [0x103c, 4, 1],
    ]);
  });

  it('takes no second store to a byte: both reach the endpoint, in order', () => {
    const writes = buffered(part(0x1000, 4, 0x10), part(0x1002, 1, 0xff)).lines.flatMap(writesOf);
    expect(writes.map(({ bytes }) => bytes)).toEqual([[0x10, 0x11, 0x12, 0x13], [0xff]]);
  });

  it('leaves a store behind a newer line of the same bytes in that line, so that order holds', () => {
    const stores = [part(0x1000, 1, 1), part(0x1000, 1, 2), part(0x1001, 1, 3)];
    const writes = buffered(...stores).lines.flatMap(writesOf);
    expect(writes.map(({ bytes }) => bytes)).toEqual([[1], [2, 3]]);
  });

  it('has no bytes to tell where a store gave no value, and still says how many', () => {
    const [write] = buffered(part(0x1000, 4), { ...part(0x1004, 4), bytes: null }).lines.flatMap(writesOf);
    expect(write).toMatchObject({ size: 8, bytes: null, stores: 2 });
  });
});

describe('the store buffer', () => {
  it('cuts a store at the line boundary that it crosses', () => {
    expect(byLine(part(0x103c, 8, 1)).map(({ pa, size, bytes }) => ({ pa, size, bytes }))).toEqual([
      { pa: 0x103c, size: 4, bytes: [1, 2, 3, 4] },
      { pa: 0x1040, size: 4, bytes: [5, 6, 7, 8] },
    ]);
  });

  it('opens a new line for another memory type, and drains the older one of the location first', () => {
    const buffer = buffered(part(0x1000, 8), { ...part(0x1000, 8, 9), memoryType: NORMAL_WB });
    const [, newer] = buffer.lines;
    expect(buffer.lines).toHaveLength(2);
    expect(newer && withElders(buffer, newer).map(({ id }) => id)).toEqual([0, 1]);
  });

  it('takes no store into a closed line', () => {
    const buffer = withStore(closed(buffered(part(0x1000, 8))), part(0x1008, 8));
    expect(buffer.lines.map(({ stores }) => stores)).toEqual([[0], [8]]);
  });

  it('finds the lines that a load overlaps, byte for byte', () => {
    const buffer = buffered(part(0x1000, 8), part(0x1040, 8));
    const ids = (pa: number, size: number): number[] => overlapping(buffer, pa, size).map(({ id }) => id);
    expect(ids(0x1004, 4)).toEqual([0]);
    expect(ids(0x1008, 8)).toEqual([]);
    expect(ids(0x1000, 0x48)).toEqual([0, 1]);
    expect(overlapping(withoutLines(buffer, [0]), 0x1000, 8)).toEqual([]);
  });
});

const store = (offset: number, size = 8, value = 0n) => accessAt('write', DEVICE + offset, { size, value });
const load = (offset: number, size = 8) => accessAt('read', DEVICE + offset, { size });
const sent = (...steps: Step[]): string[] => traffic('Normal-NC', steps).transactions.map(shape);

describe('a vCPU with stores in its buffer', () => {
  it('sends nothing before something drains them', () => {
    expect(sent(store(0), store(8))).toEqual([]);
    expect(sent(store(0), store(8), 'ISB')).toEqual([]);
    expect(sent(store(0), store(8), 'end')).toEqual(['W16@0']);
  });

  it.each(['DMB', 'DSB'] as const)('drains them at a %s', (barrier) => {
    expect(sent(store(0), store(0x80), barrier)).toEqual(['W8@0', 'W8@80']);
  });

  it('merges nothing across a DGH, and sends nothing because of it', () => {
    expect(sent(store(0), 'DGH', store(8))).toEqual([]);
    expect(sent(store(0), 'DGH', store(8), 'end')).toEqual(['W8@0', 'W8@8']);
  });

  it('drains a line before a load of its bytes, and only then', () => {
    expect(sent(store(0), load(8))).toEqual(['R8@8']);
    expect(sent(store(0), store(0x40), load(0x44, 4))).toEqual(['W8@40', 'R4@44']);
  });

  it(`drains the oldest line when a store needs more than ${LINES}`, () => {
    const offsets = [0x00, 0x40, 0x80, 0xc0, 0x100];
    expect(sent(...offsets.map((offset) => store(offset)))).toEqual(['W8@0']);
  });

  it('drains a line as soon as it is full', () => {
    expect(sent(...Array.from({ length: 4 }, (_, index) => store(index * 16, 16)))).toEqual(['W64@0']);
  });

  it('zeroes a 64-byte block with DC ZVA as one write, wherever in the block it points', () => {
    const { transactions } = traffic('Normal-NC', [accessAt('dc-zva', DEVICE + 0x54, { size: 64 })]);
    expect(transactions.map(shape)).toEqual(['W64@40']);
    expect(transactions[0]?.bytes).toEqual(bytesFrom(0, 64).map(() => 0));
  });

  it('takes an Alignment fault for DC ZVA to Device memory', () => {
    const { transactions, events } = traffic('Device-nGnRE', [
      accessAt('dc-zva', DEVICE + 0x40, { size: 64 }),
    ]);
    expect(transactions).toEqual([]);
    expect(events[0]).toMatchObject({ type: 'stage2-faulted', fault: { status: { kind: 'alignment' } } });
  });

  it('sends a load across two lines as two reads', () => {
    expect(sent(load(0x3c))).toEqual(['R4@3c', 'R4@40']);
  });
});

describe('any program of stores', () => {
  const steps = fc.array(
    fc.record({
      offset: fc.integer({ min: 0, max: 0x180 }),
      size: fc.constantFrom(1, 2, 4, 8),
      value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      barrier: fc.constantFrom<Step | null>(null, null, 'DMB', 'DGH'),
    }),
    { maxLength: 30 },
  );

  it('leaves the device with the same bytes, gathered or not', () => {
    fc.assert(
      property(steps, (program) => {
        const gathered = new Map<number, number>();
        const inOrder = new Map<number, number>();
        const run: Step[] = program.flatMap(({ offset, size, value, barrier }) => {
          const stored: Step = store(offset, size, value);
          for (let at = 0; at < size; at++) {
            inOrder.set(DEVICE + offset + at, Number((value >> BigInt(at * 8)) & 0xffn));
          }
          return barrier === null ? [stored] : [stored, barrier];
        });
        const { transactions, vcpu } = traffic('Normal-NC', [...run, 'end']);
        for (const { pa, bytes } of transactions) {
          for (const [at, byte] of (bytes ?? []).entries()) gathered.set(pa + at, byte);
        }
        expect(new Map([...gathered].sort())).toEqual(new Map([...inOrder].sort()));
        expect(vcpu.storeBuffer.lines).toEqual([]);
        expect(transactions.every(({ pa, size }) => (pa % 64) + size <= 64)).toBe(true);
      }),
      { seed: 11, numRuns: 300 },
    );
  });

  it('never lets more than the buffer holds wait', () => {
    fc.assert(
      property(steps, (program) => {
        const run = program.map(({ offset, size, value }) => store(offset, size, value));
        expect(
          traffic(
            'Device-GRE',
            run.filter(({ va, size }) => va % size === 0),
          ).vcpu.storeBuffer.lines.length,
        ).toBeLessThanOrEqual(LINES);
      }),
      { seed: 12, numRuns: 100 },
    );
  });
});
