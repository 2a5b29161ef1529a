// Guests that walk tables of their own: descriptors in RAM or in a BAR, each read an access through stage 2.

import type { Cpu, Recorded, ScenarioRun, TableMapping, TablesInput } from 'stagetwo';
import {
  deviceNGnRE,
  executable,
  normalWriteBack,
  runScenario,
  scenario,
  stage1Tables,
  vfioPci,
  writeCombining,
} from 'stagetwo';
import { describe, expect, it } from 'vitest';

const RAM = 0x4000_0000;
const TABLES = { name: 'tables', ipa: (RAM + 0x10_0000) as never, size: 0x10_0000 };
const VA = 0x8000_0000;
const DATA = RAM + 0x20_0000;

interface Setting {
  readonly kernel?: string;
  readonly hardwareAccessFlag?: boolean;
}

/** One vCPU with tables in RAM that map `map`, then `body`. */
function walked(
  input: Omit<TablesInput, 'in'> & { readonly in?: TablesInput['in'] },
  body: (cpu: Cpu) => ReturnType<Cpu['load']>,
  { kernel = '6.12', hardwareAccessFlag = true }: Setting = {},
): ScenarioRun {
  const story = scenario('tables in RAM', ({ host }) => {
    const vm = host.vm('guest', { ram: '16M' });
    vm.vcpu(0).run(function* (cpu) {
      yield* cpu.useTables(stage1Tables({ in: TABLES, ...input }));
      yield* body(cpu);
    });
  });
  return runScenario(story, { kernel, cpu: { hardwareAccessFlag } });
}

const page = (more: Partial<TableMapping> = {}): TableMapping => ({
  va: VA,
  ipa: DATA,
  size: 0x1_0000,
  attribute: normalWriteBack,
  ...more,
});

const lastAccess = (run: ScenarioRun) => run.vms[0]?.vcpus[0]?.accesses.at(-1);

const eventsOf = <T extends Recorded['type']>(run: ScenarioRun, type: T) =>
  run.events.filter((event): event is Extract<Recorded, { type: T }> => event.type === type);

describe('a guest that walks its own tables', () => {
  it('reads what it stored through another address, four descriptors later', () => {
    const run = walked({ map: [page()] }, function* (cpu) {
      yield* cpu.store(cpu.va(VA + 8), { value: 0x1234n });
      return yield* cpu.load(cpu.va(VA + 8));
    });

    expect(lastAccess(run)).toMatchObject({ outcome: 'completed', value: 0x1234n, ipa: DATA + 8 });
    const levels = eventsOf(run, 'stage1-descriptor-read').map(({ level }) => level);
    expect(levels).toEqual([0, 1, 2, 3, 0, 1, 2, 3]);
  });

  it.each([
    [4096, 39, [1, 2, 3]],
    [16384, 48, [0, 1, 2, 3]],
    [16384, 36, [2, 3]],
    [65536, 42, [2, 3]],
  ] as const)('with %i-byte pages and %i bits reads levels %j', (granule, vaBits, levels) => {
    const run = walked({ map: [page()], granule, vaBits }, (cpu) => cpu.load(cpu.va(VA)));

    expect(eventsOf(run, 'stage1-descriptor-read').map(({ level }) => level)).toEqual(levels);
    expect(lastAccess(run)).toMatchObject({ outcome: 'completed', value: 0n });
  });

  it('uses a block where address and size allow one', () => {
    const map = [page({ ipa: RAM, size: 0x20_0000, va: 0x4000_0000 })];
    const run = walked({ map, vaBits: 39 }, (cpu) => cpu.load(cpu.va(0x4010_0008)));

    expect(eventsOf(run, 'stage1-descriptor-read').map(({ level }) => level)).toEqual([1, 2]);
    expect(lastAccess(run)).toMatchObject({ ipa: RAM + 0x10_0008 });
  });

  it('takes a stage-2 fault of the table first: S1PTW, the IPA of the table, FAR of the access', () => {
    const story = scenario('tables that stage 2 lost', ({ host }) => {
      const card = host.plug(vfioPci('card', { bars: [{ size: '64K', prefetchable: true }] }));
      const vm = host.vm('guest', { ram: '16M' });
      const bar = vm.assign(card.bar(0), { at: 0x1000_0000 });
      const stored = host.signal('tables stored');
      const zapped = host.signal('BARs zapped');
      vm.vcpu(0).run(function* (cpu) {
        yield* cpu.useTables(stage1Tables({ in: bar, map: [page()] }));
        yield* cpu.raise(stored);
        yield* cpu.await(zapped);
        yield* cpu.store(cpu.va(VA + 0x10), { value: 1n });
      });
      host.run(function* (vmm) {
        yield* vmm.await(stored);
        yield* vmm.pciCommand(card, { memory: false });
        yield* vmm.pciCommand(card, { memory: true });
        yield* vmm.raise(zapped);
      });
    });
    const run = runScenario(story, { kernel: '6.12' });
    const access = lastAccess(run);

    // EC 0x24, IL, S1PTW and WnR of the store, translation fault of stage 2 level 1 or 3; ISV is 0.
    expect(access?.faults.slice(0, 2)).toMatchObject([
      { ipa: 0x1000_0000, far: VA + 0x10, esr: 0x9200_00c5 },
      { ipa: 0x1000_1000, far: VA + 0x10, esr: 0x9200_00c7 },
    ]);
    expect(access?.outcome).toBe('completed');
  });

  it('gets the memory type of the leaf that it found', () => {
    const types = [normalWriteBack, writeCombining, deviceNGnRE].map((attribute) => {
      const run = walked({ map: [page({ attribute })] }, (cpu) => cpu.load(cpu.va(VA)), { kernel: '6.12' });
      return eventsOf(run, 'stage1-translated').at(-1)?.access.stage1;
    });
    expect(types).toEqual([
      { attr: 0xff, sh: 3 },
      { attr: 0x44, sh: 3 },
      { attr: 0x04, sh: 3 },
    ]);
  });
});

