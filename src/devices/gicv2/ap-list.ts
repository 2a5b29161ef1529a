// Which vCPU an interrupt goes to (vgic_target_oracle()), how it gets onto that vCPU's ap_list
// (vgic_queue_irq_unlock()) and off again (vgic_prune_ap_list()), and how lines change (kvm_vgic_inject_irq()).

import type { Irq, Vgic } from './vgic.ts';
import { irqAt, isPending, lowestBit, PRIVATE_INTIDS, withCpu, withIrq } from './vgic.ts';

/** The vCPU that should have the interrupt now; null for none. @param cpu whose SGI or PPI it is */
export function targetOf(vgic: Vgic, cpu: number, intid: number): number | null {
  const irq = irqAt(vgic, cpu, intid);
  const target = intid < PRIVATE_INTIDS ? cpu : lowestBit(irq.targets);
  if (irq.active) return irq.vcpu ?? target;
  return irq.enabled && isPending(irq) && vgic.enabled ? target : null;
}

/** Puts it onto the ap_list where it belongs, unless it is on one; that vCPU is kicked either way. */
export function queueIrq(vgic: Vgic, cpu: number, intid: number): Vgic {
  const target = targetOf(vgic, cpu, intid);
  if (target === null) return vgic;
  const irq = irqAt(vgic, cpu, intid);
  if (irq.vcpu !== null) return withCpu(vgic, target, { requested: true });
  const apList = [...(vgic.cpus[target]?.apList ?? []), intid];
  return withCpu(withIrq(vgic, cpu, intid, { vcpu: target }), target, { apList, requested: true });
}

/** Takes off the ap_list what is neither active nor pending any more, and moves SPIs that have another target. */
export function pruneApList(vgic: Vgic, cpu: number): Vgic {
  let next = vgic;
  for (const intid of vgic.cpus[cpu]?.apList ?? []) {
    const target = targetOf(next, cpu, intid);
    if (target === cpu) continue;
    const apList = (next.cpus[cpu]?.apList ?? []).filter((other) => other !== intid);
    next = withCpu(withIrq(next, cpu, intid, { vcpu: target }), cpu, { apList });
    if (target === null) continue;
    const moved = [...(next.cpus[target]?.apList ?? []), intid];
    next = withCpu(next, target, { apList: moved, requested: true });
  }
  return next;
}

/** kvm_vgic_vcpu_pending_irq(): something on the ap_list would interrupt this vCPU; also what ends its WFI. */
export function hasPendingIrq(vgic: Vgic, cpu: number): boolean {
  const { apList = [], pmr = 0 } = vgic.cpus[cpu] ?? {};
  if (!vgic.enabled) return false;
  return apList.some((intid) => {
    const irq = irqAt(vgic, cpu, intid);
    return irq.enabled && isPending(irq) && !irq.active && irq.priority < pmr;
  });
}

/**
 * vgic_kick_vcpus(): the distributor was switched on. Only ap_lists are looked at: what became pending while it was
 * off is on none, and waits for the next write that queues it, such as ISENABLER.
 */
export function kickAll(vgic: Vgic): Vgic {
  return vgic.cpus.reduce(
    (next, _cpu, index) => (hasPendingIrq(vgic, index) ? withCpu(next, index, { requested: true }) : next),
    vgic,
  );
}

/**
 * kvm_vgic_inject_irq(): a level counts when it changes, an edge when it is raised; lowering an edge is nothing.
 * @param cpu whose PPI it is; without meaning for SPIs
 */
export function injectIrq(vgic: Vgic, cpu: number, intid: number, level: boolean): Vgic {
  const irq: Irq = irqAt(vgic, cpu, intid);
  if (irq.edge ? !level : irq.line === level) return vgic;
  const changed = withIrq(vgic, cpu, intid, irq.edge ? { latch: true } : { line: level });
  return queueIrq(changed, cpu, intid);
}
