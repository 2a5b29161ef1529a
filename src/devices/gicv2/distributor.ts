// The distributor that KVM emulates for a VM (vgic-mmio-v2.c, vgic-mmio.c): registers whose bits or bytes
// belong to interrupts, and SGIR. Whatever is not listed, or has the wrong size, is RAZ/WI and never an
// error.

import { kickAll, queueIrq } from './ap-list.ts';
import { GICD_IIDR, IIDR_REVISION, INTIDS } from './registers.ts';
import type { Irq, Vgic } from './vgic.ts';
import { irqAt, isPending, PRIVATE_INTIDS, SGIS, withIrq } from './vgic.ts';

interface At {
  readonly vgic: Vgic;
  /** The vCPU that reads or writes. */
  readonly cpu: number;
  readonly intid: number;
}

/** What `bits` bits of each interrupt read as, and what writing them changes; null for no change. */
interface Family {
  readonly bits: 1 | 2 | 8;
  /** Whether the kernel calls vgic_queue_irq_unlock() after a write. */
  readonly queues?: true;
  read(irq: Irq, at: At): number;
  write(value: number, irq: Irq, at: At): Partial<Irq> | null;
}

const bit = (set: boolean): number => (set ? 1 : 0);
const where1 =
  (change: (at: At) => Partial<Irq> | null) =>
  (value: number, _irq: Irq, at: At): Partial<Irq> | null =>
    value === 0 ? null : change(at);

/** A guest cannot change pending SGIs through I{S,C}PENDR. */
const unlessSgi =
  (change: Partial<Irq>) =>
  ({ intid }: At): Partial<Irq> | null =>
    intid < SGIS ? null : change;

const EDGE = 0b10;
const PRIORITY_MASK = 0xf8;

const enabled = (irq: Irq): number => bit(irq.enabled);
const pending = (irq: Irq): number => bit(isPending(irq));
const active = (irq: Irq): number => bit(irq.active);
const sources = (irq: Irq): number => irq.sources;

/** An SGI without a sender left is not pending. */
const cleared = (irq: Irq, senders: number): Partial<Irq> => ({
  sources: senders,
  latch: senders !== 0 && irq.latch,
});

const FAMILIES: Readonly<Record<string, Family>> = {
  IGROUPR: {
    bits: 1,
    queues: true,
    read: (irq) => irq.group,
    write: (value) => ({ group: value === 0 ? 0 : 1 }),
  },
  ISENABLER: { bits: 1, queues: true, read: enabled, write: where1(() => ({ enabled: true })) },
  ICENABLER: { bits: 1, read: enabled, write: where1(() => ({ enabled: false })) },
  ISPENDR: { bits: 1, queues: true, read: pending, write: where1(unlessSgi({ latch: true })) },
  ICPENDR: { bits: 1, read: pending, write: where1(unlessSgi({ latch: false })) },
  // The sender of an SGI made active so is not known: the writing vCPU stands in (vgic_mmio_change_active()).
  ISACTIVER: {
    bits: 1,
    queues: true,
    read: active,
    write: where1(({ cpu, intid }) => ({ active: true, ...(intid < SGIS ? { activeSource: cpu } : {}) })),
  },
  ICACTIVER: { bits: 1, read: active, write: where1(() => ({ active: false })) },
  IPRIORITYR: {
    bits: 8,
    read: ({ priority }) => priority,
    write: (value) => ({ priority: value & PRIORITY_MASK }),
  },
  ITARGETSR: {
    bits: 8,
    read: (irq, { cpu, intid }) => (intid < PRIVATE_INTIDS ? 1 << cpu : irq.targets),
    write: (value, _irq, { vgic, intid }) =>
      intid < PRIVATE_INTIDS ? null : { targets: value & ((1 << vgic.cpus.length) - 1) },
  },
  ICFGR: {
    bits: 2,
    read: (irq) => (irq.edge ? EDGE : 0),
    write: (value, _irq, { intid }) => (intid < PRIVATE_INTIDS ? null : { edge: (value & EDGE) !== 0 }),
  },
  CPENDSGIR: { bits: 8, read: sources, write: (value, irq) => cleared(irq, irq.sources & ~value) },
  SPENDSGIR: {
    bits: 8,
    queues: true,
    read: sources,
    write: (value, irq) => ({
      sources: irq.sources | value,
      latch: irq.latch || (irq.sources | value) !== 0,
    }),
  },
};

