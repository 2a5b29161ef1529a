import { describe, expect, it } from 'vitest';
import type { MachineOptions } from '../helpers/host.ts';
import { anon, BAR_HVA, hugetlb, K, M, machine, RAM_HVA, RAM_IPA } from '../helpers/host.ts';

const PAGE = 4 * K;
const AT = { ipa: RAM_IPA, size: 4 * M, hva: RAM_HVA } as const;
const MANUAL = 'KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2';
const EAGER = 'KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE';

/** 4M of written RAM, mapped as the guest writes it. */
function written(options: MachineOptions = {}, thp: 'nohugepage' | 'hugepage' = 'hugepage') {
  const m = machine(options);
  m.vm.mmap(RAM_HVA, 4 * M, anon(thp));
  m.vm.slot(0, AT);
  m.vm.hostWrite(RAM_HVA, 4 * M);
  return m;
}

const startLog = ({ vm }: ReturnType<typeof machine>) => vm.slot(0, AT, { logDirty: true });

describe('a dirty log', () => {
  it('names the pages that the guest has written since the last time it was asked', () => {
    const m = written();
    startLog(m);
    m.vm.write(RAM_IPA + 7 * PAGE);
    m.vm.read(RAM_IPA + 8 * PAGE);
    m.vm.hostWrite(RAM_HVA + 9 * PAGE, PAGE);

    expect(m.vm.dirtyLog(0)).toEqual([7]);
    expect(m.vm.dirtyLog(0)).toEqual([]);
    expect(m.vm.write(RAM_IPA + 7 * PAGE).faults).toEqual([0x0f]);
    expect(m.vm.dirtyLog(0)).toEqual([7]);
  });

  it('fails for a slot without one, and for no slot', () => {
    const { vm } = written();
    expect(vm.dirtyLog(0)).toBe(2);
    expect(vm.dirtyLog(5)).toBe(2);
    expect(vm.clearDirtyLog(0, 0, 64)).toBe(2);
    expect(vm.clearDirtyLog(5, 0, 64)).toBe(2);
  });

  it('write-protects each word of 64 pages from the first page set to the last (rule 9)', () => {
    const m = written({}, 'nohugepage');
    startLog(m);
    for (const page of [1, 3, 5, 70]) m.vm.write(RAM_IPA + page * PAGE);
    m.vm.dirtyLog(0);
    m.vm.write(RAM_IPA + 1 * PAGE);
    m.vm.write(RAM_IPA + 5 * PAGE);
    const from = m.log.length;
    m.vm.dirtyLog(0);
    const protectedRanges = m.log.slice(from).find(({ type }) => type === 'stage2-write-protected');
    expect(protectedRanges).toMatchObject({ ranges: [{ ipa: RAM_IPA + PAGE, size: 5 * PAGE }] });
  });

  it('is one of each slot, and says by what it was changed', () => {
    const m = written({}, 'nohugepage');
    m.vm.slot(1, { ...AT, ipa: RAM_IPA + 4 * M });
    startLog(m);
    m.vm.slot(1, { ...AT, ipa: RAM_IPA + 4 * M }, { logDirty: true });
    m.vm.write(RAM_IPA + PAGE);
    m.vm.write(RAM_IPA + 4 * M + 2 * PAGE);
    const from = m.log.length;
    expect(m.vm.dirtyLog(1)).toEqual([2]);
    expect(m.vm.clearDirtyLog(0, 0, 64)).toBe(0);
    const changes = m.log.slice(from).filter(({ type }) => type === 'dirty-log-changed');
    expect(changes).toMatchObject([
      { slot: 1, change: 'get' },
      { slot: 0, change: 'clear' },
    ]);
    const reasons = m.log.slice(from).filter(({ type }) => type === 'stage2-write-protected');
    expect(reasons.map((event) => 'because' in event && event.because)).toEqual([
      'dirty-logging',
      'dirty-logging',
    ]);
    expect(m.vm.dirtyLog(0)).toEqual([]);
    m.vm.write(RAM_IPA + PAGE);
    m.vm.write(RAM_IPA + 4 * M + 2 * PAGE);
    expect(m.vm.clearDirtyLog(1, 0, 64)).toBe(0);
    expect([m.vm.dirtyLog(1), m.vm.dirtyLog(0)]).toEqual([[], [1]]);
  });

  it('is cleared word by word: what lies between two dirty words stays writable', () => {
    const m = written({}, 'nohugepage');
    m.vm.enable(MANUAL, 1);
    startLog(m);
    for (const page of [1, 130]) m.vm.write(RAM_IPA + page * PAGE);
    const from = m.log.length;
    expect(m.vm.clearDirtyLog(0, 0, 192)).toBe(0);
    const [event] = m.log.slice(from).filter(({ type }) => type === 'stage2-write-protected');
    expect(event).toMatchObject({
      ranges: [
        { ipa: RAM_IPA + PAGE, size: PAGE },
        { ipa: RAM_IPA + 130 * PAGE, size: PAGE },
      ],
    });
  });

  it('is cleared to the end of a slot that is no whole word long, and from nowhere behind it', () => {
    const m = machine();
    const size = 100 * PAGE;
    m.vm.mmap(RAM_HVA, size, anon());
    m.vm.slot(0, { ...AT, size });
    m.vm.enable(MANUAL, 1);
    m.vm.slot(0, { ...AT, size }, { logDirty: true });
    m.vm.write(RAM_IPA + 99 * PAGE);
    expect(m.vm.clearDirtyLog(0, 64, 35)).toBe(22);
    expect(m.vm.clearDirtyLog(0, 64, 64)).toBe(22);
    expect(m.vm.clearDirtyLog(0, 128, 64)).toBe(22);
    expect(m.vm.dirtyLog(0)).toEqual([99]);
    expect(m.vm.clearDirtyLog(0, 64, 36)).toBe(0);
    expect(m.vm.dirtyLog(0)).toEqual([]);
  });

  it('with MANUAL_PROTECT2 is left as it is by GET; CLEAR protects, and takes whole words', () => {
    const m = written({}, 'nohugepage');
    expect(m.vm.enable(MANUAL, 1)).toBe(0);
    startLog(m);
    m.vm.write(RAM_IPA + 65 * PAGE);
    expect(m.vm.dirtyLog(0)).toEqual([65]);
    expect(m.vm.leafAt(RAM_IPA + 65 * PAGE)?.write).toBe(true);
    expect(m.vm.clearDirtyLog(0, 1, 64)).toBe(22);
    expect(m.vm.clearDirtyLog(0, 0, 63)).toBe(22);
    expect(m.vm.clearDirtyLog(0, 1024, 64)).toBe(22);
    expect(m.vm.clearDirtyLog(0, 1088, 64)).toBe(22);
    expect(m.vm.clearDirtyLog(0, 0, 64)).toBe(0);
    expect(m.vm.leafAt(RAM_IPA + 65 * PAGE)?.write).toBe(true);
    expect(m.vm.clearDirtyLog(0, 64, 1024 - 64)).toBe(0);
    expect(m.vm.leafAt(RAM_IPA + 65 * PAGE)?.write).toBe(false);
    expect(m.vm.dirtyLog(0)).toEqual([]);
  });

  it('INITIALLY_SET sets every bit and protects nothing; CLEAR splits blocks eagerly (rule 10)', () => {
    const m = written({ kernel: '6.12' });
    m.vm.deleteSlot(0);
    expect(m.vm.enable(EAGER, 2 * M)).toBe(0);
    expect(m.vm.enable(MANUAL, 3)).toBe(0);
    m.vm.slot(0, AT);
    m.vm.read(RAM_IPA);
    m.vm.fetch(RAM_IPA);
    startLog(m);
    expect(m.vm.leafAt(RAM_IPA)).toMatchObject({ level: 2, write: true });
    expect(m.vm.dirtyLog(0)).toHaveLength(1024);

    m.vm.clearDirtyLog(0, 0, 64);
    expect(m.vm.leaves()).toHaveLength(512);
    expect(m.vm.leafAt(RAM_IPA + 63 * PAGE)).toMatchObject({ level: 3, write: false, bits: '75b' });
    expect(m.vm.write(RAM_IPA).faults).toEqual([0x0f]);
  });

  it('with a chunk size but not INITIALLY_SET, blocks are split when logging starts', () => {
    const m = machine({ kernel: '6.12' });
    m.vm.enable(EAGER, 4 * K);
    m.vm.mmap(RAM_HVA, 4 * M, anon('hugepage'));
    m.vm.slot(0, AT);
    m.vm.write(RAM_IPA);
    m.vm.write(RAM_IPA + 2 * M);
    startLog(m);
    expect(m.vm.leaves()).toHaveLength(1024);
    expect(m.vm.leafAt(RAM_IPA)).toMatchObject({ level: 3, write: false });
    const broken = m.log.filter(({ type }) => type === 'stage2-broken');
    expect(broken).toMatchObject([{ ipa: RAM_IPA }, { ipa: RAM_IPA + 2 * M }]);
  });

  it('without eager splitting a store to a protected block maps one page and drops the rest (rule 20)', () => {
    const m = written({ kernel: '6.1' });
    m.vm.read(RAM_IPA);
    startLog(m);
    expect(m.vm.write(RAM_IPA + 2 * PAGE).faults).toEqual([0x0e]);
    expect(m.vm.leaves()).toEqual([{ ipa: RAM_IPA + 2 * PAGE, level: 3 }]);
  });

  it('switched off, read-only pages stay until a store makes the block again (behaviour 10)', () => {
    const m = written({ cpu: { dic: false } });
    m.vm.fetch(RAM_IPA);
    startLog(m);
    m.vm.read(RAM_IPA + PAGE);
    m.vm.write(RAM_IPA);
    m.vm.read(RAM_IPA + PAGE);
    m.vm.slot(0, AT);
    expect(m.vm.leafAt(RAM_IPA + PAGE)).toMatchObject({ level: 3, write: false });
    expect(m.vm.write(RAM_IPA + PAGE).faults).toEqual([0x0f]);
    expect(m.vm.leafAt(RAM_IPA)).toMatchObject({ level: 2, write: true, bits: '400000000007d9' });
  });

  it('of a read-only slot forces no pages', () => {
    const m = machine();
    m.vm.mmap(RAM_HVA, 4 * M, hugetlb(2 * M));
    m.vm.slot(0, AT, { readonly: true, logDirty: true });
    m.vm.hostWrite(RAM_HVA, 4 * M);
    m.vm.read(RAM_IPA);
    expect(m.vm.leafAt(RAM_IPA)).toMatchObject({ level: 2, write: false });
  });

  it('does not start over a BAR, and a BAR mapped over a logging slot gets pages', () => {
    const m = machine();
    m.vm.mmap(BAR_HVA, 4 * M, m.bar());
    expect(m.vm.slot(1, { ipa: 0, size: 4 * M, hva: BAR_HVA }, { logDirty: true })).toBe(22);
    m.vm.mmap(RAM_HVA, 4 * M, anon());
    startLog(m);
    m.vm.mmap(RAM_HVA, 4 * M, m.bar());
    m.vm.write(RAM_IPA);
    const leaf = { level: 3, bits: '400000000007d7', sizeBecause: 'logging-forces-pages' };
    expect(m.vm.leafAt(RAM_IPA)).toMatchObject(leaf);
  });
});

describe('KVM_ENABLE_CAP', () => {
  it('takes a chunk size that is a block size, before the first slot, from 6.5 on', () => {
    expect(machine({ kernel: '6.1' }).vm.enable(EAGER, 2 * M)).toBe(22);
    expect(machine({ kernel: '6.6' }).vm.enable(EAGER, 2 * M)).toBe(0);
    expect(machine({ kernel: '6.6' }).vm.enable(EAGER, 0)).toBe(0);
    expect(machine({ kernel: '6.6' }).vm.enable(EAGER, 3 * M)).toBe(22);
    expect(machine({ kernel: '6.6', pageSize: 16384 }).vm.enable(EAGER, 32 * M)).toBe(0);
    expect(machine({ kernel: '6.6', pageSize: 16384 }).vm.enable(EAGER, 2 * M)).toBe(22);
    expect(written().vm.enable(EAGER, 2 * M)).toBe(22);
  });

  it('takes MANUAL_PROTECT2 with its first bit, and INITIALLY_SET only with that', () => {
    const { vm } = machine();
    expect([0, 1, 2, 3, 4].map((argument) => vm.enable(MANUAL, argument))).toEqual([0, 0, 22, 0, 22]);
  });
});
