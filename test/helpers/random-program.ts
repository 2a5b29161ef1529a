// Random programs of one vCPU for a device: stores, loads, pairs, vectors, exclusives, barriers and hints close to each
// other, so that every latitude of a memory type has something to work on.

import type { Access, AccessKind } from '../../src/arch/access.ts';
import { NO_SYNDROME } from '../../src/arch/esr.ts';
import { nextBelow } from '../../src/machine/prng.ts';
import type { Step } from './device-memory.ts';
import { DEVICE } from './device-memory.ts';
import { accessAt } from './machine.ts';

/** Bytes of the device that a program touches: four lines, and a fifth that makes room scarce. */
const SPAN = 0x140;
const LINE = 64;
/** From here on bytes are those of somebody else. */
const OTHERS = 200;

type Below = (limit: number) => number;

interface Draft {
  readonly below: Below;
  readonly steps: Step[];
  /** Normal memory takes unaligned accesses and DC ZVA. */
  readonly isNormal: boolean;
}

/**
 * A program of about `length` steps. The bytes of a store are its own mark, 1 to 199; DC ZVA writes 0 and comes once.
 * @param seed 0 to 2^32 - 1
 */
export function randomProgram(seed: number, isNormal: boolean, length = 24): readonly Step[] {
  let state = seed;
  const below: Below = (limit) => {
    const drawn = nextBelow(state, limit);
    state = drawn.state;
    return drawn.value;
  };
  const draft: Draft = { below, steps: [], isNormal };
  while (draft.steps.length < length) addStep(draft);
  draft.steps.push('end');
  return draft.steps;
}

function addStep(draft: Draft): void {
  const { below, steps, isNormal } = draft;
  const what = below(32);
  if (what < 13) store(draft);
  else if (what < 22) load(draft);
  else if (what < 24) loop(draft);
  else if (what < 26) steps.push({ outside: DEVICE + below(SPAN), byte: OTHERS + below(50) });
  else if (what < 28) steps.push((['DMB', 'DSB', 'DGH', 'ISB'] as const)[below(4)] ?? 'DMB');
  else if (what === 28) exclusives(draft);
  else if (what === 29 && isNormal) zero(draft);
  else if (what === 30) push(draft, 'prefetch', LINE, LINE, {});
  else store(draft);
}

const sameByte = (mark: number, size: number): bigint =>
  BigInt(mark) * ((2n ** BigInt(size * 8) - 1n) / 255n);

/** An address for `size` bytes, a multiple of `align`, in one page. */
const place = ({ below }: Draft, size: number, align: number): number =>
  DEVICE + align * below(Math.floor((SPAN - size) / align) + 1);

function push(draft: Draft, kind: AccessKind, size: number, align: number, more: Partial<Access>): void {
  const id = draft.steps.length;
  const isStore = kind === 'write' || kind === 'write-pair' || kind === 'exclusive-store';
  const value = isStore ? { value: sameByte(id + 1, size) } : {};
  const at = more.va ?? place(draft, size, align);
  draft.steps.push({ ...accessAt(kind, at, { id, size, ...value }), ...more });
}

const ordered = { syndrome: { ...NO_SYNDROME, isv: true, ar: true } };

function store(draft: Draft): void {
  const { below, isNormal } = draft;
  const size = [1, 2, 4, 4, 8, 8][below(6)] ?? 8;
  const align = isNormal && below(4) === 0 ? 1 : size;
  const form = below(16);
  if (form < 10) push(draft, 'write', size, align, {});
  else if (form < 12) push(draft, 'write-pair', [8, 16, 32][below(3)] ?? 16, 16, {});
  else if (form === 12) push(draft, 'write', 32, 8, { element: 8 });
  else if (form === 13) push(draft, 'write', size, size, ordered);
  else push(draft, 'write', 16, 16, {});
}

function load(draft: Draft): void {
  const { below, isNormal } = draft;
  const size = [1, 2, 4, 8][below(4)] ?? 8;
  const align = isNormal && below(4) === 0 ? 1 : size;
  const form = below(16);
  if (form < 8) push(draft, 'read', size, align, {});
  else if (form < 10) push(draft, 'read-pair', [8, 16, 32][below(3)] ?? 16, 16, {});
  else if (form === 10) push(draft, 'read', 32, 8, { element: 8 });
  else if (form === 11) push(draft, 'read', 8, 8, { element: 8 });
  else if (form === 12) push(draft, 'read', 16, 16, {});
  else if (form === 13) push(draft, 'read', size, size, ordered);
  else push(draft, 'read', size, size, { dependent: true });
}

/** Loads of a loop, each certain once the first is. */
function loop(draft: Draft): void {
  const start = place(draft, 32, 8);
  for (let at = 0; at < 32; at += 8) {
    const va = (start + at) as Access['va'];
    push(draft, 'read', 8, 8, { va, ahead: 24 - at });
  }
}

function exclusives(draft: Draft): void {
  const va = place(draft, 8, 8) as Access['va'];
  push(draft, 'exclusive-load', 8, 8, { va });
  push(draft, 'exclusive-store', 8, 8, { va });
}

function zero(draft: Draft): void {
  const isThere = draft.steps.some(
    (step) => typeof step !== 'string' && 'kind' in step && step.kind === 'dc-zva',
  );
  if (!isThere) push(draft, 'dc-zva', LINE, LINE, {});
}
