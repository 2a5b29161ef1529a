// Lines leaving the store buffer as writes: in which order and in which pieces, by choices where the memory type
// leaves some, else oldest first and whole.

import { permits } from '../arch/permits.ts';
import type { PaRange } from '../arch/transaction.ts';
import type { Choose } from './choices.ts';
import { chooseAny, cutOf, freeToLeave, inSomeOrder, TYPICAL } from './choices.ts';
import { issued } from './emit.ts';
import type { GuestEvent, TransactionBecause } from './events.ts';
import type { VcpuState } from './state.ts';
import type { Line, StoreBuffer } from './store-buffer.ts';
import { withoutLines, writesCut } from './store-buffer.ts';

/** The lines leave the buffer, each as its writes. @param lines oldest first */
export function drain(
  vcpu: VcpuState,
  id: number,
  lines: readonly Line[],
  because: TransactionBecause,
  choose: Choose = TYPICAL,
): GuestEvent[] {
  if (lines.length === 0) return [];
  const order = inSomeOrder(lines, choose);
  const ids = order.map((line) => line.id);
  const writes = order
    .flatMap((line) => writesCut(line, cutOf(line, permits(line.memoryType).sizeAndCountKept.value, choose)))
    .map((transaction) => issued(vcpu, id, transaction, because));
  return [{ type: 'store-lines-drained', vm: vcpu.vm, vcpu: id, lines: ids, because }, ...writes];
}

/** All lines of the buffer. */
export const drainAll = (
  vcpu: VcpuState,
  id: number,
  because: TransactionBecause,
  choose: Choose = TYPICAL,
): GuestEvent[] => drain(vcpu, id, vcpu.storeBuffer.lines, because, choose);

/** The lines within ranges of physical addresses whose translation is being invalidated. */
export const drainInvalidated = (vcpu: VcpuState, id: number, ranges: readonly PaRange[]): GuestEvent[] =>
  drain(
    vcpu,
    id,
    vcpu.storeBuffer.lines.filter(({ pa }) => ranges.some(({ start, end }) => pa >= start && pa < end)),
    'translation-invalidated',
  );

/** Lines that leave although nothing asks for it, one after the other until somebody chose none. */
export function drainEarly(
  vcpu: VcpuState,
  id: number,
  from: StoreBuffer,
  choose: Choose,
): { readonly events: GuestEvent[]; readonly buffer: StoreBuffer } {
  const events: GuestEvent[] = [];
  let buffer = from;
  while (choose !== TYPICAL) {
    const line = chooseAny(choose, 'early-drain', freeToLeave(buffer.lines));
    if (line === undefined) break;
    events.push(...drain(vcpu, id, [line], 'finite-time', choose));
    buffer = withoutLines(buffer, [line.id]);
  }
  return { events, buffer };
}
