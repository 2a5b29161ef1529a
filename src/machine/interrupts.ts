// How interrupts travel between parts: from a device's wire over the VM's irqfds to its GIC, and with every exit and
// entry of a vCPU between KVM's interrupts and the list registers of hardware. Pure: each part is asked about its own
// slice, and what comes of it follows as events.

import type { VgicBecause } from '../devices/events.ts';
import { ackedSpis } from '../devices/gicv2/hwstate.ts';
import { exitMatters, gicOf, isOut, kicked, timersDue } from '../devices/gicv2/lines.ts';
import { VTIMER_PPI } from '../devices/gicv2/timer.ts';
import { decideWires } from '../devices/interrupt-wires.ts';
import type { IrqOutcome } from '../host/irqfd.ts';
import { acked, FIRST_SPI, lineDriven } from '../host/irqfd.ts';
import type { MachineEvent } from './events.ts';
import type { MachineState } from './state.ts';

interface OfVcpu {
  readonly vm: number;
  /** Number of the vCPU's slice. */
  readonly vcpu: number;
}

/** A vCPU leaves the guest: its list registers are folded, and ends of levels are told. */
export function leaves(state: MachineState, { vm, vcpu }: OfVcpu, because: VgicBecause): MachineEvent[] {
  return state.devices.length === 0 ? [] : left(state, vm, state.vcpus[vcpu]?.index ?? 0, because);
}

/** @param cpu number of the vCPU in its VM */
function left(state: MachineState, vm: number, cpu: number, because: VgicBecause): MachineEvent[] {
  const gic = gicOf(state.devices, vm);
  if (gic === null) return [];
  const matters = because === 'maintenance-interrupt' ? !isOut(gic.vgic, cpu) : exitMatters(gic.vgic, cpu);
  if (!matters) return [];
  const { device, vgic } = gic;
  const ends = ackedSpis(vgic, cpu).flatMap((intid) => endedLevels(state, vm, intid));
  return [{ type: 'vgic-synced', device, vm, cpu, because }, ...ends];
}

/** What follows from the guest's end of a level: its resampler, and the device that still asks. */
export function endedLevels(state: MachineState, vm: number, intid: number | null): MachineEvent[] {
  const slice = state.vms[vm];
  if (slice === undefined || intid === null) return [];
  const isHigh = (of: number, line: string): boolean => state.devices[of]?.lines[line] ?? false;
  return delivered(state, vm, acked(slice, vm, intid - FIRST_SPI, isHigh));
}

/** A vCPU that is out of the guest enters it: its list registers are loaded. */
export function enters(state: MachineState, { vm, vcpu }: OfVcpu, because: VgicBecause): MachineEvent[] {
  if (state.devices.length === 0) return [];
  const gic = gicOf(state.devices, vm);
  const cpu = state.vcpus[vcpu]?.index ?? 0;
  if (gic === null || !isOut(gic.vgic, cpu)) return [];
  return [{ type: 'vgic-flushed', device: gic.device, vm, cpu, because }];
}

/** Out and in again at once. */
function bounced(state: MachineState, vm: number, cpu: number, because: VgicBecause): MachineEvent[] {
  const gic = gicOf(state.devices, vm);
  const out = left(state, vm, cpu, because);
  if (gic === null || out.length === 0) return [];
  return [...out, { type: 'vgic-flushed', device: gic.device, vm, cpu, because }];
}

/** All vCPUs of a VM but one are taken out of the guest for the time of `during`. */
export function halted(
  state: MachineState,
  { vm, vcpu }: OfVcpu,
  during: readonly MachineEvent[],
): MachineEvent[] {
  const index = state.vcpus[vcpu]?.index ?? 0;
  const gic = gicOf(state.devices, vm);
  const others = (gic?.vgic.cpus ?? []).flatMap((_cpu, cpu) => (cpu === index ? [] : [cpu]));
  const out = others.map((cpu) => ({ cpu, events: left(state, vm, cpu, 'all-halted') }));
  const again = out.flatMap(({ cpu, events }): MachineEvent[] =>
    gic === null || events.length === 0
      ? []
      : [{ type: 'vgic-flushed', device: gic.device, vm, cpu, because: 'all-halted' }],
  );
  return [...out.flatMap(({ events }) => events), ...during, ...again];
}

