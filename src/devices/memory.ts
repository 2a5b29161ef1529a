// Plain memory of a device, such as a frame buffer, or of the host: a sparse persistent array of bytes, so that a
// snapshot of a region of many GiB costs what was written. Bytes that nobody wrote are 0.

import { TranslationTable } from '../arch/translation-table.ts';

/** 64 bytes, the size of a gathered write, so that one store copies one line; null for a byte that is not known. */
type Line = readonly (number | null)[];

/** Lines of 4 KiB; null for a line that nobody wrote. */
type Page = readonly (Line | null)[];

export type DeviceMemory = TranslationTable<Page>;

const LINE = 64;
const PAGE = 4096;
const ZERO_LINE: Line = Array.from({ length: LINE }, () => 0);
const EMPTY_PAGE: Page = Array.from({ length: PAGE / LINE }, () => null);
const PAGE_LEVEL = 3;

export const EMPTY_MEMORY: DeviceMemory = TranslationTable.empty<Page>({
  granule: PAGE,
  startLevel: 0,
  inputBits: 48,
});

/** `size` bytes from `offset`, ascending; null for those that are not known. */
export function readMemory(memory: DeviceMemory, offset: number, size: number): (number | null)[] {
  return Array.from({ length: size }, (_, index) => {
    const at = offset + index;
    const line = memory.walk(at).leaf?.[Math.floor((at % PAGE) / LINE)] ?? ZERO_LINE;
    return line[at % LINE] ?? null;
  });
}

/** The memory with `bytes` at `offset`. */
export function writeMemory(
  memory: DeviceMemory,
  offset: number,
  bytes: readonly (number | null)[],
): DeviceMemory {
  let next = memory;
  for (let done = 0; done < bytes.length; ) {
    const at = offset + done;
    const count = Math.min(bytes.length - done, LINE - (at % LINE));
    const start = at - (at % PAGE);
    const page = next.walk(at).leaf ?? EMPTY_PAGE;
    const line = Math.floor((at % PAGE) / LINE);
    const fresh = (page[line] ?? ZERO_LINE).toSpliced(at % LINE, count, ...bytes.slice(done, done + count));
    next = next.withLeaf(start, PAGE_LEVEL, page.with(line, fresh));
    done += count;
  }
  return next;
}
