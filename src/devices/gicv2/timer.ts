// The virtual timer of a vCPU (CNTV_CTL_EL0, CNTV_CVAL_EL0) and its PPI, which KVM maps to the physical one: the host
// takes it, injects a level and leaves it active, so that it comes again only once the guest has deactivated it
// (kvm_arch_timer_handler(), kvm_timer_update_irq(), kvm_vgic_map_phys_irq(); DDI0487 D11.2.4).

import type { Timer, Vgic, VgicCpu } from './vgic.ts';
import { withCpu } from './vgic.ts';

/** Of KVM's virtual timer, and of the host's. */
export const VTIMER_PPI = 27;
/** Of the physical timer that KVM emulates; no other than the timers drives these two lines. */
const PTIMER_PPI = 30;

export const isTimerPpi = (intid: number): boolean => intid === VTIMER_PPI || intid === PTIMER_PPI;

const OFF: Timer = { enabled: false, masked: false, cval: 0, met: false, active: false };

/** What the timer signals: kvm_timer_should_fire(). */
export const outputOf = ({ timer }: VgicCpu): boolean =>
  timer?.enabled === true && !timer.masked && timer.met;

/** The host takes the interrupt now. */
export const interruptsHost = (cpu: VgicCpu): boolean => outputOf(cpu) && cpu.timer?.active === false;

export function changeTimer(vgic: Vgic, index: number, change: Partial<Timer>): Vgic {
  const cpu = vgic.cpus[index];
  return cpu === undefined ? vgic : withCpu(vgic, index, { timer: { ...(cpu.timer ?? OFF), ...change } });
}

/** Time that the timer still waits for, as the counter's value; null for a timer that waits for nothing. */
export const deadlineOf = ({ timer }: VgicCpu): number | null =>
  timer === undefined || !timer.enabled || timer.met ? null : timer.cval;

/** Whether the guest's interrupt stands for the physical one, as of its first use of the timer. */
export const isMapped = ({ timer }: VgicCpu, intid: number): boolean =>
  timer !== undefined && intid === VTIMER_PPI;
