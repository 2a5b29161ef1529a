// The persistent values that the machine's events carry besides plain data: the dirty bitmap of a memslot, written as
// its size and the runs of set pages.

import { PageBitmap } from '../../host/page-bitmap.ts';
import type { ValueCodec } from './values.ts';

interface Runs {
  /** Pages that the bitmap covers. */
  readonly pages: number;
  /** First page and count of each run of set pages, ascending. */
  readonly set: readonly (readonly [number, number])[];
}

const pageBitmap: ValueCodec = {
  name: 'PageBitmap',
  is: (value) => value instanceof PageBitmap,
  encode: (value): Runs => runsOf(value as PageBitmap),
  decode(data) {
    const { pages, set } = data as Runs;
    return set.reduce((bitmap, [first, count]) => bitmap.with(first, count), PageBitmap.empty(pages));
  },
};

function runsOf(bitmap: PageBitmap): Runs {
  const set: [number, number][] = [];
  for (const page of bitmap.set()) {
    const last = set.at(-1);
    if (last !== undefined && last[0] + last[1] === page) last[1] += 1;
    else set.push([page, 1]);
  }
  return { pages: bitmap.pages, set };
}

/** Codecs for journals of `MachineEvent`. */
export const MACHINE_VALUES: readonly ValueCodec[] = [pageBitmap];
