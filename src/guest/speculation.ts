// Reads of Normal memory that no load asked for (DDI0487 B2.10.1): a line fill, a neighbouring line, or a load down a
// path that is not taken, of any register near the access. Device memory is never read so (B2.10.2).

import type { Pa } from '../arch/addresses.ts';
import { alignDown } from '../arch/addresses.ts';
import type { Granule } from '../arch/geometry.ts';
import { levelSize } from '../arch/geometry.ts';
import { permits } from '../arch/permits.ts';
import type { PaRange, Transaction } from '../arch/transaction.ts';
import type { Choose } from './choices.ts';
import { chooseAny, TYPICAL } from './choices.ts';
import type { Translation } from './events.ts';
import { LINE_BYTES } from './store-buffer.ts';

const WORD = 4;

/** The addresses around an access that its stage-2 leaf and its endpoint cover. */
export function boundsOf({ pa, level }: Translation, granule: Granule, peripheral: PaRange): PaRange {
  const leaf = levelSize(granule, level);
  const start = alignDown(pa, leaf);
  return {
    start: Math.max(start, peripheral.start) as Pa,
    end: Math.min(start + leaf, peripheral.end) as Pa,
  };
}

/**
 * The speculative read that somebody chose before an access, if its type permits one: within the mapped leaf and the
 * device, where a translation and an endpoint are.
 */
export function speculativeRead(
  translation: Translation,
  bounds: PaRange,
  choose: Choose,
): Transaction | undefined {
  const { pa, combined } = translation;
  if (choose === TYPICAL || !permits(combined.type).speculativeReads.value) return undefined;
  const line = alignDown(pa, LINE_BYTES);
  const words = Array.from({ length: LINE_BYTES / WORD }, (_, index) =>
    read(line + index * WORD, WORD, translation),
  );
  const near = [
    read(line, LINE_BYTES, translation),
    read(line + LINE_BYTES, LINE_BYTES, translation),
    ...words,
  ];
  const possible = near.filter((it) => it.pa >= bounds.start && it.pa + it.size <= bounds.end);
  return chooseAny(choose, 'speculative-read', possible);
}

const read = (pa: number, size: number, { combined }: Translation): Transaction => ({
  kind: 'read',
  pa: pa as Pa,
  size,
  bytes: null,
  memoryType: combined.type,
  stores: 1,
  access: null,
  keeps: true,
});
