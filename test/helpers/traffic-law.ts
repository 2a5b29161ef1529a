// The law of memory types as an observer beside the device and the program can check it, written from DDI0487 B2.10 and
// independent of the simulator's own tables: which classes of behaviour a run shows, and what in it breaks the law.

import type { Access } from '../../src/arch/access.ts';
import type { Transaction } from '../../src/arch/transaction.ts';
import type { Seen, Step, TypeName } from './device-memory.ts';
import type { Class, Court, Op, Verdict } from './traffic-court.ts';
import { checkOrder, keyOf, moveOn } from './traffic-court.ts';
import { loadLaw } from './traffic-law-loads.ts';

/** Letters of each type: Speculation (Normal), Gathering, Reordering, Early write acknowledgement; eXclusives. */
const LETTERS: Readonly<Record<TypeName, string>> = {
  'Normal-WB': 'SGREX',
  'Normal-WT': 'SGRE',
  'Normal-NC': 'SGRE',
  'Device-GRE': 'GRE',
  'Device-nGRE': 'RE',
  'Device-nGnRE': 'E',
  'Device-nGnRnE': '',
};

export interface Run {
  readonly type: TypeName;
  readonly steps: readonly Step[];
  readonly seen: readonly Seen[];
}

const STORES: ReadonlySet<string> = new Set(['write', 'write-pair', 'exclusive-store', 'dc-zva']);

function opOf(access: Access, epoch: number): Op {
  const { id, kind, size, element, va, value = 0n } = access;
  const isPair = kind.endsWith('-pair');
  const isMultiple =
    isPair || element !== undefined || (size === 16 && (kind === 'read' || kind === 'write'));
  const register = isPair ? size / 2 : element === undefined ? size : Math.min(size, 16);
  const pa = kind === 'dc-zva' ? va - (va % size) : va;
  const unaligned = !isMultiple && kind !== 'dc-zva' && va % size !== 0;
  const atom = unaligned || kind === 'dc-zva' ? 1 : Math.min(isPair ? register : (element ?? size), 8);
  const mark = kind === 'dc-zva' ? 0 : Number(value & 0xffn);
  return { id, access, pa, size, isStore: STORES.has(kind), isMultiple, register, atom, epoch, mark };
}

function opsOf(steps: readonly Step[]): Map<number, Op> {
  const ops = new Map<number, Op>();
  let epoch = 0;
  for (const step of steps) {
    if (step === 'DMB' || step === 'DSB') epoch += 1;
    if (typeof step !== 'string' && 'kind' in step) ops.set(step.id, opOf(step, epoch));
  }
  return ops;
}

/** Judges a run of one vCPU. Stores write their own mark into each byte; no two of a program have the same. */
export function judge({ type, steps, seen }: Run): Verdict {
  const shown = new Set<Class>();
  const broken: string[] = [];
  const letters = LETTERS[type];
  const court: Court = {
    shown,
    broken,
    letters,
    ops: opsOf(steps),
    newest: new Map(),
    arrived: new Map(),
    refused: new Set(),
    state: { time: 0, latest: -1, epoch: 0, release: -1, since: 0 },
    may(letter, what, where) {
      shown.add(what);
      if (letter !== '' && !letters.includes(letter)) broken.push(`${what}: ${where}`);
    },
  };
  const marks = new Map(
    [...court.ops.values()].flatMap((op) => (op.isStore ? [[op.mark, op] as const] : [])),
  );
  const loads = loadLaw(court);
  for (const it of seen) {
    court.state.time += 1;
    if (it.at === 'step') begin(court, steps[it.step], loads);
    else if (it.at === 'bus') {
      if (it.transaction.kind === 'write') written(court, it.transaction, marks, loads);
      else loads.read(it.transaction);
    } else if (it.at === 'done') done(court, it, loads);
    else refuse(court, it.access);
  }
  atTheEnd(court);
  return { shown, broken };
}

type Loads = ReturnType<typeof loadLaw>;

function begin(court: Court, step: Step | undefined, loads: Loads): void {
  if (step === 'DMB' || step === 'DSB') court.state.since = court.state.time;
  if (step === undefined || typeof step === 'string') return;
  if ('outside' in step) {
    loads.memory.set(step.outside, step.byte);
    return;
  }
  const op = court.ops.get(step.id);
  // Whether an exclusive stores shows at its end.
  if (op?.isStore && op.access.kind !== 'exclusive-store') isNewest(court, op);
}

function isNewest({ newest }: Court, { id, pa, size }: Op): void {
  for (let at = 0; at < size; at += 1) newest.set(pa + at, id);
}

