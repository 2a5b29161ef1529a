// What others may ask of a vCPU's virtual CPU interface: whether it interrupts the vCPU, whether there is anything to
// move when the vCPU leaves the guest, and who is to be kicked.

import type { DeviceState } from '../state.ts';
import { hasPendingIrq } from './ap-list.ts';
import { signalledException } from './cpu-interface.ts';
import { interruptsHost } from './timer.ts';
import type { Vgic } from './vgic.ts';

/** The exception that a VM's GIC signals to a vCPU; null for none. @param cpu number of the vCPU in its VM */
export function interruptOf(vgic: Vgic, cpu: number): 'irq' | 'fiq' | null {
  const state = vgic.cpus[cpu];
  return state === undefined ? null : signalledException(state);
}

/** Whether WFI goes on: hardware signals, or KVM has something that the next entry will signal. */
export const wakes = (vgic: Vgic, cpu: number): boolean =>
  interruptOf(vgic, cpu) !== null || hasPendingIrq(vgic, cpu);

/** Whether an exit of this vCPU moves anything: an exit with empty list registers leaves all as it is. */
export function exitMatters(vgic: Vgic, cpu: number): boolean {
  const { inGuest, usedLrs, apList } = vgic.cpus[cpu] ?? { inGuest: false, usedLrs: 0, apList: [] };
  return inGuest && (usedLrs > 0 || apList.length > 0);
}

export const isOut = (vgic: Vgic, cpu: number): boolean => vgic.cpus[cpu]?.inGuest === false;

/** vCPUs that run while something waits for them (KVM_REQ_IRQ_PENDING). */
export function kicked(vgic: Vgic): readonly number[] {
  return vgic.cpus.flatMap(({ requested, inGuest }, cpu) => (requested && inGuest ? [cpu] : []));
}

/** vCPUs whose timer interrupts the host. */
export const timersDue = (vgic: Vgic): readonly number[] =>
  vgic.cpus.flatMap((of, cpu) => (interruptsHost(of) ? [cpu] : []));

/** The GICv2 that a VM has, and the number of its slice; null for a VM without one. */
export function gicOf(
  devices: readonly DeviceState[],
  vm: number,
): { readonly device: number; readonly vgic: Vgic } | null {
  for (const [device, { vgics }] of devices.entries()) {
    const vgic = vgics[vm];
    if (vgic !== undefined) return { device, vgic };
  }
  return null;
}
