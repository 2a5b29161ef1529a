import { describe, expect, it } from 'vitest';
import type { Ipa } from '../../src/arch/addresses.ts';
import { emulated, gicv2, vfioPci } from '../../src/devices/plug.ts';
import type { MachineEvent } from '../../src/machine/events.ts';
import { evolve } from '../../src/machine/evolve.ts';
import type { Simulation } from '../../src/machine/simulation.ts';
import { createSimulation } from '../../src/machine/simulation.ts';
import { initialState } from '../../src/machine/state.ts';
import { runBothWays } from '../helpers/both-ways.ts';
import { DEVICE_NGNRE, issue, machineEvents, ofType } from '../helpers/machine.ts';

const BAR = 0x1000_0000;
const UART = 0x0900_0000;
const GICD = 0x0800_0000;
const GICC = 0x0801_0000;

const DEVICES = [
  vfioPci('nic', {
    bars: [{ size: '64K', memory: true, registers: [{ name: 'ICR', offset: 0xc0, access: 'RC', reset: 5 }] }],
  }),
  emulated('uart', { size: '4K', registers: [{ name: 'UARTDR', offset: 0, reset: 0x41 }] }),
  gicv2('gic'),
];

/** A run that touches every kind of device, on one vCPU each. */
function steps(simulation: Simulation, kernel: string): void {
  const dispatch = (...events: readonly MachineEvent[]): void => {
    for (const event of events) simulation.dispatch(event);
  };
  const vgic = { version: 2, gicd: GICD as Ipa, gicc: GICC as Ipa } as const;
  dispatch(
    ...machineEvents({ kernel, devices: DEVICES, assigned: [{ device: 0, region: 0, ipa: BAR }], vcpus: 2 }),
    { type: 'vmm-called', vm: 0, call: { kind: 'create-vgic', vgic } },
    { type: 'mmio-window-opened', device: 1, region: 0, vm: 0, gpa: UART as Ipa },
    { type: 'vcpu-run', vm: 0, vcpu: 0 },
    { type: 'vcpu-run', vm: 0, vcpu: 1 },
    // Stores into the buffer where the memory type permits it, a load of the same bytes, a register that a
    // read clears.
    issue('write', BAR, { value: 1n }),
    issue('write', BAR + 8, { value: 2n, id: 1 }),
    issue('read', BAR + 4, { size: 4, id: 2 }),
    issue('read', BAR + 0xc0, { size: 4, id: 3, vcpu: 1 }),
    issue('write-pair', BAR + 0x40, { size: 16, value: 7n, id: 4 }),
    { type: 'barrier-executed', vm: 0, vcpu: 0, barrier: 'DGH' },
    { type: 'barrier-executed', vm: 0, vcpu: 0, barrier: 'DSB' },
    // Behind MMIO exits, and in the kernel.
    issue('read', UART, { size: 4, id: 5, attr: DEVICE_NGNRE }),
    issue('write', GICD, { size: 4, value: 1n, id: 6, attr: DEVICE_NGNRE }),
    issue('write', GICD + 0x104, { size: 4, value: 4n, id: 7, attr: DEVICE_NGNRE }),
    issue('write', GICC + 4, { size: 4, value: 0xf0n, id: 8, attr: DEVICE_NGNRE }),
    issue('write', GICC, { size: 4, value: 1n, id: 9, attr: DEVICE_NGNRE }),
    { type: 'interrupt-line-changed', device: 2, vm: 0, cpu: null, intid: 34, level: true },
    issue('read', GICC + 0x0c, { size: 4, id: 10, attr: DEVICE_NGNRE }),
    // A write that is still in the buffer when the function stops to answer.
    issue('write', BAR + 0x80, { value: 3n, id: 11 }),
    { type: 'pci-command-written', device: 'nic', value: 0 },
    { type: 'program-ended', vm: 0, vcpu: 0 },
    issue('read', BAR, { size: 4, id: 12 }),
  );
}

describe('evolve', () => {
  it.each(['6.1', '6.6', '6.12'])('gives equal states on drafts and on a plain object, on %s', (kernel) => {
    const { events, state } = runBothWays((simulation) => steps(simulation, kernel));
    const iar = ofType(events, 'device-read').find(({ register }) => register === 'GICV_IAR');
    expect(iar?.value).toBe(34n);
    expect(ofType(events, 'run-failed')).toHaveLength(1);
    expect(state.vcpus.map(({ pending, waiting }) => [pending, waiting])).toEqual([
      [null, null],
      [null, null],
    ]);
  });

  it('leaves every snapshot as it was when it was taken', () => {
    const simulation = createSimulation();
    const taken: unknown[] = [];
    const copies: unknown[] = [];
    simulation.bus.all.subscribe(() => {
      const { vcpus, devices, interconnect } = simulation.state;
      taken.push({ vcpus, interconnect, vgics: devices.map(({ vgics }) => vgics) });
      copies.push(structuredClone(taken.at(-1)));
    });
    steps(simulation, '6.12');
    expect(taken.length).toBeGreaterThan(60);
    expect(taken).toEqual(copies);
  });

  it('is total: events about slices that do not exist leave the state as it is', () => {
    const state = initialState();
    const by = { vm: 9, vcpu: 9, index: 0 };
    const at = { device: 9, region: 0, offset: 0, size: 4, by, register: null, effect: null };
    const events: readonly MachineEvent[] = [
      issue('read', BAR, { vcpu: 9 }),
      { type: 'device-read', ...at, value: 0n },
      { type: 'device-written', ...at, bytes: [1, 2, 3, 4] },
      { type: 'mmio-window-opened', device: 9, region: 0, vm: 9, gpa: 0 as Ipa },
      { type: 'interrupt-line-changed', device: 9, vm: 9, cpu: null, intid: 40, level: true },
      { type: 'pci-command-written', device: 'nobody', value: 0 },
      { type: 'transaction-answered', vm: 9, vcpu: 9, access: 0, value: null },
      { type: 'vgic-resources-mapped', vm: 9 },
    ];
    for (const event of events) evolve(state, event);
    expect(state).toEqual(initialState());
  });

  it('ignores a region that its device does not have, and an answer that nobody waits for', () => {
    const { state } = runBothWays((simulation) => {
      for (const event of machineEvents({ devices: DEVICES })) simulation.dispatch(event);
      const by = { vm: 0, vcpu: 0, index: 0 };
      const at = { device: 0, region: 5, offset: 0, size: 4, by, register: null, effect: null };
      simulation.dispatch({ type: 'device-written', ...at, bytes: [1, 2, 3, 4] });
      simulation.dispatch({ type: 'transaction-answered', vm: 0, vcpu: 0, access: 3, value: 1n });
    });
    expect(state.vcpus[0]?.waiting).toBeNull();
  });
});
