// What the host's own page table holds after a touch, page by page, and in which events that is told: populating,
// zero pages, huge pages at the edges of a VMA, protection, hugetlb, guest_memfd.

import { describe, expect, it } from 'vitest';
import type { Hva, Ipa } from '../../src/arch/addresses.ts';
import type { VmaBacking } from '../../src/host/vma.ts';
import type { MachineOptions, TestMachine } from '../helpers/host.ts';
import { anon, G, hugetlb, K, M, machine, RAM_HVA, RAM_IPA } from '../helpers/host.ts';

const PAGE = 4 * K;

function withRam(options: MachineOptions = {}, backing: VmaBacking = anon(), size = 4 * M, hva = RAM_HVA) {
  const m = machine(options);
  m.vm.mmap(hva, size, backing);
  m.vm.slot(0, { ipa: RAM_IPA, size, hva });
  return m;
}

/** What `act` made the host populate: [offset from RAM_HVA, level, count] of each event. */
function populated({ log }: TestMachine, act: () => unknown): (readonly [number, number, number])[] {
  const from = log.length;
  act();
  return log
    .slice(from)
    .flatMap((event) =>
      event.type === 'host-pages-set' ? [[event.hva - RAM_HVA, event.level, event.count] as const] : [],
    );
}

const entries = ({ vm }: TestMachine) =>
  [...vm.state().memory.leaves()].map(({ address, level, leaf }) => ({
    at: address - RAM_HVA,
    level,
    kind: leaf.kind,
  }));