/** The exclusive of a refusal stores nothing. */
function refuse(court: Court, id: number): void {
  const op = court.ops.get(id);
  court.refused.add(id);
  if (op === undefined || !op.access.kind.startsWith('exclusive')) {
    court.broken.push(`access ${id} faults`);
    return;
  }
  court.shown.add('exclusive-refused');
  if (court.letters.includes('X')) court.broken.push(`exclusive-refused: ${id}`);
}

/** A write reaches the device. */
function written(court: Court, write: Transaction, marks: ReadonlyMap<number, Op>, loads: Loads): void {
  const { pa, size, bytes } = write;
  const where = `W${size}@${pa.toString(16)}`;
  const stores = new Set<Op>();
  for (const [at, byte] of (bytes ?? []).entries()) {
    const op = marks.get(byte);
    if (op === undefined || pa + at < op.pa || pa + at >= op.pa + op.size) {
      court.broken.push(`a byte that no store wrote: ${where}`);
      continue;
    }
    stores.add(op);
    arrives(court, op, pa + at, where);
    loads.memory.set(pa + at, byte);
  }
  if (stores.size > 1) {
    court.may('G', 'merged', where);
    if (new Set([...stores].map(({ epoch }) => epoch)).size > 1)
      court.broken.push(`merged over a barrier: ${where}`);
    if ([...stores].some(({ access }) => access.syndrome?.ar))
      court.broken.push(`merged with a release: ${where}`);
  }
  for (const op of stores) {
    const count = (bytes ?? []).filter((byte) => byte === op.mark).length;
    checkPiece(court, op, stores.size === 1 ? size : count, stores.size === 1 ? pa : null, where);
    checkOrder(court, op, where);
  }
  for (const op of stores) moveOn(court, op);
}

function arrives(court: Court, op: Op, address: number, where: string): void {
  const key = keyOf(address, op.id);
  if (court.arrived.has(key)) {
    if (op.isMultiple) court.shown.add('pieces-repeated');
    else court.broken.push(`stored twice: ${where}`);
  }
  const newer = court.newest.get(address) ?? op.id;
  for (let id = op.id + 1; id <= newer; id += 1) {
    if (court.arrived.has(keyOf(address, id)))
      court.broken.push(`an older store behind a newer one: ${where}`);
  }
  court.arrived.set(key, court.state.time);
}

/** Single accesses keep their size on nG; what is single-copy atomic is never torn. @param pa null: among others */
function checkPiece(court: Court, op: Op, size: number, pa: number | null, where: string): void {
  if (pa !== null && (size % op.atom !== 0 || (pa - op.pa) % op.atom !== 0)) {
    // Other stores may have replaced what is missing.
    if (!court.letters.includes('G')) court.broken.push(`torn: ${where}`);
  }
  if (size < op.size && !op.isMultiple && !court.letters.includes('G')) court.broken.push(`torn: ${where}`);
  if (size < Math.min(op.register, op.size)) court.shown.add('split');
  if (op.isMultiple && size > op.register) court.shown.add('joined');
  if (pa === null || !op.isMultiple) return;
  for (let address = pa + size; address < op.pa + op.size; address += 1) {
    const at = court.arrived.get(keyOf(address, op.id));
    if (at !== undefined && at < court.state.time) court.shown.add('pieces-reordered');
  }
}

type Done = Extract<Seen, { at: 'done' }>;

function done(court: Court, { access, value, because }: Done, loads: Loads): void {
  const op = court.ops.get(access);
  if (op === undefined) return;
  if (because === 'monitor-clear') {
    court.refused.add(access);
    return;
  }
  if (!op.isStore) {
    if (op.access.kind !== 'prefetch') loads.done(op, value);
    return;
  }
  isNewest(court, op);
  const addresses = Array.from({ length: op.size }, (_, at) => op.pa + at);
  if (addresses.some((address) => !court.arrived.has(keyOf(address, access))))
    court.may('E', 'acknowledged-early', `access ${access}`);
}

/** Nothing is lost: what never arrived was replaced, by a store that no barrier keeps from it. */
function atTheEnd(court: Court): void {
  const stores = [...court.ops.values()].filter(({ id, isStore }) => isStore && !court.refused.has(id));
  for (const op of stores) {
    for (let address = op.pa; address < op.pa + op.size; address += 1) {
      if (court.arrived.has(keyOf(address, op.id))) continue;
      court.may('G', 'replaced', `access ${op.id}`);
      const by = stores.find(
        (it) => it.id > op.id && it.epoch === op.epoch && address >= it.pa && address < it.pa + it.size,
      );
      if (by === undefined) court.broken.push(`lost: byte ${address.toString(16)} of access ${op.id}`);
    }
  }
}
