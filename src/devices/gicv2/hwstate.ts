// What KVM moves between its interrupts and the list registers: kvm_vgic_flush_hwstate() before each entry of the guest
// and kvm_vgic_sync_hwstate() after each exit (vgic.c, vgic-v2.c). There are few list registers, four on a GIC-400: how
// the rest waits is the kernel's choice (KernelFeatures.vgicLrFirst).

import { pruneApList, targetOf } from './ap-list.ts';
import { HCR, hcrOf } from './gich.ts';
import type { ListRegister } from './list-register.ts';
import { decodeLr, encodeLr, isInvalid, signalsEoi } from './list-register.ts';
import { changeTimer, isMapped, outputOf } from './timer.ts';
import type { Irq, Vgic } from './vgic.ts';
import { irqAt, isPending, lowestBit, PRIVATE_INTIDS, SGIS, withCpu, withIrq } from './vgic.ts';

const hasOneBit = (bits: number): boolean => (bits & (bits - 1)) === 0;

function countBits(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

/** vgic_irq_get_lr_count(): an SGI of several senders is offered once for each, and once more while it is active. */
function lrCount(intid: number, irq: Irq): number {
  if (intid < SGIS && irq.sources !== 0) return countBits(irq.sources) + (irq.active ? 1 : 0);
  return isPending(irq) || irq.active ? 1 : 0;
}

/**
 * vgic_v2_compute_lr(). Level-triggered interrupts ask for a maintenance interrupt at their end and are never pending
 * and active at once; so does an SGI that has further senders. A mapped one is pending or active, and hardware ends it.
 */
function computeLr(intid: number, irq: Irq, mapped: boolean): ListRegister {
  const isSgi = intid < SGIS;
  const isMultiSgi = isSgi && lrCount(intid, irq) > 1;
  const allowPending = !irq.active || (irq.edge && !isMultiSgi);
  const pending = allowPending && isPending(irq);
  const from = pending ? lowestBit(irq.sources) : irq.activeSource;
  const { active, priority, group } = irq;
  if (mapped) return { intid, cpuid: 0, eoi: false, priority, pending, active, group, hw: true };
  const eoi = !irq.edge || (active && isMultiSgi) || (pending && isSgi && !hasOneBit(irq.sources));
  return { intid, cpuid: isSgi ? from : 0, eoi, priority, pending, active, group };
}

/** vgic_v2_populate_lr(): a pending edge moves into the register, with one sender of an SGI. */
function populateLr(vgic: Vgic, cpu: number, intid: number, lrs: number[]): Vgic {
  const irq = irqAt(vgic, cpu, intid);
  const mapped = isMappedAt(vgic, cpu, intid);
  const lr = computeLr(intid, irq, mapped);
  lrs.push(encodeLr(lr));
  // Of a mapped level KVM hears rising edges only: lowered here, it can be taken again.
  if (lr.pending && mapped) return withIrq(vgic, cpu, intid, { onLr: true, line: false });
  if (!lr.pending || !irq.edge) return withIrq(vgic, cpu, intid, { onLr: true });
  const sources = irq.sources & (irq.sources - 1);
  return withIrq(vgic, cpu, intid, { onLr: true, sources, latch: sources !== 0 });
}

const isMappedAt = (vgic: Vgic, cpu: number, intid: number): boolean => {
  const of = vgic.cpus[cpu];
  return of !== undefined && isMapped(of, intid);
};

/** What of an ap_list this vCPU is to have, and whether it is active. */
interface Summary {
  readonly pending: number;
  readonly active: number;
}

function summarize(vgic: Vgic, cpu: number): Summary {
  let [pending, active] = [0, 0];
  for (const intid of vgic.cpus[cpu]?.apList ?? []) {
    if (targetOf(vgic, cpu, intid) !== cpu) continue;
    if (irqAt(vgic, cpu, intid).active) active += 1;
    else pending += 1;
  }
  return { pending, active };
}

/**
 * vgic_irq_cmp(). From 6.19 on what is pending and not active comes first, then by priority; before, what is active,
 * then what is pending and enabled, by priority.
 */
function sorted(vgic: Vgic, cpu: number, apList: readonly number[]): readonly number[] {
  const rank = (irq: Irq): number => {
    const offered = irq.enabled && isPending(irq);
    if (vgic.lrFirst === 'pending') return offered && !irq.active ? 0 : 1;
    return irq.active ? 0 : offered ? 1 : 2;
  };
  const key = (intid: number): readonly [number, number] => {
    const irq = irqAt(vgic, cpu, intid);
    const byPriority = vgic.lrFirst === 'pending' || rank(irq) === 1;
    return [rank(irq), byPriority ? irq.priority : 0];
  };
  return apList.toSorted((a, b) => {
    const [rankA, priorityA] = key(a);
    const [rankB, priorityB] = key(b);
    return rankA - rankB || priorityA - priorityB;
  });
}

/** kvm_vgic_flush_hwstate(): loads the list registers; nothing for a vCPU that has them loaded. */
export function flushHwstate(vgic: Vgic, index: number): Vgic {
  const cpu = vgic.cpus[index];
  if (cpu === undefined || cpu.inGuest) return vgic;
  const summary = summarize(vgic, index);
  const { apList, lrs, next } =
    vgic.lrFirst === 'pending' ? fillPendingFirst(vgic, index, summary) : fillActiveFirst(vgic, index);
  const usedLrs = lrs.length;
  const empty = Array.from({ length: vgic.listRegisters - usedLrs }, () => 0);
  const left = apList.length > 0 && apList.at(-1) !== decodeLr(lrs.at(-1) ?? 0).intid;
  const hcr =
    vgic.lrFirst === 'pending'
      ? hcrOf(cpu, summary, vgic.listRegisters)
      : HCR.En + (usedLrs === vgic.listRegisters && left ? HCR.UIE : 0);
  const change = { apList, lrs: [...lrs, ...empty], usedLrs, hcr, inGuest: true, requested: false };
  return withCpu(next, index, change);
}

interface Filled {
  readonly apList: readonly number[];
  readonly lrs: readonly number[];
  readonly next: Vgic;
}

/** vgic_flush_lr_state() from 6.19 on: sorted only if not all fit. */
function fillPendingFirst(vgic: Vgic, cpu: number, { pending, active }: Summary): Filled {
  const list = vgic.cpus[cpu]?.apList ?? [];
  const apList = pending + active > vgic.listRegisters ? sorted(vgic, cpu, list) : list;
  const lrs: number[] = [];
  let next = vgic;
  for (const intid of apList) {
    if (lrs.length === vgic.listRegisters) break;
    if (targetOf(next, cpu, intid) === cpu) next = populateLr(next, cpu, intid, lrs);
  }
  return { apList, lrs, next };
}

/**
 * vgic_flush_lr_state() before 6.19: with an SGI of several senders, what is less urgent stays out, so that no sender
 * is overtaken.
 */
function fillActiveFirst(vgic: Vgic, cpu: number): Filled {
  const list = vgic.cpus[cpu]?.apList ?? [];
  const counts = list.map((intid) => lrCount(intid, irqAt(vgic, cpu, intid)));
  const multiSgi = counts.some((count) => count > 1);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const apList = total > vgic.listRegisters || multiSgi ? sorted(vgic, cpu, list) : list;
  const lrs: number[] = [];
  let next = vgic;
  let least = 0xff;
  for (const intid of apList) {
    const irq = irqAt(next, cpu, intid);
    if (lrs.length === vgic.listRegisters || (multiSgi && irq.priority > least)) break;
    if (targetOf(next, cpu, intid) !== cpu) continue;
    next = populateLr(next, cpu, intid, lrs);
    if (irqAt(next, cpu, intid).sources !== 0) least = irq.priority;
  }
  return { apList, lrs, next };
}

/** vgic_v2_fold_lr(): active as it is; pending of an edge only, since a level is what its line says. */
function foldLr(vgic: Vgic, cpu: number, lr: ListRegister): Vgic {
  const irq = irqAt(vgic, cpu, lr.intid);
  const isSgi = lr.intid < SGIS;
  const change = {
    active: lr.active,
    activeSource: lr.active && isSgi ? lr.cpuid : irq.activeSource,
    latch: irq.edge ? irq.latch || lr.pending : irq.latch && !isInvalid(lr),
    sources: irq.edge && lr.pending && isSgi ? irq.sources | (1 << lr.cpuid) : irq.sources,
    onLr: false,
  };
  return resampled(withIrq(vgic, cpu, lr.intid, change), cpu, lr, irq);
}

/**
 * vgic_irq_handle_resampling(): the level of a mapped interrupt that the guest did not acknowledge, or that rose again
 * while it was active. Where it is low, the physical one must not stay active, or nobody hears it again.
 */
function resampled(vgic: Vgic, cpu: number, lr: ListRegister, before: Irq): Vgic {
  const of = vgic.cpus[cpu];
  const ended = before.active && !lr.active;
  if (of === undefined || lr.hw !== true || !(lr.pending || (ended && before.line))) return vgic;
  const line = outputOf(of);
  const sampled = withIrq(vgic, cpu, lr.intid, { line });
  return line ? sampled : changeTimer(sampled, cpu, { active: false });
}

/** Deactivated without a list register: the physical one of a mapped interrupt by KVM itself (GICC_DIR). */
export function deactivate(vgic: Vgic, cpu: number, intid: number): Vgic {
  const lr = deactivatedLr(vgic, cpu, intid);
  const physical = lr.hw === true ? changeTimer(vgic, cpu, { active: false }) : vgic;
  return foldLr(physical, cpu, lr);
}

/** The list register of an interrupt that has none, once the guest has deactivated it. */
export const deactivatedLr = (vgic: Vgic, cpu: number, intid: number): ListRegister => ({
  ...computeLr(intid, irqAt(vgic, cpu, intid), isMappedAt(vgic, cpu, intid)),
  active: false,
});

/** kvm_vgic_sync_hwstate(): folds the list registers and prunes; nothing for a vCPU that has none loaded. */
export function syncHwstate(vgic: Vgic, index: number): Vgic {
  const cpu = vgic.cpus[index];
  if (cpu === undefined || !cpu.inGuest) return vgic;
  const lrs = usedLrsOf(vgic, index);
  const folded = lrs.reduce((next, lr) => foldLr(next, index, lr), vgic);
  const ended = deactivateOutside(folded, index, lrs);
  const empty = cpu.lrs.map(() => 0);
  return pruneApList(withCpu(ended, index, { lrs: empty, usedLrs: 0, hcr: 0, inGuest: false }), index);
}

const usedLrsOf = (vgic: Vgic, index: number): ListRegister[] => {
  const { lrs = [], usedLrs = 0 } = vgic.cpus[index] ?? {};
  return lrs.slice(0, usedLrs).map(decodeLr);
};

/** Interrupts that the guest ended while they had no list register (GICH_HCR.EOICount, with LRENPIE). */
function outsideEnded(vgic: Vgic, index: number, lrs: readonly ListRegister[]): readonly number[] {
  const { hcr = 0, apList = [] } = vgic.cpus[index] ?? {};
  if ((hcr & HCR.LRENPIE) === 0) return [];
  const count = hcr >>> HCR.EOICountShift;
  const outside = apList.filter(
    (intid) =>
      targetOf(vgic, index, intid) === index &&
      irqAt(vgic, index, intid).active &&
      !lrs.some((lr) => lr.intid === intid),
  );
  return outside.slice(0, count);
}

function deactivateOutside(vgic: Vgic, index: number, lrs: readonly ListRegister[]): Vgic {
  return outsideEnded(vgic, index, lrs).reduce((next, intid) => deactivate(next, index, intid), vgic);
}

/** SPIs whose end a fold tells the irqfds (kvm_notify_acked_irq()): level-triggered ones that the guest ended. */
export function ackedSpis(vgic: Vgic, index: number): readonly number[] {
  if (vgic.cpus[index]?.inGuest !== true) return [];
  const lrs = usedLrsOf(vgic, index);
  const outside = outsideEnded(vgic, index, lrs).map((intid) => deactivatedLr(vgic, index, intid));
  return [...lrs, ...outside]
    .filter((lr) => lr.intid >= PRIVATE_INTIDS && signalsEoi(lr))
    .map(({ intid }) => intid);
}
