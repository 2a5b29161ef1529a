// Cases 57 to 61 and 66: what KVM refuses to map, what an emulated access leaves in a register, page tables in a BAR.

import type { Cpu, RunOptions, ScenarioRun } from 'stagetwo';
import { deviceNGnRE, emulated, kernelPreset, runScenario, scenario } from 'stagetwo';
import { expect } from 'vitest';
import pageTables from '../../../scenarios/cookbook/page-tables-in-a-bar.ts';
import type { PgtableProt } from '../../../src/host/leaf.ts';
import { setProtAttr } from '../../../src/host/leaf.ts';
import type { Case } from './case.ts';

const NOTHING: PgtableProt = { write: true, px: false, ux: false, device: false, normalNc: false };
const HOST = { fwb: true, xnx: false };

/** A guest in front of one emulated register that holds 0x80. */
function emulatedRegister(
  body: (cpu: Cpu, at: ReturnType<Cpu['va']>) => ReturnType<Cpu['load']>,
  kernel = '6.12',
): ScenarioRun {
  const story = scenario('one emulated register', ({ host }) => {
    const registers = [{ name: 'data', offset: 0, size: 4, sizes: [1, 4], reset: 0x80 }] as const;
    const device = host.plug(emulated('uart', { size: '4K', registers }));
    const vm = host.vm('guest', { ram: '16M' });
    const window = vm.assign(device.region(0), { at: 0x0a00_0000 });
    vm.vcpu(0).run(function* (cpu) {
      yield* body(cpu, cpu.ioremap(window, deviceNGnRE).at(0));
    });
  });
  return runScenario(story, { kernel });
}

const lastValue = (run: ScenarioRun): bigint | null | undefined =>
  run.vms[0]?.vcpus[0]?.accesses.at(-1)?.value;

const written = (run: ScenarioRun): readonly (readonly number[] | null)[] =>
  run.events.flatMap((event) => (event.type === 'device-written' ? [event.bytes] : []));

const lastOutcome = (options: RunOptions) =>
  runScenario(pageTables, options).vms[0]?.vcpus[0]?.accesses.at(-1)?.outcome;

