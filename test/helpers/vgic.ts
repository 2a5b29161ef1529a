// A GICv2 as a driver and its host see it, by register offsets: accesses to GICD leave the guest and enter it again, an
// interrupt kicks the vCPU, GICV raises its maintenance interrupt. What the machine does by events is done at once.

import { decideMmio } from '../../src/devices/decide.ts';
import { GICC, GICD, GICV } from '../../src/devices/description.ts';
import type { DeviceEvent } from '../../src/devices/events.ts';
import { evolveDevice } from '../../src/devices/evolve.ts';
import { ackedSpis } from '../../src/devices/gicv2/hwstate.ts';
import { kicked } from '../../src/devices/gicv2/lines.ts';
import type { Vgic, VgicTraits } from '../../src/devices/gicv2/vgic.ts';
import { initialVgic } from '../../src/devices/gicv2/vgic.ts';
import { gicv2 } from '../../src/devices/plug.ts';
import { initialDevice } from '../../src/devices/state.ts';

const GIC_400: VgicTraits = { listRegisters: 4, revision: 3, lrFirst: 'pending' };

/** Names of GICV's registers that tests use. */
export const IAR = 0x0c;
export const EOIR = 0x10;
export const RPR = 0x14;
export const HPPIR = 0x18;
export const DIR = 0x1000;
export const SPURIOUS = 1023;

/** The GICv2 of VM 0. @param cpus number of its vCPUs */
export function gic(cpus = 2, traits: Partial<VgicTraits> = {}) {
  const state = initialDevice(gicv2('gic'));
  evolveDevice(state, { type: 'vgic-initialised', vm: 0, vcpus: cpus, traits: { ...GIC_400, ...traits } });
  const maintained: (readonly string[])[] = [];
  const ended: number[] = [];
  const vgic = (): Vgic => state.vgics[0] ?? initialVgic(0);
  const sync = (cpu: number): void => {
    ended.push(...ackedSpis(vgic(), cpu));
    evolveDevice(state, { type: 'vgic-synced', device: 0, vm: 0, cpu, because: 'trap' });
  };
  const flush = (cpu: number): void =>
    evolveDevice(state, { type: 'vgic-flushed', device: 0, vm: 0, cpu, because: 'trap' });
  const kicks = (): void => {
    for (const cpu of kicked(vgic())) bounce(cpu);
  };
  const bounce = (cpu: number): void => {
    sync(cpu);
    flush(cpu);
    kicks();
  };
  const access = (region: number, cpu: number, offset: number, size: number, value: bigint | null) => {
    const by = { vm: 0, vcpu: cpu, index: cpu };
    const events = decideMmio(state, 0, { by, region, offset, size, write: value !== null, value });
    for (const event of events) evolveDevice(state, event);
    const raised = events.find((event) => event.type === 'maintenance-interrupt');
    if (raised !== undefined) {
      maintained.push(raised.causes);
      bounce(cpu);
    }
    return events;
  };
  /** All vCPUs leave the guest, though for most accesses only the one would: what they hold is the same after. */
  const inKernel = (region: number, cpu: number, offset: number, size: number, value: bigint | null) => {
    vgic().cpus.forEach((_cpu, other) => void sync(other));
    const events = access(region, cpu, offset, size, value);
    vgic().cpus.forEach((_cpu, other) => void flush(other));
    return events;
  };
  const answered = (events: readonly DeviceEvent[]): number => {
    const answer = events.find((event) => event.type === 'mmio-answered');
    return answer === undefined ? Number.NaN : Number(answer.value);
  };
  return {
    state,
    vgic,
    /** Causes of each maintenance interrupt so far. */
    maintained,
    /** SPIs whose end a fold told the irqfds. */
    ended,
    access,
    /** Out of the guest and in again, for whatever reason. */
    bounce,
    sync,
    flush,
    /** The line of an interrupt, and the kick that follows. */
    line(intid: number, level: boolean, cpu: number | null = null): void {
      evolveDevice(state, { type: 'interrupt-line-changed', device: 0, vm: 0, cpu, intid, level });
      kicks();
    },
    dist: (offset: number, size = 4, cpu = 0) => answered(inKernel(GICD, cpu, offset, size, null)),
    setDist: (offset: number, value: number, size = 4, cpu = 0) =>
      inKernel(GICD, cpu, offset, size, BigInt(value)),
    cpuIf: (offset: number, cpu = 0) => answered(access(GICV, cpu, offset, 4, null)),
    setCpuIf: (offset: number, value: number, cpu = 0) => access(GICV, cpu, offset, 4, BigInt(value)),
    trappedDir: (value: number, cpu = 0) => inKernel(GICC, cpu, DIR, 4, BigInt(value)),
  };
}

export type Gic = ReturnType<typeof gic>;

/** As Linux sets it up: distributor and interface on, all priorities pass, SPI 34 enabled. */
export function running(cpus = 2, traits: Partial<VgicTraits> = {}): Gic {
  const it = gic(cpus, traits);
  it.setDist(0x000, 1);
  it.setDist(0x104, 1 << 2);
  for (let cpu = 0; cpu < cpus; cpu++) {
    it.setCpuIf(0x04, 0xf0, cpu);
    it.setCpuIf(0x00, 1, cpu);
  }
  return it;
}
