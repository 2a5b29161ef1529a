// A state of the machine as text, for comparing runs: tables by their leaves and bitmaps by their pages, whatever
// objects hold them. Persistent values are digested once.

import type { TranslationTable } from '../../src/arch/translation-table.ts';
import type { PageBitmap } from '../../src/host/page-bitmap.ts';
import type { MachineState } from '../../src/machine/state.ts';

const known = new WeakMap<object, string>();

function once(value: object, make: () => string): string {
  const found = known.get(value) ?? make();
  known.set(value, found);
  return found;
}

const json = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part));

const ofTable = <Leaf extends NonNullable<unknown>>(table: TranslationTable<Leaf>): string =>
  once(table.snapshot(), () => json([[...table.leaves()], [...table.tables()]]));

const ofBitmap = (bitmap: PageBitmap): string =>
  once(bitmap, () => json([bitmap.pages, bitmap.count, [...bitmap.set()]]));

export function digest({ vms, ...rest }: MachineState): string {
  const slices = vms.map(({ table, memory, slots, ...vm }) => [
    vm,
    ofTable(table),
    ofTable(memory),
    slots.map(({ dirty, ...slot }) => [slot, dirty === null ? null : ofBitmap(dirty)]),
  ]);
  return json([rest, slices]);
}