describe('stores of the VMM', () => {
  it('populate neighbouring absent pages at once, each with a page of its own', () => {
    const m = withRam();
    expect(populated(m, () => m.vm.hostWrite(RAM_HVA + PAGE, 8 * PAGE))).toEqual([[PAGE, 3, 8]]);
    const pages = [...m.vm.state().memory.leaves()].map(({ leaf }) => (leaf.kind === 'page' ? leaf.pa : 0));
    expect(new Set(pages).size).toBe(8);
    expect(populated(m, () => m.vm.hostWrite(RAM_HVA, 2 * PAGE))).toEqual([[0, 3, 1]]);
    expect(entries(m)).toHaveLength(9);
  });

  it('go around what is present; what MADV_DONTNEED emptied is absent', () => {
    const m = withRam();
    m.vm.hostWrite(RAM_HVA + 3 * PAGE, PAGE);
    m.vm.hostWrite(RAM_HVA + 5 * PAGE, PAGE);
    m.vm.dontneed(RAM_HVA + 5 * PAGE, PAGE);
    expect(populated(m, () => m.vm.hostWrite(RAM_HVA, 8 * PAGE))).toEqual([
      [0, 3, 3],
      [4 * PAGE, 3, 4],
    ]);
  });

  it('touch every page that a byte of theirs lies in, and stop at the end of a VMA', () => {
    const m = withRam({}, anon(), 4 * PAGE);
    m.vm.mmap(RAM_HVA + 4 * PAGE, 4 * PAGE, anon());
    expect(populated(m, () => m.vm.hostWrite(RAM_HVA + 100, PAGE))).toEqual([[0, 3, 2]]);
    expect(populated(m, () => m.vm.hostWrite(RAM_HVA, 16 * PAGE))).toEqual([
      [2 * PAGE, 3, 2],
      [4 * PAGE, 3, 4],
    ]);
  });

  it('to every megabyte touch one page each', () => {
    const m = withRam();
    m.vm.hostWrite(RAM_HVA + 8, 4 * M, M);
    expect(entries(m).map(({ at }) => at)).toEqual([0, M, 2 * M, 3 * M]);
  });

  it('take huge pages where their window lies in the VMA, and pages before and behind', () => {
    const m = machine();
    m.vm.mmap(RAM_HVA + M, 4 * M, anon('hugepage'));
    const events = populated(m, () => m.vm.hostWrite(RAM_HVA + M, 4 * M));
    expect(events).toEqual([
      [M, 3, 256],
      [2 * M, 2, 1],
      [4 * M, 3, 256],
    ]);
    expect(populated(m, () => m.vm.hostWrite(RAM_HVA + M, 4 * M))).toEqual([]);
  });

  it('from the middle of a window take its huge page, and the next', () => {
    const m = withRam({}, anon('hugepage'));
    expect(populated(m, () => m.vm.hostWrite(RAM_HVA + M, 2 * M))).toEqual([
      [0, 2, 1],
      [2 * M, 2, 1],
    ]);
  });

  it('keep to pages in a table that has pages already', () => {
    const m = withRam({}, anon('hugepage'));
    m.vm.hostWrite(RAM_HVA, 4 * M);
    m.vm.pageout(RAM_HVA, PAGE);
    m.vm.dontneed(RAM_HVA + PAGE, 2 * PAGE);
    expect(populated(m, () => m.vm.hostWrite(RAM_HVA + PAGE, 2 * PAGE))).toEqual([[PAGE, 3, 2]]);
  });

  it('take memory that nobody else has, whatever came before', () => {
    const m = withRam({}, anon('hugepage'));
    m.vm.mmap(RAM_HVA + G, 4 * M, hugetlb(2 * M));
    m.vm.mmap(RAM_HVA + 2 * G, 4 * M, anon());
    for (const at of [2 * G, 0, 2 * G + PAGE, G, 2 * G + 4 * PAGE]) m.vm.hostWrite(RAM_HVA + at, 2 * PAGE);
    const taken = [...m.vm.state().memory.leaves()]
      .flatMap(({ level, leaf }) =>
        leaf.kind === 'page' ? [{ pa: leaf.pa, size: level === 2 ? 2 * M : PAGE }] : [],
      )
      .sort((a, b) => a.pa - b.pa);
    expect(taken).toHaveLength(2 + 5);
    for (const [index, { pa }] of taken.slice(1).entries()) {
      const before = taken[index];
      expect(pa).toBeGreaterThanOrEqual((before?.pa ?? 0) + (before?.size ?? 0));
    }
  });

  it('fill hugetlb page by page of its own size', () => {
    const m = withRam({}, hugetlb(2 * M));
    expect(populated(m, () => m.vm.hostWrite(RAM_HVA + M, 2 * M))).toEqual([
      [0, 2, 1],
      [2 * M, 2, 1],
    ]);
    expect(populated(m, () => m.vm.hostRead(RAM_HVA, 4 * M))).toEqual([]);
    const contiguous = withRam({}, hugetlb(64 * K), M);
    expect(populated(contiguous, () => contiguous.vm.hostWrite(RAM_HVA + 70 * K, 1))).toEqual([
      [64 * K, 3, 16],
    ]);
  });
});