describe('what stage 1 refuses goes to EL1', () => {
  const refused = (run: ScenarioRun) => {
    const access = lastAccess(run);
    return { outcome: access?.outcome, esr: access?.aborted?.esr, because: access?.because };
  };

  it('nothing mapped: a translation fault of the level where the walk ended', () => {
    const near = walked({ map: [page()] }, (cpu) => cpu.load(cpu.va(VA + 0x10_0000)));
    expect(refused(near)).toEqual({
      outcome: 'stage1-faulted',
      esr: 0x9600_0007n,
      because: 'stage1-translation',
    });
    const far = walked({ map: [page()] }, (cpu) => cpu.fetch(cpu.va(0)));
    expect(refused(far).esr).toBe(0x8600_0005n);
    const beyond = walked({ map: [page()], vaBits: 39 }, (cpu) => cpu.load(cpu.va(2 ** 40)));
    expect(refused(beyond).esr).toBe(0x9600_0004n);
  });

  it('a read-only page: a permission fault for stores alone', () => {
    const map = [page({ readonly: true })];
    const store = walked({ map }, (cpu) => cpu.store(cpu.va(VA), { value: 1n }));
    expect(refused(store)).toMatchObject({ esr: 0x9600_004fn, because: 'stage1-permission' });
    expect(refused(walked({ map }, (cpu) => cpu.load(cpu.va(VA)))).outcome).toBe('completed');
  });

  it('a page that is execute-never: a permission fault for fetches alone', () => {
    const fetch = walked({ map: [page()] }, (cpu) => cpu.fetch(cpu.va(VA)));
    expect(refused(fetch)).toMatchObject({ esr: 0x8600_000fn });
    const run = walked({ map: [page({ attribute: executable(normalWriteBack) })] }, (cpu) =>
      cpu.fetch(cpu.va(VA)),
    );
    expect(refused(run).outcome).toBe('completed');
  });

  it('more address bits than IPS: an address size fault', () => {
    const map = [page({ ipa: 2 ** 40 })];
    const run = walked({ map, outputBits: 36 }, (cpu) => cpu.load(cpu.va(VA)));
    expect(refused(run)).toMatchObject({ esr: 0x9600_0003n, because: 'stage1-output-size' });
  });

  it('PRFM never faults, however the walk ends', () => {
    const run = walked({ map: [page()] }, (cpu) => cpu.prefetch(cpu.va(VA + 0x10_0000)));
    expect(lastAccess(run)).toMatchObject({ outcome: 'completed', because: 'prefetch-never-faults' });
  });
});

describe('hardware that updates descriptors', () => {
  const aged = [page({ accessFlag: false })];

  it('is asked by TCR_EL1.HA; without it, or without the hardware, there is an access flag fault', () => {
    for (const [hardware, hardwareAccessFlag] of [
      [undefined, true],
      ['access-flag', false],
    ] as const) {
      const input = hardware === undefined ? { map: aged } : { map: aged, hardware };
      const run = walked(input, (cpu) => cpu.load(cpu.va(VA)), { hardwareAccessFlag });
      expect(lastAccess(run)?.aborted?.esr).toBe(0x9600_000bn);
    }
  });

  it('writes the flag back once', () => {
    const run = walked({ map: aged, hardware: 'access-flag' }, function* (cpu) {
      yield* cpu.load(cpu.va(VA));
      return yield* cpu.load(cpu.va(VA));
    });
    expect(eventsOf(run, 'stage1-descriptor-updated')).toHaveLength(1);
    expect(lastAccess(run)?.outcome).toBe('completed');
  });

  it('clears AP[2] of a page with DBM at the first store', () => {
    const map = [page({ readonly: true, dbm: true })];
    const store = (hardware: TablesInput['hardware'] & string) =>
      walked({ map, hardware }, (cpu) => cpu.store(cpu.va(VA), { value: 1n }));
    expect(lastAccess(store('access-flag'))?.outcome).toBe('stage1-faulted');
    const run = store('access-flag-and-dirty-state');
    expect(lastAccess(run)?.outcome).toBe('completed');
    expect(eventsOf(run, 'stage1-descriptor-updated')).toHaveLength(1);
  });
});