/** vCPUs of a VM that run while interrupts were queued for them are kicked. */
export function kicks(state: MachineState, vm: number): MachineEvent[] {
  const gic = gicOf(state.devices, vm);
  if (gic === null) return [];
  return kicked(gic.vgic).flatMap((cpu) => bounced(state, vm, cpu, 'kick'));
}

/** Timers of a VM whose interrupt reaches the host now: it rose, or the guest ended one that is high still. */
export function timers(state: MachineState, vm: number): MachineEvent[] {
  const gic = gicOf(state.devices, vm);
  if (gic === null) return [];
  return timersDue(gic.vgic).map((cpu) => ({ type: 'timer-interrupt', device: gic.device, vm, cpu }));
}

/** kvm_arch_timer_handler(): the vCPU leaves the guest, and the level is injected. */
export function timerTaken(
  state: MachineState,
  { device, vm, cpu }: { readonly device: number; readonly vm: number; readonly cpu: number },
): MachineEvent[] {
  const out = left(state, vm, cpu, 'timer');
  const line = { type: 'interrupt-line-changed', device, vm, cpu, intid: VTIMER_PPI, level: true } as const;
  return [
    ...out,
    line,
    ...(out.length === 0 ? [] : [{ type: 'vgic-flushed', device, vm, cpu, because: 'timer' } as const]),
  ];
}

export const maintained = (
  state: MachineState,
  { vm, cpu }: { readonly vm: number; readonly cpu: number },
): MachineEvent[] => bounced(state, vm, cpu, 'maintenance-interrupt');

/** All vCPUs of a VM leave the guest, or enter it again. */
export function vmStopped(state: MachineState, vm: number, stops: boolean): MachineEvent[] {
  const gic = gicOf(state.devices, vm);
  if (gic === null) return [];
  const { device, vgic } = gic;
  const because = 'vm-stopped';
  const moved = vgic.cpus.flatMap((_cpu, cpu): MachineEvent[] => {
    if (stops) return left(state, vm, cpu, because);
    return isOut(vgic, cpu) ? [{ type: 'vgic-flushed', device, vm, cpu, because }] : [];
  });
  return stops ? moved : [...moved, ...kicks(state, vm)];
}

/** WFI is trapped (HCR_EL2.TWI): whatever KVM has for the vCPU is loaded when it goes on. */
export const waited = (state: MachineState, { vm, vcpu }: OfVcpu): MachineEvent[] =>
  bounced(state, vm, state.vcpus[vcpu]?.index ?? 0, 'wfi');

/** A device's registers changed, and so may its wires. @param device number of its slice */
export function wires(state: MachineState, device: number): MachineEvent[] {
  const slice = state.devices[device];
  return slice === undefined || slice.description.interrupts === undefined ? [] : decideWires(slice, device);
}

/** An interrupt of a device goes to every VM that is wired to it. */
export function interrupted(
  state: MachineState,
  input: { readonly device: number; readonly line: string; readonly level: boolean | null },
): MachineEvent[] {
  return state.vms.flatMap((vm, id) => delivered(state, id, lineDriven(vm, id, input)));
}

/** Lines that KVM sets, as its GIC sees them. A GICv3's interrupts are not modelled. */
function delivered(state: MachineState, vm: number, outcomes: readonly IrqOutcome[]): MachineEvent[] {
  const gic = gicOf(state.devices, vm);
  return outcomes.flatMap((outcome): MachineEvent[] => {
    if (outcome.type !== 'irq-set') return [outcome];
    const { gsi, level } = outcome;
    if (gic === null) return [];
    const intid = gsi + FIRST_SPI;
    return [{ type: 'interrupt-line-changed', device: gic.device, vm, cpu: null, intid, level }];
  });
}
