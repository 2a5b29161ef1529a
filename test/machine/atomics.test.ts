// LSE atomics (DDI0487 B2.2.6): promised for shareable Write-Back memory, IMPLEMENTATION DEFINED everywhere else.

import type { AtomicOptions, Cpu, ScenarioRun } from 'stagetwo';
import {
  decodeEsr,
  deviceNGnRE,
  emulated,
  kernelsFrom,
  normalWriteBack,
  runScenario,
  scenario,
  vfioPci,
  vfioPlatform,
  writeCombining,
} from 'stagetwo';
import { describe, expect, it } from 'vitest';
import { configValue, INITIAL_PCI } from '../../src/devices/pci/config-space.ts';
import { vfioPci as describePci } from '../../src/devices/plug.ts';

const AT = 0x1000_0000;
const registers = [{ name: 'COUNT', offset: 0, size: 8, sizes: [1, 2, 4, 8], reset: 5 }] as const;
const completer = (atomics: boolean) => vfioPci('card', { bars: [{ size: '4K', registers, atomics }] });
const platform = () => vfioPlatform('soc', { regions: [{ size: '4K', registers, atomics: true }] });

const ADD: AtomicOptions = { op: 'LDADD', value: 2n };
const SET: AtomicOptions = { op: 'LDSET', value: 2n };

function told(
  device: ReturnType<typeof completer> | ReturnType<typeof platform> | ReturnType<typeof emulated>,
  options: AtomicOptions,
  { attribute = deviceNGnRE, kernel = '6.12', choices }: Told = {},
): ScenarioRun {
  const story = scenario('an atomic', ({ host, expect: expected }) => {
    const plugged = host.plug(device);
    const vm = host.vm('guest', { ram: '16M' });
    const bar = vm.assign(plugged.region(0), { at: AT });
    vm.vcpu(0).run(function* (cpu) {
      const at = cpu.ioremap(bar, attribute).at(0);
      yield* cpu.atomic(at, options);
      yield* cpu.load(at, { size: 8 });
    });
    expected.always(() => vm.survived());
  });
  return runScenario(story, { kernel, ...(choices === undefined ? {} : { adversary: { choices } }) });
}

interface Told {
  readonly attribute?: Parameters<Cpu['ioremap']>[1];
  readonly kernel?: string;
  readonly choices?: readonly number[];
}

const values = (run: ScenarioRun) => run.vms[0]?.vcpus[0]?.accesses.map(({ value }) => value);
const outcome = (run: ScenarioRun) => run.vms[0]?.vcpus[0]?.accesses[0]?.outcome;
const traffic = (run: ScenarioRun) => run.devices[0]?.transactions.map(({ kind, size }) => `${kind} ${size}`);

describe('an atomic to guest RAM', () => {
  it('gives what was there and leaves the result; the first faults as a read, then for permission', () => {
    const run = runScenario(
      scenario('RAM', ({ host, expect: expected }) => {
        const vm = host.vm('guest', { ram: '16M' });
        vm.vcpu(0).run(function* (cpu) {
          yield* cpu.store(cpu.ram(0), { value: 5n });
          yield* cpu.atomic(cpu.ram(0), ADD);
          yield* cpu.atomic(cpu.ram(0), { op: 'CAS', compare: 7n, value: 9n });
          yield* cpu.atomic(cpu.ram(0), { op: 'CAS', compare: 7n, value: 1n });
          yield* cpu.load(cpu.ram(0));
        });
        expected.always(() => vm.survived());
      }),
    );
    expect(values(run)).toEqual([null, 5n, 7n, 9n, 9n]);
  });

  it('of a fresh page faults with WnR = 0: a read would have faulted the same way', () => {
    const run = runScenario(
      scenario('fresh', ({ host, expect: expected }) => {
        const vm = host.vm('guest', { ram: '16M' });
        vm.vcpu(0).run(function* (cpu) {
          yield* cpu.atomic(cpu.ram(0), ADD);
        });
        expected.always(() => vm.survived());
      }),
    );
    const faults = run.events.flatMap((event) => (event.type === 'stage2-faulted' ? [event.fault.esr] : []));
    const decoded = faults.map((esr) => decodeEsr(esr));
    expect(decoded[0]).toMatchObject({
      syndrome: { isv: false, wnr: false },
      status: { kind: 'translation' },
    });
  });
});

