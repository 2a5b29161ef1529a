// The worst legal processor: for each memory type what it may and may not let a device see, as a table, checked on
// random programs. STAGETWO_ADVERSARY=100000 runs as many programs of each type.

import { describe, expect, it } from 'vitest';
import type { Access } from '../../src/arch/access.ts';
import { PERMIT_RULES } from '../../src/arch/permits.ts';
import { CHOICES } from '../../src/guest/choices.ts';
import { chooserFor } from '../../src/machine/adversary.ts';
import { nextBelow } from '../../src/machine/prng.ts';
import type { Step, Traffic, TypeName } from '../helpers/device-memory.ts';
import { DEVICE, traffic } from '../helpers/device-memory.ts';
import { accessAt } from '../helpers/machine.ts';

const PROGRAMS = Number(process.env.STAGETWO_ADVERSARY ?? 400);

/** Classes of behaviour, as a device can tell them. */
type Class = 'speculated' | 'merged' | 'replaced' | 'split' | 'reordered' | 'forwarded';

interface Row {
  readonly type: TypeName;
  readonly may: readonly Class[];
  readonly because: string;
}

const ALL: readonly Class[] = ['forwarded', 'merged', 'reordered', 'replaced', 'speculated', 'split'];

const ROWS: readonly Row[] = [
  { type: 'Normal-WB', may: ALL, because: PERMIT_RULES['normal-is-memory'] },
  { type: 'Normal-WT', may: ALL, because: PERMIT_RULES['normal-is-memory'] },
  { type: 'Normal-NC', may: ALL, because: PERMIT_RULES['normal-non-cacheable'] },
  {
    type: 'Device-GRE',
    may: ALL.filter((it) => it !== 'speculated'),
    because: `${PERMIT_RULES.gathering}; ${PERMIT_RULES['device-no-speculation']}`,
  },
  {
    type: 'Device-nGRE',
    may: ['reordered'],
    because: `${PERMIT_RULES['non-gathering']}; ${PERMIT_RULES.reordering}`,
  },
  { type: 'Device-nGnRE', may: [], because: PERMIT_RULES['non-reordering'] },
  { type: 'Device-nGnRnE', may: [], because: PERMIT_RULES['no-early-write-acknowledgement'] },
];

interface Program {
  readonly steps: readonly Step[];
  /** Where each store wrote, by its number, which is also the value of all its bytes. */
  readonly stores: readonly { readonly pa: number; readonly size: number }[];
  /** What each load has to give: the program's own latest stores. */
  readonly loads: ReadonlyMap<number, bigint>;
}

const STEPS = 24;
const SPAN = 0xc0;

/** Stores, loads and barriers close to each other; a store's number is the value of each of its bytes. */
function randomProgram(seed: number, unaligned: boolean): Program {
  let state = seed;
  const below = (limit: number): number => {
    const drawn = nextBelow(state, limit);
    state = drawn.state;
    return drawn.value;
  };
  const steps: Step[] = [];
  const stores: { pa: number; size: number }[] = [];
  const loads = new Map<number, bigint>();
  const memory = new Map<number, number>();
  const valueAt = (pa: number, size: number): bigint =>
    Array.from({ length: size }, (_, index) => BigInt(memory.get(pa + index) ?? 0)).reduceRight(
      (sum, byte) => sum * 256n + byte,
      0n,
    );
  while (steps.length < STEPS) {
    const size = [1, 4, 8, 8, 16][below(5)] ?? 8;
    const align = unaligned && below(4) === 0 ? 1 : size;
    const pa = DEVICE + align * below(Math.floor(SPAN / align) - 1);
    const what = below(16);
    const id = steps.length;
    if (what < 11) {
      stores.push({ pa, size });
      for (let index = 0; index < size; index += 1) memory.set(pa + index, stores.length);
      steps.push(accessAt('write', pa, { id, size, value: valueAt(pa, size) }));
    } else if (what < 14) {
      loads.set(id, valueAt(pa, size));
      steps.push(accessAt('read', pa, { id, size }));
    } else steps.push((['DMB', 'DSB', 'DGH'] as const)[below(3)] ?? 'DMB');
  }
  return { steps: [...steps, 'end'], stores, loads };
}

function run(type: TypeName, seed: number): { program: Program; result: Traffic } {
  const program = randomProgram(seed, type.startsWith('Normal'));
  const { choose } = chooserFor({ script: [], taken: 0, prng: seed });
  return { program, result: traffic(type, program.steps, choose) };
}

/** What the device can tell of a run. */
function classesOf({ stores, loads }: Program, { events, transactions }: Traffic): Set<Class> {
  const seen = new Set<Class>();
  if (events.some((it) => it.type === 'transaction-issued' && it.because === 'speculative-read'))
    seen.add('speculated');
  const arrived = transactions.filter(({ kind }) => kind === 'write').map(({ bytes }) => bytes ?? []);
  const bytesOf = (store: number): number => arrived.flat().filter((it) => it === store).length;
  if (arrived.some((bytes) => new Set(bytes).size > 1)) seen.add('merged');
  stores.forEach(({ size }, index) => {
    if (bytesOf(index + 1) < size) seen.add('replaced');
    if (arrived.filter((bytes) => bytes.includes(index + 1)).length > 1) seen.add('split');
  });
  const firsts = arrived.map((bytes) => Math.min(...bytes));
  if (firsts.some((first, index) => firsts.slice(0, index).some((before) => before > first)))
    seen.add('reordered');
  const answered = new Set(transactions.flatMap(({ kind, access }) => (kind === 'read' ? [access] : [])));
  if ([...loads.keys()].some((id) => !answered.has(id))) seen.add('forwarded');
  return seen;
}

