// A vCPU whose stage 2 leads one page to a device with a memory type of choice: runs a program of accesses
// and barriers and gives what left the processor. No host and no device; reads are answered from bytes of memory.

import type { Access } from '../../src/arch/access.ts';
import type { Pa } from '../../src/arch/addresses.ts';
import { stage2Geometry } from '../../src/arch/geometry.ts';
import { STAGE_1_ON } from '../../src/arch/stage1.ts';
import type { Transaction } from '../../src/arch/transaction.ts';
import { valueOfBytes } from '../../src/arch/transaction.ts';
import { TranslationTable } from '../../src/arch/translation-table.ts';
import type { Choose } from '../../src/guest/choices.ts';
import type { GuestInput, GuestRegime } from '../../src/guest/decide.ts';
import { decideGuest, GUEST_HEARS } from '../../src/guest/decide.ts';
import type { Barrier, GuestEvent } from '../../src/guest/events.ts';
import { evolveVcpu, initialVcpu } from '../../src/guest/evolve.ts';
import type { VcpuState } from '../../src/guest/state.ts';
import { CPU } from './machine.ts';

/** Stage-2 MemAttr with FWB = 0 (R_HMNDG); with a Normal stage 1 the result is the type itself. */
export const MEM_ATTR = {
  'Device-nGnRnE': 0b0000,
  'Device-nGnRE': 0b0001,
  'Device-nGRE': 0b0010,
  'Device-GRE': 0b0011,
  'Normal-NC': 0b0101,
  'Normal-WT': 0b1010,
  'Normal-WB': 0b1111,
} as const;

export type TypeName = keyof typeof MEM_ATTR;

/** IPA and PA of the device's pages. */
export const DEVICE = 0x1000_0000;
const PAGES = 2;
const PAGE = 4096;

/** Somebody else changes a byte of the device. */
export interface Outside {
  readonly outside: number;
  readonly byte: number;
}

export type Step = Access | Barrier | Outside | 'end';

/** What an observer beside the device and the program sees, in order. */
export type Seen =
  | { readonly at: 'step'; readonly step: number }
  | { readonly at: 'bus'; readonly transaction: Transaction }
  | {
      readonly at: 'done';
      readonly access: number;
      readonly value: bigint | null;
      readonly because: string | null;
    }
  | { readonly at: 'fault'; readonly access: number };

export interface Traffic {
  readonly events: readonly GuestEvent[];
  readonly transactions: readonly Transaction[];
  readonly seen: readonly Seen[];
  readonly vcpu: VcpuState;
}

function regimeOf(type: TypeName): GuestRegime {
  const geometry = stage2Geometry({ granule: PAGE, ipaBits: 40, lpa2: false });
  const attributes = {
    memAttr: MEM_ATTR[type],
    read: true,
    write: true,
    xn: 2,
    sh: 0,
    af: true,
    fnXS: false,
    nT: false,
    dbm: false,
    contiguous: false,
    software: 0,
  } as const;
  let table: GuestRegime['table'] = TranslationTable.empty({
    granule: PAGE,
    startLevel: geometry.startLevel,
    inputBits: geometry.ipaBits,
  });
  for (let page = 0; page < PAGES; page++) {
    const at = DEVICE + page * PAGE;
    table = table.withLeaf(at, 3, { outputAddress: at as Pa, attributes });
  }
  const interconnect = [{ start: DEVICE as Pa, end: (DEVICE + PAGES * PAGE) as Pa }];
  return { geometry, table, cpu: CPU, interconnect, isObserved: true };
}

const REGIMES = new Map<TypeName, GuestRegime>();

function regimeFor(type: TypeName): GuestRegime {
  const regime = REGIMES.get(type) ?? regimeOf(type);
  REGIMES.set(type, regime);
  return regime;
}

const AT = { vm: 0, vcpu: 0 } as const;

/** What the device makes of a transaction, and its answer if somebody wants one. */
function answerOf(memory: Map<number, number>, { transaction }: GuestEvent & { type: 'transaction-issued' }) {
  const { access, kind, pa, size, bytes, memoryType, keeps } = transaction;
  for (const [index, byte] of (bytes ?? []).entries()) memory.set(pa + index, byte);
  if (access === null && keeps !== true) return null;
  const value =
    kind === 'read'
      ? valueOfBytes(Array.from({ length: size }, (_, index) => memory.get(pa + index) ?? 0))
      : null;
  if (access !== null) return { type: 'transaction-answered', ...AT, access, value } as const;
  return { type: 'speculation-answered', ...AT, read: { pa, size, memoryType, value: value ?? 0n } } as const;
}

type Queued = Parameters<typeof evolveVcpu>[1] | (GuestEvent & { type: 'transaction-issued' });

const HEARS: ReadonlySet<string> = new Set(GUEST_HEARS);

/**
 * Runs the program to its last step, with a queue as the bus has it; `end` is the end of the program. Stage 1 is
 * Normal Write-Back, so that stage 2 alone decides.
 * @param choose who takes the choices that the type leaves; a typical processor unless given
 */
export function traffic(type: TypeName, steps: readonly Step[], choose?: Choose): Traffic {
  const regime = { ...regimeFor(type), ...(choose === undefined ? {} : { choose }) };
  const memory = new Map<number, number>();
  const stage1 = { controls: STAGE_1_ON, paBits: 40 };
  const vcpu = initialVcpu({ type: 'vcpu-created', ...AT, index: 0, stage1 });
  const events: GuestEvent[] = [];
  const seen: Seen[] = [];
  const queue: Queued[] = [];
  const hear = (first: Queued): void => {
    queue.push(first);
    for (let input = queue.shift(); input !== undefined; input = queue.shift()) {
      evolveVcpu(vcpu, input);
      if (input.type === 'transaction-issued') {
        const answer = answerOf(memory, input);
        if (answer !== null) queue.push(answer);
        seen.push({ at: 'bus', transaction: input.transaction });
      } else if (input.type === 'access-completed') {
        seen.push({ at: 'done', access: input.access, value: input.value, because: input.because });
      } else if (input.type === 'stage2-faulted') seen.push({ at: 'fault', access: input.access.id });
      if (!HEARS.has(input.type)) continue;
      const decided = decideGuest(vcpu, 0, regime, input as GuestInput);
      events.push(...decided);
      queue.push(...decided);
    }
  };
  for (const [index, step] of steps.entries()) {
    seen.push({ at: 'step', step: index });
    if (step === 'end') hear({ type: 'program-ended', ...AT });
    else if (typeof step === 'string') hear({ type: 'barrier-executed', ...AT, barrier: step });
    else if ('outside' in step) memory.set(step.outside, step.byte);
    else hear({ type: 'access-issued', ...AT, access: { ...step, stage1: WRITE_BACK } });
  }
  const transactions = events.flatMap((it) => (it.type === 'transaction-issued' ? [it.transaction] : []));
  return { events, transactions, seen, vcpu };
}

/** MAIR byte and SH of stage 1. */
const WRITE_BACK = { attr: 0xff, sh: 3 } as const;

/** `W64@0x0`: direction, bytes, offset in the device. */
export function shape({ kind, pa, size }: Transaction): string {
  return `${kind === 'read' ? 'R' : 'W'}${size}@${(pa - DEVICE).toString(16)}`;
}
