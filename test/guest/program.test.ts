import { describe, expect, it } from 'vitest';
import type { Access } from '../../src/arch/access.ts';
import { ipa } from '../../src/arch/addresses.ts';
import { encodeAbort } from '../../src/arch/esr.ts';
import {
  createVaSpace,
  deviceNGnRE,
  executable,
  normalWriteBack,
  physicalMapping,
  writeCombining,
} from '../../src/guest/mapping.ts';
import type { GuestOp, GuestProgram, OpResult } from '../../src/guest/operations.ts';
import { createCpu } from '../../src/guest/program.ts';

const BAR = { name: 'nic.BAR0', ipa: ipa(0x1000_0000), size: 0x1_0000 };
const RAM = { name: 'RAM', ipa: ipa(0x4000_0000), size: 0x10_0000 };
const NOTHING: OpResult = { value: null, aborted: null, skipped: null };

/** What a program does if every operation ends well. */
function operations(program: GuestProgram): readonly GuestOp[] {
  const done: GuestOp[] = [];
  const steps = program(createCpu(0, RAM));
  for (let turn = steps.next(NOTHING); turn.done !== true; turn = steps.next(NOTHING)) done.push(turn.value);
  return done;
}

function accessOf(program: GuestProgram): Omit<Access, 'id'> {
  const [op] = operations(program);
  if (op?.kind !== 'access') throw new Error('the program makes no access');
  return op.access;
}

/** ESR_EL2 of a stage-2 translation fault of level 3 that the access takes. */
function esrOf(access: Omit<Access, 'id'>): number {
  const status = { kind: 'translation', level: 3 } as const;
  const { syndrome } = access;
  if (syndrome === null) return encodeAbort({ kind: 'instruction-abort', status });
  return encodeAbort({ kind: 'data-abort', status, syndrome });
}

describe('a guest program', () => {
  it('yields the accesses of its instructions, at addresses that stage 1 maps', () => {
    const store = accessOf(function* (cpu) {
      yield* cpu.store(cpu.ioremap(BAR, writeCombining).at(0x28), { size: 4, value: 7n });
    });

    expect(store).toMatchObject({
      kind: 'write',
      size: 4,
      ipa: 0x1000_0028,
      stage1: { attr: 0x44, sh: 3 },
      value: 7n,
    });
    expect(store.va % 0x1_0000).toBe(0x28);
  });

  it('acts on what it read', () => {
    const steps = (
      function* (cpu): ReturnType<GuestProgram> {
        const registers = cpu.ioremap(BAR, deviceNGnRE);
        const status = yield* cpu.load(registers.at(0), { size: 4 });
        if (status.value === 1n) yield* cpu.dsb();
      } satisfies GuestProgram
    )(createCpu(0, RAM));

    steps.next(NOTHING);
    expect(steps.next({ ...NOTHING, value: 1n }).value).toEqual({ kind: 'barrier', barrier: 'DSB' });
  });

  it('switches stage 1 off for physical addresses, and on again', () => {
    const done = operations(function* (cpu) {
      const off = cpu.physical(BAR);
      yield* cpu.load(off.at(0x10), { size: 4 });
      yield* cpu.load(off.at(0x14), { size: 4 });
      yield* cpu.load(cpu.ram(0), { size: 4 });
    });

    expect(done.map((op) => (op.kind === 'stage-1' ? op.on : op.kind))).toEqual([
      false,
      'access',
      'access',
      true,
      'access',
    ]);
    expect(done[1]).toMatchObject({ access: { va: 0x1000_0010, ipa: 0x1000_0010, stage1: null } });
  });

  it('bursts neighbouring stores, and stops at the first that aborts', () => {
    const burst = (cpu: Parameters<GuestProgram>[0]) =>
      cpu.burst(cpu.ioremap(BAR, writeCombining).at(0), { count: 8 });
    const done = operations(function* (cpu) {
      yield* burst(cpu);
    });
    expect(done.map((op) => op.kind === 'access' && (op.access.ipa ?? 0) - BAR.ipa)).toEqual([
      0, 8, 16, 24, 32, 40, 48, 56,
    ]);

    const steps = burst(createCpu(0, RAM));
    steps.next(NOTHING);
    const aborted = { esr: 0x9600_0021n, far: 0, from: 'stage-1', because: 'stage1-alignment' } as const;
    expect(steps.next({ ...NOTHING, aborted })).toEqual({ done: true, value: { ...NOTHING, aborted } });
  });
});