describe('loads of the VMM', () => {
  it('put the one zero page behind each page, which guests then see read-only', () => {
    const m = withRam();
    expect(populated(m, () => m.vm.hostRead(RAM_HVA, 2 * PAGE))).toEqual([
      [0, 3, 1],
      [PAGE, 3, 1],
    ]);
    expect(populated(m, () => m.vm.hostRead(RAM_HVA, 2 * PAGE))).toEqual([]);
    m.vm.read(RAM_IPA);
    m.vm.read(RAM_IPA + PAGE + 0x10);
    const [first, second] = [m.vm.leafAt(RAM_IPA), m.vm.leafAt(RAM_IPA + PAGE)];
    expect(first).toMatchObject({ write: false });
    expect(second?.pa).toBe(first?.pa);
    m.vm.write(RAM_IPA + 2 * PAGE);
    expect(m.vm.leafAt(RAM_IPA + 2 * PAGE)?.pa).not.toBe(first?.pa);
  });

  it('put the huge zero page behind a window: each page of it is another part', () => {
    const m = machine();
    m.vm.mmap(RAM_HVA, 4 * M, anon('hugepage'));
    m.vm.slot(0, { ipa: RAM_IPA + PAGE, size: 4 * M, hva: RAM_HVA });
    m.vm.read(RAM_IPA + PAGE);
    m.vm.read(RAM_IPA + 4 * PAGE);
    const [first, fourth] = [m.vm.leafAt(RAM_IPA + PAGE), m.vm.leafAt(RAM_IPA + 4 * PAGE)];
    expect((fourth?.pa ?? 0) - (first?.pa ?? 0)).toBe(3 * PAGE);
    expect((first?.pa ?? 1) % (2 * M)).toBe(0);
    m.vm.mmap(RAM_HVA + G, 4 * M, anon());
    m.vm.slot(1, { ipa: RAM_IPA + G, size: 4 * M, hva: RAM_HVA + G });
    m.vm.read(RAM_IPA + G);
    const small = m.vm.leafAt(RAM_IPA + G)?.pa ?? 0;
    expect(Math.abs(small - (first?.pa ?? 0))).toBeGreaterThanOrEqual(2 * M);
  });
});

describe('the first store to a zero page', () => {
  it('splits the huge one into zero pages, copies the page of the store, and says why of both', () => {
    const m = withRam({ kernel: '6.12' }, anon('hugepage'));
    m.vm.read(RAM_IPA);
    const from = m.log.length;
    m.vm.hostWrite(RAM_HVA + PAGE + 8, 1);
    const sent = m.log.slice(from).flatMap((event) => (event.type === 'notifier-invalidated' ? [event] : []));
    expect(sent.map(({ because, start, end }) => [because, start - RAM_HVA, end - RAM_HVA])).toEqual([
      ['huge-page-split', 0, 2 * M],
      ['copy-on-write', PAGE, 2 * PAGE],
    ]);
    const kinds = entries(m).map(({ kind }) => kind);
    expect(kinds).toHaveLength(512);
    expect(kinds.slice(0, 3)).toEqual(['zero', 'page', 'zero']);
  });
});

describe('a page of a mapping that became writable again', () => {
  it('is writable for the guest again, and keeps its page', () => {
    for (const [backing, level] of [
      [anon(), 3],
      [anon('hugepage'), 2],
    ] as const) {
      const m = withRam({ kernel: '6.12' }, backing);
      m.vm.hostWrite(RAM_HVA, 4 * M);
      m.vm.mprotect(RAM_HVA, 4 * M, 'read');
      m.vm.read(RAM_IPA + M);
      const before = m.vm.leafAt(RAM_IPA + M);
      expect(before).toMatchObject({ level, write: false });
      m.vm.mprotect(RAM_HVA, 4 * M, 'read-write');
      m.vm.write(RAM_IPA + M);
      expect(m.vm.leafAt(RAM_IPA + M)).toMatchObject({ level, write: true, pa: before?.pa });
    }
  });
});

