// A store into the store buffer: which line its parts join, what has to make room, and what leaves. Types that gather
// merge (DDI0487 B2.10 G); those that only permit reordering keep each access in a line of its own.

import type { Access } from '../arch/access.ts';
import { isRelease } from '../arch/access.ts';
import type { MemoryType } from '../arch/memory-type.ts';
import { permits } from '../arch/permits.ts';
import type { Choose } from './choices.ts';
import { chooseFrom, freeToLeave, TYPICAL } from './choices.ts';
import { drain, drainEarly } from './drain.ts';
import { completed } from './emit.ts';
import type { GuestEvent, TransactionBecause, Translation } from './events.ts';
import { extentOf, transactionsOf } from './pieces.ts';
import type { Plan } from './plan.ts';
import type { VcpuState } from './state.ts';
import type { BufferedStore, Line, StoreBuffer } from './store-buffer.ts';
import {
  byLine,
  isFull,
  LINES,
  lineFor,
  mergesOver,
  newestLine,
  withElders,
  withOverlappingElders,
  withoutLines,
  withStoreIn,
} from './store-buffer.ts';

/**
 * Whether a store waits in the buffer: it may merge and is acknowledged early. A processor that uses every latitude
 * holds back the stores of nGRE too, to reorder them, and those of nGnRE where somebody could see it. Exclusives need
 * to know how they ended, and a store-release leaves in its place.
 */
export function buffersStore(
  access: Access,
  memoryType: MemoryType,
  isObserved: boolean,
  choose: Choose,
): boolean {
  if (access.kind !== 'write' && access.kind !== 'write-pair' && access.kind !== 'dc-zva') return false;
  const { gathering, reordering, earlyWriteAcknowledgement } = permits(memoryType);
  if (isRelease(access) || !earlyWriteAcknowledgement.value) return false;
  if (gathering.value) return true;
  if (choose === TYPICAL) return false;
  return reordering.value || (isObserved && choose('early-acknowledgement', 2) === 1);
}

/** The parts that enter lines: cut at lines where the type gathers, else the accesses as they are. */
function partsOf(access: Access, { pa, combined }: Translation, plan: Plan | null): readonly BufferedStore[] {
  const { type } = combined;
  if (!permits(type).gathering.value) {
    const once = plan?.pieces.filter((it, at, all) => all.findIndex((other) => other.pa === it.pa) === at);
    return transactionsOf(access, pa, type, false, once);
  }
  if (plan === null || plan.pieces.length < 2) return byLine(extentOf(access, pa, type));
  return transactionsOf(access, pa, type, false, plan.pieces).flatMap(byLine);
}

/**
 * A store into the buffer: a part for each line, a line making room, a full line leaving at once.
 */
export function bufferStore(
  vcpu: VcpuState,
  id: number,
  access: Access,
  translation: Translation,
  plan: Plan | null,
  choose: Choose,
): GuestEvent[] {
  const events: GuestEvent[] = [];
  let buffer = vcpu.storeBuffer;
  const leave = (lines: readonly Line[], because: TransactionBecause): void => {
    events.push(...drain(vcpu, id, lines, because, choose));
    buffer = withoutLines(
      buffer,
      lines.map((line) => line.id),
    );
  };
  const elders = choose === TYPICAL ? withElders : withOverlappingElders;
  for (const { pa, size, bytes, memoryType } of partsOf(access, translation, plan)) {
    const part = { pa, size, bytes, memoryType };
    const into = lineChosen(buffer, part, choose);
    if (into === null && buffer.lines.length >= LINES) {
      const line = chooseFrom(choose, 'drain-order', freeToLeave(buffer.lines));
      if (line !== undefined) leave([line], 'store-buffer-full');
    }
    const store = { type: 'store-buffered', vm: vcpu.vm, vcpu: id, access: access.id, store: part } as const;
    events.push(choose === TYPICAL ? store : { ...store, into });
    buffer = withStoreIn(buffer, part, into, access.id);
    const line = into === null ? newestLine(buffer, part) : buffer.lines.find((it) => it.id === into);
    if (line !== undefined && isFull(line)) leave(elders(buffer, line), 'line-full');
  }
  events.push(...drainEarly(vcpu, id, buffer, choose).events);
  return [...events, completed(vcpu, id, access, { translation })];
}

/** Number of the line that the part joins; null for one of its own. */
function lineChosen(buffer: StoreBuffer, part: BufferedStore, choose: Choose): number | null {
  const line = lineFor(buffer, part);
  if (choose === TYPICAL) return line?.id ?? null;
  if (line !== undefined) return choose('merge', 2) === 0 ? line.id : null;
  const over = mergesOver(buffer, part);
  return over !== undefined && choose('merge-same-bytes', 2) === 1 ? over.id : null;
}