describe('the syndrome', () => {
  const at = (
    run: (cpu: Parameters<GuestProgram>[0], to: ReturnType<typeof cpu.ram>) => ReturnType<typeof cpu.load>,
  ) =>
    esrOf(
      accessOf(function* (cpu) {
        yield* run(cpu, cpu.ioremap(BAR, deviceNGnRE).at(0x40));
      }),
    );

  it.each([
    ['LDR W0', 0x9380_0007, at((cpu, to) => cpu.load(to, { size: 4 }))],
    ['LDR X13, as captured', 0x93cd_8007, at((cpu, to) => cpu.load(to, { size: 8, register: 13 }))],
    ['LDRSB X0', 0x9320_8007, at((cpu, to) => cpu.load(to, { size: 1, signed: true }))],
    ['STR WZR', 0x939f_0047, at((cpu, to) => cpu.store(to, { size: 4, register: 31 }))],
    ['STLR W0', 0x9380_4047, at((cpu, to) => cpu.store(to, { size: 4, form: 'acquire-release' }))],
    [
      'STR W3, [X0], #4, as QNX does',
      0x9200_0047,
      at((cpu, to) => cpu.store(to, { size: 4, form: 'post-index' })),
    ],
    ['STR Q0', 0x9200_0047, at((cpu, to) => cpu.store(to, { size: 16 }))],
    ['LDP', 0x9200_0007, at((cpu, to) => cpu.loadPair(to))],
    ['STP', 0x9200_0047, at((cpu, to) => cpu.storePair(to))],
    ['LDXR', 0x9200_0007, at((cpu, to) => cpu.loadExclusive(to))],
    ['STXR', 0x9200_0047, at((cpu, to) => cpu.storeExclusive(to))],
    ['DC CIVAC', 0x9200_0147, at((cpu, to) => cpu.dcCivac(to))],
    ['DC ZVA, which is no cache maintenance', 0x9200_0047, at((cpu, to) => cpu.dcZva(to))],
    ['a fetch', 0x8200_0007, at((cpu, to) => cpu.fetch(to))],
  ])('of %s', (_instruction, expected, esr) => expect(esr.toString(16)).toBe(expected.toString(16)));
});

describe('mappings', () => {
  it('lie behind each other at the same addresses in every run, congruent with the IPA', () => {
    const layout = () => {
      const space = createVaSpace();
      return [BAR, RAM, { ...BAR, ipa: ipa(0x2000_3000) }].map(
        (target) => space.map(target, writeCombining).va,
      );
    };
    const [first = 0, second = 0, third = 0] = layout();

    expect(layout()).toEqual([first, second, third]);
    expect(second).toBeGreaterThanOrEqual(first + BAR.size);
    expect(third % 0x1_0000).toBe(0x3000);
  });

  it('end where the region ends', () => {
    const bar = createVaSpace().map(BAR, writeCombining);

    expect(bar.at(0xffff).room).toBe(1);
    expect(() => bar.at(0x1_0000)).toThrow(/nic.BAR0: offset 65536 is outside the mapping of 65536 bytes/);
    expect(() => physicalMapping(BAR).at(-1)).toThrow(RangeError);
  });

  it('are execute-never unless asked: stage 1 itself refuses a fetch', () => {
    const fetched = (attribute: typeof writeCombining) =>
      accessOf(function* (cpu) {
        yield* cpu.fetch(cpu.ioremap(BAR, attribute).at(0));
      }).ipa;

    expect(fetched(normalWriteBack)).toBeNull();
    expect(fetched(executable(normalWriteBack))).toBe(BAR.ipa);
  });

  it('refuse an access that leaves them or that crosses a page', () => {
    const store = (offset: number, size: 8 | 16) => () =>
      operations(function* (cpu) {
        yield* cpu.store(cpu.ioremap(BAR, writeCombining).at(offset), { size });
      });

    expect(store(0xfffc, 8)).toThrow(/leaves the mapping 4 bytes on/);
    expect(store(0x0ff8, 16)).toThrow(/crosses a page/);
    expect(store(0x0ff8, 8)).not.toThrow();
  });
});