describe('a page from swap', () => {
  it('is read-only for the guest where the mapping is, even on kernels that bring it back writable', () => {
    const m = withRam({ kernel: '6.12' });
    m.vm.hostWrite(RAM_HVA, 2 * PAGE);
    m.vm.pageout(RAM_HVA, 2 * PAGE);
    m.vm.mprotect(RAM_HVA, 4 * M, 'read');
    m.vm.read(RAM_IPA + PAGE + 0x10);
    expect(m.vm.leafAt(RAM_IPA + PAGE)).toMatchObject({ write: false });
    expect(m.vm.leafAt(RAM_IPA)).toBeUndefined();
  });

  it('that was read comes back read-only on 6.1: reads leave it so, a store of the VMM makes it writable', () => {
    const m = withRam({ kernel: '6.1' });
    m.vm.hostWrite(RAM_HVA, 2 * PAGE);
    m.vm.pageout(RAM_HVA, 2 * PAGE);
    expect(populated(m, () => m.vm.hostRead(RAM_HVA + PAGE, PAGE))).toEqual([[PAGE, 3, 1]]);
    expect(populated(m, () => m.vm.hostRead(RAM_HVA + PAGE, PAGE))).toEqual([]);
    expect(populated(m, () => m.vm.hostWrite(RAM_HVA + PAGE + 8, 1))).toEqual([[PAGE, 3, 1]]);
    expect(populated(m, () => m.vm.hostWrite(RAM_HVA + PAGE + 8, 1))).toEqual([]);
  });

  it('of a read-only mapping is writable with it after mprotect: the page is exclusive', () => {
    const m = withRam({ kernel: '6.12' });
    m.vm.hostWrite(RAM_HVA, PAGE);
    m.vm.pageout(RAM_HVA, PAGE);
    m.vm.mprotect(RAM_HVA, 4 * M, 'read');
    m.vm.hostRead(RAM_HVA, PAGE);
    m.vm.mprotect(RAM_HVA, 4 * M, 'read-write');
    expect(populated(m, () => m.vm.hostWrite(RAM_HVA, PAGE))).toEqual([]);
  });

  it('is another page than before, and the only one that comes back', () => {
    const m = withRam();
    m.vm.hostWrite(RAM_HVA, 2 * PAGE);
    m.vm.pageout(RAM_HVA, 2 * PAGE);
    expect(populated(m, () => m.vm.hostWrite(RAM_HVA + PAGE + 8, 1))).toEqual([[PAGE, 3, 1]]);
    expect(entries(m).map(({ kind }) => kind)).toEqual(['swapped', 'page']);
  });
});

describe('hugetlb', () => {
  it('keeps its page when a store makes it writable, and does nothing more after that', () => {
    const m = withRam({ kernel: '6.12' }, hugetlb(2 * M));
    m.vm.read(RAM_IPA);
    const read = m.vm.leafAt(RAM_IPA);
    expect(populated(m, () => m.vm.write(RAM_IPA + M))).toEqual([[0, 2, 1]]);
    expect(m.vm.leafAt(RAM_IPA)).toMatchObject({ write: true, pa: read?.pa });
    expect(populated(m, () => m.vm.hostWrite(RAM_HVA, 2 * M))).toEqual([]);
  });

  it('of 1G is one entry of the PUD, of 2M one of the PMD', () => {
    const giant = withRam({}, hugetlb(G), G);
    expect(populated(giant, () => giant.vm.hostWrite(RAM_HVA + 5 * M, 1))).toEqual([[0, 1, 1]]);
  });
});

describe('a page of guest_memfd', () => {
  const at = { ipa: RAM_IPA as Ipa, size: 4 * M, hva: RAM_HVA as Hva };
  const withGmem = () => {
    const m = machine({ kernel: '6.19' });
    const flags = { readonly: false, logDirty: false, guestMemfd: true } as const;
    m.vm.call({ kind: 'set-memslot', slot: 0, ...at, ...flags });
    return m;
  };

  it('is allocated by its first fault and stays when stage 2 forgets it', () => {
    const m = withGmem();
    expect(populated(m, () => m.vm.write(RAM_IPA + PAGE + 8))).toEqual([[PAGE, 3, 1]]);
    const before = m.vm.leafAt(RAM_IPA + PAGE);
    expect(before).toMatchObject({ level: 3, write: true });
    expect(before?.pa).toBeGreaterThan(0);
    m.vm.deleteSlot(0);
    m.vm.call({ kind: 'set-memslot', slot: 0, ...at, readonly: false, logDirty: false, guestMemfd: true });
    expect(populated(m, () => m.vm.read(RAM_IPA + PAGE))).toEqual([]);
    expect(m.vm.leafAt(RAM_IPA + PAGE)?.pa).toBe(before?.pa);
  });
});