const REGISTER_BITS = 32;

/** The family of a register and the first INTID that it holds; null for one of a kind. */
function familyOf(name: string): { readonly family: Family; readonly first: number } | null {
  const [, stem = '', number = ''] = /^GICD_([A-Z]+)(\d+)$/.exec(name) ?? [];
  const family = FAMILIES[stem];
  return family === undefined ? null : { family, first: (Number(number) * REGISTER_BITS) / family.bits };
}

/** Value of a 32-bit register; 0 for names that the distributor does not compute. */
export function readDistributor(vgic: Vgic, cpu: number, name: string): number {
  if (name === 'GICD_CTLR') return bit(vgic.enabled);
  if (name === 'GICD_TYPER') return INTIDS / REGISTER_BITS - 1 + (vgic.cpus.length - 1) * 2 ** 5;
  if (name === 'GICD_IIDR') return GICD_IIDR + vgic.revision * IIDR_REVISION;
  const found = familyOf(name);
  if (found === null) return 0;
  const { family, first } = found;
  let value = 0;
  for (let index = 0; index < REGISTER_BITS / family.bits; index++) {
    const intid = first + index;
    value += family.read(irqAt(vgic, cpu, intid), { vgic, cpu, intid }) * 2 ** (index * family.bits);
  }
  return value;
}

/** @param from first byte of the register that is written @param bytes 1 or 4, ascending */
export function writeDistributor(
  vgic: Vgic,
  cpu: number,
  name: string,
  from: number,
  bytes: readonly number[],
): Vgic {
  const value = bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
  if (name === 'GICD_CTLR') return switched(vgic, (value & 1) !== 0);
  if (name === 'GICD_SGIR') return sendSgi(vgic, cpu, value);
  const found = familyOf(name);
  if (found === null) return vgic;
  const { family, first } = found;
  const start = first + (from * 8) / family.bits;
  let next = vgic;
  for (let index = 0; index < (bytes.length * 8) / family.bits; index++) {
    const intid = start + index;
    const field = Math.floor(value / 2 ** (index * family.bits)) % 2 ** family.bits;
    const irq = irqAt(next, cpu, intid);
    const change = family.write(field, irq, { vgic, cpu, intid });
    if (change === null) continue;
    if (!alreadyHas(irq, change)) next = withIrq(next, cpu, intid, change);
    if (family.queues === true) next = queueIrq(next, cpu, intid);
  }
  return next;
}

/** GICD_CTLR.Enable: off, pending interrupts go to no vCPU any more; on, vCPUs look at their ap_lists. */
function switched(vgic: Vgic, enabled: boolean): Vgic {
  const next = { ...vgic, enabled };
  return enabled && !vgic.enabled ? kickAll(next) : next;
}

/** Untouched interrupts stay absent from the state. */
const alreadyHas = (irq: Irq, change: Partial<Irq>): boolean =>
  Object.entries(change).every(([key, value]) => irq[key as keyof Irq] === value);

/** vgic_mmio_write_sgir(): INTID [3:0] to the list [23:16], to all others, or to the sender itself. */
function sendSgi(vgic: Vgic, sender: number, value: number): Vgic {
  const intid = value & 0xf;
  const filter = (value >>> 24) & 0b11;
  const self = 1 << sender;
  const targets = [(value >>> 16) & 0xff, 0xff & ~self, self, 0][filter] ?? 0;
  let next = vgic;
  for (let cpu = 0; cpu < vgic.cpus.length; cpu++) {
    if ((targets & (1 << cpu)) === 0) continue;
    const sources = irqAt(next, cpu, intid).sources | self;
    next = queueIrq(withIrq(next, cpu, intid, { sources, latch: true }), cpu, intid);
  }
  return next;
}

/**
 * Registers whose access takes all vCPUs out of the guest (vgic_access_active_prepare()): active bits of SPIs, which
 * list registers of any vCPU may hold.
 */
export function haltsVcpus(name: string): boolean {
  const found = /^GICD_I[SC]ACTIVER(\d+)$/.exec(name);
  return found !== null && Number(found[1]) > 0;
}