describe('an atomic to a function that is an AtomicOp completer', () => {
  it.each(['6.1', ...kernelsFrom('6.9')])('is carried out there (%s)', (kernel) => {
    const run = told(completer(true), ADD, { kernel });
    expect(values(run)).toEqual([5n, 7n]);
    expect(traffic(run)).toEqual(['read 8', 'write 8', 'read 8']);
  });

  it('stores nothing where a CAS finds another value', () => {
    const run = told(completer(true), { op: 'CAS', compare: 4n, value: 9n });
    expect(values(run)).toEqual([5n, 5n]);
    expect(traffic(run)).toEqual(['read 8', 'read 8']);
  });

  it('does so through Normal-NC, behind what waits in the store buffer for the same bytes', () => {
    const run = runScenario(
      scenario('behind a store', ({ host, expect: expected }) => {
        const plugged = host.plug(completer(true));
        const vm = host.vm('guest', { ram: '16M' });
        const bar = vm.assign(plugged.bar(0), { at: AT });
        vm.vcpu(0).run(function* (cpu) {
          const at = cpu.ioremap(bar, writeCombining).at(0);
          yield* cpu.store(at, { value: 40n });
          yield* cpu.atomic(at, ADD);
          yield* cpu.load(at);
        });
        expected.always(() => vm.survived());
      }),
      { kernel: '6.12' },
    );
    expect(values(run)).toEqual([null, 40n, 42n]);
  });

  it('shows it in Device Capabilities 2', () => {
    const bars = [{ size: '4K', atomics: true }] as const;
    expect(configValue(describePci('card', { bars }), INITIAL_PCI, 'EXP_DEVCAP2')).toBe(0x180);
  });
});

describe('an atomic that nobody answers', () => {
  it.each([
    ['a function without AtomicOps', completer(false), ADD],
    ['an operation that PCI Express does not have', completer(true), SET],
    ['a size that PCI Express does not have', completer(true), { ...ADD, size: 2 } as const],
  ])('takes an external abort: %s', (_what, device, options) => {
    const run = told(device, options);
    const fault = run.events.findLast(({ type }) => type === 'stage2-faulted');
    expect(fault).toMatchObject({ fault: { status: { kind: 'sync-external' } } });
    expect(outcome(run)).not.toBe('completed');
    expect(values(run)?.at(-1)).toBe(5n);
  });

  it('is answered by AMBA’s atomic transactions in any form', () => {
    expect(values(told(platform(), { ...SET, size: 1 }))).toEqual([5n, 7n]);
  });

  it('without a memslot has no syndrome for the VMM: KVM_RUN fails with ENOSYS', () => {
    const run = told(emulated('uart', { size: '4K', registers }), ADD);
    expect(run.vms[0]?.dead?.errnoName).toBe('ENOSYS');
  });
});

describe('a processor that takes every latitude', () => {
  const CARRIED_OUT_OR_ABORT = 1;
  it('may carry out what no request is for, as a read and a write', () => {
    const run = told(completer(false), ADD, { choices: [CARRIED_OUT_OR_ABORT] });
    expect(values(run)).toEqual([5n, 7n]);
  });

  it('may refuse with FSC 0b110101, at the stage that made the memory so', () => {
    const run = told(completer(true), ADD, { choices: [2] });
    const stage1 = run.events.find(({ type }) => type === 'stage1-faulted');
    expect(stage1).toMatchObject({ because: 'atomic-unsupported' });
    const behind = told(completer(true), ADD, { choices: [2], attribute: normalWriteBack, kernel: '6.12' });
    const fault = behind.events.findLast(({ type }) => type === 'stage2-faulted');
    expect(fault).toMatchObject({ fault: { status: { kind: 'unsupported-exclusive-or-atomic' } } });
  });

  it('may do nothing at all', () => {
    const run = told(completer(true), ADD, { choices: [3] });
    expect(values(run)).toEqual([null, 5n]);
  });
});