/** Of all types: loads give what the program stored, bytes end as stored last, barriers empty the buffer. */
function alwaysHolds({ stores, loads }: Program, { events, transactions, vcpu }: Traffic): void {
  const completed = events.flatMap((it) => (it.type === 'access-completed' ? [it] : []));
  for (const [id, value] of loads) expect(completed.find(({ access }) => access === id)?.value).toBe(value);
  const last = new Map<number, number>();
  const wanted = new Map<number, number>();
  for (const { kind, pa, bytes } of transactions) {
    if (kind === 'read') continue;
    for (const [index, byte] of (bytes ?? []).entries()) {
      expect(last.get(pa + index) ?? 0, 'stores to one byte arrive in program order').toBeLessThanOrEqual(
        byte,
      );
      last.set(pa + index, byte);
    }
  }
  stores.forEach(({ pa, size }, store) => {
    for (let index = 0; index < size; index += 1) wanted.set(pa + index, store + 1);
  });
  expect([...last].sort()).toEqual([...wanted].sort());
  expect(vcpu.storeBuffer.lines).toEqual([]);
}

/** No transaction carries stores from both sides of a DMB or DSB, and none arrives on the wrong side. */
function barriersHold({ steps }: Program, { transactions }: Traffic): void {
  let barriers = 0;
  const epoch: number[] = [];
  for (const step of steps) {
    if (step === 'DMB' || step === 'DSB') barriers += 1;
    if (typeof step !== 'string' && step.kind === 'write') epoch.push(barriers);
  }
  const arrived = transactions.flatMap(({ bytes }) =>
    bytes === null ? [] : [bytes.map((it) => epoch[it - 1])],
  );
  expect(arrived.filter((epochs) => new Set(epochs).size > 1)).toEqual([]);
  const order = arrived.map(([first]) => first ?? 0);
  expect(order).toEqual(order.toSorted((a, b) => a - b));
}

describe.each(ROWS)('the worst legal processor on $type memory', ({ type, may, because }) => {
  it(`shows ${may.length === 0 ? 'nothing' : may.join(', ')}, and nothing else (${because})`, () => {
    const seen = new Set<Class>();
    for (let seed = 1; seed <= PROGRAMS; seed += 1) {
      const { program, result } = run(type, seed);
      const classes = classesOf(program, result);
      const forbidden = [...classes].filter((it) => !may.includes(it));
      if (forbidden.length > 0) expect(forbidden, `seed ${seed}`).toEqual([]);
      for (const it of classes) seen.add(it);
    }
    expect([...seen].sort()).toEqual([...may].sort());
  }, 600_000);

  it('loses no store, keeps the order of stores to one byte, and honours barriers', () => {
    for (let seed = 1; seed <= Math.min(PROGRAMS, 100); seed += 1) {
      const { program, result } = run(type, seed);
      alwaysHolds(program, result);
      barriersHold(program, result);
    }
  });
});

const stepOf = (access: Access): string => `${access.kind} ${access.size}@${access.va.toString(16)}`;

describe.each(['Device-nGnRE', 'Device-nGnRnE'] as const)('%s', (type) => {
  it('lets every access arrive once, as it is, in program order (B2.10.2 nG, nR)', () => {
    for (let seed = 1; seed <= 100; seed += 1) {
      const { program, result } = run(type, seed);
      const issued = program.steps.flatMap((step) => (typeof step === 'string' ? [] : [stepOf(step)]));
      const arrived = result.transactions.map(({ kind, size, pa }) => `${kind} ${size}@${pa.toString(16)}`);
      expect(arrived).toEqual(issued);
    }
  });
});

describe('an adversary', () => {
  it('takes every choice there is, each option of it', () => {
    const taken = new Map<string, Set<number>>();
    for (let seed = 1; seed <= 200; seed += 1) {
      const { steps } = randomProgram(seed, true);
      const chooser = chooserFor({ script: [], taken: 0, prng: seed });
      const hint = accessAt('prefetch', DEVICE + 0x80, { id: 99, size: 64 });
      traffic('Normal-NC', [...steps.slice(0, -1), hint, 'end'], chooser.choose);
      for (const { what, chosen } of chooser.taken().choices) {
        taken.set(what, (taken.get(what) ?? new Set()).add(chosen));
      }
    }
    expect([...taken.keys()].sort()).toEqual(Object.keys(CHOICES).sort());
    expect([...taken.values()].every((options) => options.size > 1)).toBe(true);
  });

  it('repeats itself from the list of what it chose', () => {
    const { steps } = randomProgram(7, true);
    const first = chooserFor({ script: [], taken: 0, prng: 7 });
    const { events } = traffic('Normal-NC', steps, first.choose);
    const script = first.taken().choices.map(({ chosen }) => chosen);

    expect(traffic('Normal-NC', steps, chooserFor({ script, taken: 0, prng: null }).choose).events).toEqual(
      events,
    );
  });

  it('is a typical processor where it chooses 0 throughout', () => {
    const { steps } = randomProgram(3, true);
    const choose = chooserFor({ script: [], taken: 0, prng: null }).choose;

    expect(traffic('Normal-NC', steps, choose).transactions).toEqual(
      traffic('Normal-NC', steps).transactions,
    );
  });
});