export const REGISTERS: readonly Case[] = [
  {
    number: 57,
    given: 'protection bits with both NORMAL_NC and DEVICE, or one of them with X',
    when: 'the map call builds its leaf',
    follows: '-EINVAL, so that nothing is written',
    source: 'stage2_set_prot_attr(), 8c47ce3e1d2c',
    check() {
      expect(setProtAttr({ ...NOTHING, device: true, normalNc: true }, HOST)).toBeNull();
      for (const type of [{ device: true }, { normalNc: true }]) {
        expect(setProtAttr({ ...NOTHING, ...type, px: true, ux: true }, HOST)).toBeNull();
        expect(setProtAttr({ ...NOTHING, ...type }, HOST)).toMatchObject({ xn: 2 });
      }
    },
  },
  {
    number: 58,
    given: 'protection bits that let EL1 alone execute (PX)',
    when: 'the map call builds its leaf, without and with FEAT_XNX',
    follows: '-EINVAL; XN is 0b11',
    source: 'stage2_set_xn_attr(), 2608563b466b',
    check() {
      const el1Only = { ...NOTHING, px: true };
      expect(setProtAttr(el1Only, HOST)).toBeNull();
      expect(setProtAttr(el1Only, { fwb: true, xnx: true })).toMatchObject({ xn: 3 });
      expect(setProtAttr({ ...NOTHING, ux: true }, { fwb: true, xnx: true })).toMatchObject({ xn: 1 });
    },
  },
  {
    number: 59,
    given: 'an emulated register',
    when: 'the guest loads 4 bytes into XZR, then stores XZR',
    follows: 'an MMIO exit each; no register changes, zeros are stored',
    source: 'vcpu_set_reg(), vcpu_get_reg()',
    check() {
      const run = emulatedRegister(function* (cpu, at) {
        yield* cpu.store(at, { size: 4, register: 31 });
        return yield* cpu.load(at, { size: 4, register: 31 });
      });
      expect(written(run)).toEqual([[0, 0, 0, 0]]);
      expect(run.vms[0]?.vcpus[0]?.accesses.at(-1)).toMatchObject({ outcome: 'mmio-exited', value: null });
    },
  },
  {
    number: 60,
    given: 'an emulated register that holds 0x80',
    when: 'the guest executes LDRSB into w3, into x3, and LDRB',
    follows:
      'w3 is 0xffffff80, x3 is sign-extended to 64 bits, LDRB gives 0x80; releases before 7.2 without its fix ' +
      'lose the sign, so that all three give 0x80',
    source: 'ESR_EL2.SSE and SF; DDI0487 C6.2 LDRSB; kvm_handle_mmio_return() before and after 85f56708a443',
    check() {
      const signed = { size: 1, signed: true, register: 3 } as const;
      const w3 = emulatedRegister((cpu, at) => cpu.load(at, { ...signed, registerBits: 32 }));
      expect(lastValue(w3)).toBe(0xffff_ff80n);
      expect(lastValue(emulatedRegister((cpu, at) => cpu.load(at, signed)))).toBe(0xffff_ffff_ffff_ff80n);
      expect(lastValue(emulatedRegister((cpu, at) => cpu.load(at, { size: 1 })))).toBe(0x80n);
      expect(lastValue(emulatedRegister((cpu, at) => cpu.load(at, signed), '7.0'))).toBe(0x80n);
    },
  },
  {
    number: 61,
    given: 'a big-endian guest (SCTLR_EL1.EE) and an emulated register',
    when: 'it stores the word 0x11223344, then loads it back',
    follows: 'run->mmio.data is 11 22 33 44; the load gives the word again',
    source: 'vcpu_data_guest_to_host()',
    check() {
      const run = emulatedRegister(function* (cpu, at) {
        cpu.setEndian('big');
        yield* cpu.store(at, { size: 4, value: 0x1122_3344n });
        return yield* cpu.load(at, { size: 4 });
      });
      expect(written(run)).toEqual([[0x11, 0x22, 0x33, 0x44]]);
      expect(lastValue(run)).toBe(0x1122_3344n);
    },
  },
  {
    number: 66,
    given: 'page tables inside a BAR, walked with HCR_EL2.PTW set, as KVM runs its guests',
    when: 'the guest loads through them under 6.8 and 6.9; then under 6.8 with PTW clear',
    follows:
      'the permission fault on the walk repeats for ever; over Normal-NC, and without PTW, the walk succeeds',
    source: 'HCR_GUEST_FLAGS, kvm_is_write_fault(); DDI0487 D8.6.3',
    check() {
      expect(lastOutcome({ kernel: '6.8' })).toBe('livelocked');
      expect(lastOutcome({ kernel: '6.9' })).toBe('completed');
      const run = runScenario(pageTables, { kernel: '6.8' });
      const faults = run.vms[0]?.vcpus[0]?.accesses.at(-1)?.faults ?? [];
      // The tables' own page was mapped by the stores: each fault is S1PTW, permission, level 3.
      expect(new Set(faults.map(({ esr }) => esr))).toEqual(new Set([0x9200_008f]));
      expect(run.events.filter(({ type }) => type === 'stage2-relaxed').length).toBe(faults.length - 1);
      expect(run.vms[0]?.dead).toBeNull();
      const preset = { name: '6.8', evidence: 'a what-if', features: featuresWithoutPtw() };
      expect(lastOutcome({ kernel: preset })).toBe('completed');
    },
  },
];

function featuresWithoutPtw() {
  const preset = kernelPreset('6.8');
  if (preset === undefined) throw new Error('there is a preset 6.8');
  return { ...preset.features, protectedTableWalk: false };
}
