// GICC_DIR where KVM traps it (vgic_v2_deactivate(), Linux 6.19): an interrupt can be deactivated on another vCPU than
// the one that acknowledged it, and without a list register.

import { deactivate, deactivatedLr } from './hwstate.ts';
import { signalsEoi } from './list-register.ts';
import type { Vgic } from './vgic.ts';
import { irqAt, PRIVATE_INTIDS, SGIS, withCpu } from './vgic.ts';

const EOI_MODE = 1 << 9;
const INTID_MASK = 0x3ff;
const SOURCE_SHIFT = 10;
const SOURCE_MASK = 0b111;

/**
 * Without EOImode KVM ignores the write; what is on no ap_list is not active; an SGI has to be named with its sender.
 */
function deactivates(vgic: Vgic, index: number, value: number): boolean {
  const intid = value & INTID_MASK;
  const irq = irqAt(vgic, index, intid);
  const eoiMode = ((vgic.cpus[index]?.ctlr ?? 0) & EOI_MODE) !== 0;
  const from = (value >>> SOURCE_SHIFT) & SOURCE_MASK;
  return eoiMode && irq.vcpu !== null && (intid >= SGIS || irq.onLr || irq.activeSource === from);
}

/**
 * Whether another vCPU's list register holds the interrupt: then all vCPUs leave the guest first, as for a write of
 * ICACTIVER, so that no fold brings the old state back.
 */
export function isInLr(vgic: Vgic, index: number, value: number): boolean {
  return deactivates(vgic, index, value) && irqAt(vgic, index, value & INTID_MASK).onLr;
}

/** The level whose end the irqfds are told, as by a fold; null for none. */
export function endedByDir(vgic: Vgic, index: number, value: number): number | null {
  const intid = value & INTID_MASK;
  if (intid < PRIVATE_INTIDS || !deactivates(vgic, index, value) || isInLr(vgic, index, value)) return null;
  return signalsEoi(deactivatedLr(vgic, index, intid)) ? intid : null;
}

/** @param index the vCPU that writes; it is out of the guest */
export function writeTrappedDir(vgic: Vgic, index: number, value: number): Vgic {
  const intid = value & INTID_MASK;
  if (!deactivates(vgic, index, value)) return vgic;
  const owner = irqAt(vgic, index, intid).vcpu ?? index;
  return withCpu(deactivate(vgic, index, intid), owner, { requested: true });
}
