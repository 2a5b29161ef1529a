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
import { decideGuest } from '../../src/guest/decide.ts';
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

export type Step = Access | Barrier | 'end';

export interface Traffic {
  readonly events: readonly GuestEvent[];
  readonly transactions: readonly Transaction[];
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
  return { geometry, table, cpu: CPU, interconnect };
}

/**
 * Runs the program to its last step; `end` is the end of the program.
 * @param choose who takes the choices that the type leaves; a typical processor unless given
 */
export function traffic(type: TypeName, steps: readonly Step[], choose?: Choose): Traffic {
  const regime = { ...regimeOf(type), ...(choose === undefined ? {} : { choose }) };
  const memory = new Map<number, number>();
  const at = { vm: 0, vcpu: 0 };
  const stage1 = { controls: STAGE_1_ON, paBits: 40 };
  const vcpu = initialVcpu({ type: 'vcpu-created', ...at, index: 0, stage1 });
  const events: GuestEvent[] = [];
  const hear = (input: GuestInput): void => {
    if (input.type !== 'access-translated') evolveVcpu(vcpu, input as Parameters<typeof evolveVcpu>[1]);
    for (const event of decideGuest(vcpu, 0, regime, input)) {
      events.push(event);
      evolveVcpu(vcpu, event);
      if (event.type === 'access-translated') hear(event);
      if (event.type !== 'transaction-issued') continue;
      const { access, kind, pa, size, bytes } = event.transaction;
      for (const [index, byte] of (bytes ?? []).entries()) memory.set(pa + index, byte);
      if (access === null) continue;
      const read = Array.from({ length: size }, (_, index) => memory.get(pa + index) ?? 0);
      hear({
        type: 'transaction-answered',
        ...at,
        access,
        value: kind === 'read' ? valueOfBytes(read) : null,
      });
    }
  };
  for (const step of steps) {
    if (step === 'end') hear({ type: 'program-ended', ...at });
    else if (typeof step === 'string') hear({ type: 'barrier-executed', ...at, barrier: step });
    else hear({ type: 'access-issued', ...at, access: step });
  }
  const transactions = events.flatMap((it) => (it.type === 'transaction-issued' ? [it.transaction] : []));
  return { events, transactions, vcpu };
}

/** `W64@0x0`: direction, bytes, offset in the device. */
export function shape({ kind, pa, size }: Transaction): string {
  return `${kind === 'read' ? 'R' : 'W'}${size}@${(pa - DEVICE).toString(16)}`;
}
