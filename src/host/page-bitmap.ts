// A dirty bitmap as a persistent value: one bit a page, in words of 64 as KVM's (kvm_vm_ioctl_clear_dirty_log
// protects word by word). Marking copies one chunk; clearing a whole log shares nothing and costs nothing.

/** Pages a chunk holds: 8 words of 64. */
const CHUNK_PAGES = 512;
const CHUNK_WORDS = CHUNK_PAGES / 32;

export class PageBitmap {
  readonly pages: number;
  readonly count: number;
  readonly #chunks: readonly (Uint32Array | undefined)[];

  private constructor(pages: number, count: number, chunks: readonly (Uint32Array | undefined)[]) {
    this.pages = pages;
    this.count = count;
    this.#chunks = chunks;
  }

  static empty(pages: number): PageBitmap {
    return new PageBitmap(pages, 0, []);
  }

  /** All pages set: KVM_DIRTY_LOG_INITIALLY_SET. */
  static full(pages: number): PageBitmap {
    return PageBitmap.empty(pages).with(0, pages);
  }

  has(page: number): boolean {
    const chunk = this.#chunks[Math.floor(page / CHUNK_PAGES)];
    const bit = page % CHUNK_PAGES;
    return chunk !== undefined && ((chunk[bit >>> 5] ?? 0) & (1 << (bit & 31))) !== 0;
  }

  with(first: number, count: number): PageBitmap {
    return this.#changed(first, count, true);
  }

  without(first: number, count: number): PageBitmap {
    return this.#changed(first, count, false);
  }

  /** Set pages in ascending order. */
  *set(first = 0, end = this.pages): Generator<number> {
    for (let page = first; page < end; page++) {
      if (page % CHUNK_PAGES === 0 && this.#chunks[page / CHUNK_PAGES] === undefined) page += CHUNK_PAGES - 1;
      else if (this.has(page)) yield page;
    }
  }

  #changed(first: number, count: number, value: boolean): PageBitmap {
    const end = Math.min(first + count, this.pages);
    const chunks = this.#chunks.slice();
    let changed = 0;
    for (let page = first; page < end; ) {
      const index = Math.floor(page / CHUNK_PAGES);
      const stop = Math.min(end, (index + 1) * CHUNK_PAGES);
      const chunk = new Uint32Array(CHUNK_WORDS);
      chunk.set(chunks[index] ?? []);
      for (; page < stop; page++) changed += writeBit(chunk, page % CHUNK_PAGES, value);
      chunks[index] = chunk;
    }
    return changed === 0
      ? this
      : new PageBitmap(this.pages, this.count + (value ? changed : -changed), chunks);
  }
}

function writeBit(chunk: Uint32Array, bit: number, value: boolean): number {
  const word = bit >>> 5;
  const mask = 1 << (bit & 31);
  const before = chunk[word] ?? 0;
  if (((before & mask) !== 0) === value) return 0;
  chunk[word] = value ? before | mask : before & ~mask;
  return 1;
}