/** Tables in a BAR whose memslot is read-only; the vCPU that stored them through another slot then walks. */
function readonlyTables(hardware: 'access-flag' | undefined, kernel = '6.12'): ScenarioRun {
  const story = scenario('tables in a read-only memslot', ({ host }) => {
    const card = host.plug(vfioPci('card', { bars: [{ size: '64K', prefetchable: true }] }));
    const vm = host.vm('guest', { ram: '16M' });
    const writer = host.vm('writer', { ram: '16M' });
    const tables = vm.assign(card.bar(0), { at: 0x1000_0000, readonly: true });
    const same = writer.assign(card.bar(0), { at: 0x1000_0000 });
    const stored = host.signal('stored');
    const map = [page({ accessFlag: hardware === undefined })];
    const plan = stage1Tables({ in: tables, map, ...(hardware === undefined ? {} : { hardware }) });
    writer.vcpu(0).run(function* (cpu) {
      for (const { ipa, value } of plan.stores)
        yield* cpu.store(cpu.physical(same).at(ipa - 0x1000_0000), { value });
      yield* cpu.raise(stored);
    });
    vm.vcpu(0).run(function* (cpu) {
      yield* cpu.await(stored);
      yield* cpu.useTables({ ...plan, stores: [] });
      yield* cpu.load(cpu.va(VA));
    });
  });
  return runScenario(story, { kernel });
}

describe('tables in a read-only memslot', () => {
  it('are walked: a translation fault on a walk is no write', () => {
    expect(lastAccess(readonlyTables(undefined))).toMatchObject({ outcome: 'completed' });
  });

  it('were a write for kernels before 6.2: the walk takes an external abort', () => {
    expect(lastAccess(readonlyTables(undefined, '5.15'))).toMatchObject({
      outcome: 'abort-injected',
      because: 'stage1-walk-needs-memory',
      aborted: { esr: 0x9600_0010n, far: VA },
    });
  });

  it('cannot take an update of the access flag: its permission fault is a write', () => {
    const access = lastAccess(readonlyTables('access-flag'));
    expect(access).toMatchObject({ outcome: 'abort-injected', because: 'stage1-walk-needs-memory' });
    expect(access?.faults.at(-1)).toMatchObject({ ipa: 0x1000_3000, esr: 0x9200_00cf });
  });
});

describe('tables where no memory is', () => {
  it('give an external abort at EL1, of the kind of the access', () => {
    const at = { name: 'nowhere', ipa: 0x2000_0000 as never, size: 0x10_0000 };
    const plan = { ...stage1Tables({ in: at, map: [page()] }), stores: [] };
    const story = scenario('TTBR0 points nowhere', ({ host }) => {
      host
        .vm('guest', { ram: '16M' })
        .vcpu(0)
        .run(function* (cpu) {
          yield* cpu.useTables(plan);
          yield* cpu.load(cpu.va(VA));
          yield* cpu.fetch(cpu.va(VA));
        });
    });
    const [load, fetch] = runScenario(story, { kernel: '6.12' }).vms[0]?.vcpus[0]?.accesses ?? [];
    expect(load).toMatchObject({ outcome: 'abort-injected', aborted: { esr: 0x9600_0010n, far: VA } });
    expect(fetch).toMatchObject({ outcome: 'abort-injected', aborted: { esr: 0x8600_0010n, far: VA } });
  });
});

describe('tables whose content nobody knows', () => {
  it('end the access without a guess', () => {
    const plan = stage1Tables({ in: TABLES, map: [page()] });
    const story = scenario('a store without a value', ({ host }) => {
      host
        .vm('guest', { ram: '16M' })
        .vcpu(0)
        .run(function* (cpu) {
          yield* cpu.useTables(plan);
          yield* cpu.store(cpu.ram(0x10_0000));
          yield* cpu.load(cpu.va(VA));
        });
    });
    expect(lastAccess(runScenario(story))).toMatchObject({
      outcome: 'stage1-faulted',
      because: 'stage1-table-unknown',
      aborted: { esr: null },
    });
  });
});
