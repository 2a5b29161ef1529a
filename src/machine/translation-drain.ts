// What store buffers hold of a mapping that goes away: the host's TLBI is followed by a DSB, which completes only when
// every access that used the old translation has, so that these stores reach the device first (DDI0487 D8.17.5).

import type { Pa } from '../arch/addresses.ts';
import { levelSize } from '../arch/geometry.ts';
import type { PaRange } from '../arch/transaction.ts';
import { drainInvalidated } from '../guest/drain.ts';
import type { HostEvent } from '../host/events.ts';
import type { SlotRange } from '../host/memslot.ts';
import type { MachineEvent } from './events.ts';
import type { MachineState } from './state.ts';

/** The host's events, and behind them what leaves the store buffers because of them. @param state before them all */
export function withDrains(state: MachineState, events: readonly HostEvent[]): readonly MachineEvent[] {
  const drained = state.vcpus.flatMap((vcpu, id) => {
    if (vcpu.storeBuffer.lines.length === 0) return [];
    const ranges = events.flatMap((event) => ('vm' in event && event.vm === vcpu.vm ? lost(event) : []));
    return ranges.length === 0 ? [] : drainInvalidated(vcpu, id, mappedTo(state, vcpu.vm, ranges));
  });
  return drained.length === 0 ? events : [...events, ...drained];
}

/** Ranges of IPAs that an event takes out of stage 2. */
function lost(event: HostEvent): readonly SlotRange[] {
  if (event.type === 'notifier-invalidated') return event.slots;
  const changed = event.type === 'memslot-deleted' || event.type === 'memslot-set';
  return changed && event.unmapped !== null ? [event.unmapped] : [];
}

/** Where the leaves of those ranges lead. */
function mappedTo(state: MachineState, vm: number, ranges: readonly SlotRange[]): PaRange[] {
  const { table, geometry } = state.vms[vm] ?? {};
  if (table === undefined || geometry === undefined) return [];
  return ranges.flatMap(({ ipa, size }) =>
    [...table.leaves(ipa, ipa + size)].map(({ level, leaf: { outputAddress } }) => {
      const end = (outputAddress + levelSize(geometry.granule, level)) as Pa;
      return { start: outputAddress, end };
    }),
  );
}
