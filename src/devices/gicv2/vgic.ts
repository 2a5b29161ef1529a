// The GICv2 of one VM as KVM keeps it (struct vgic_dist, vgic_irq, vgic_vmcr): interrupts with their state,
// and a CPU interface for each vCPU. Interrupts that nothing touched have their reset state and are not
// stored. Pure values.

export interface Irq {
  readonly enabled: boolean;
  /** pending_latch: set by an edge, a write of ISPENDR; cleared when acknowledged. */
  readonly latch: boolean;
  /** Level of the input line. */
  readonly line: boolean;
  readonly active: boolean;
  /** 5 bits in [7:3]; lower is more urgent. */
  readonly priority: number;
  /** ITARGETSR; the lowest bit that is set is the target, vCPU 0 without one. */
  readonly targets: number;
  readonly edge: boolean;
  readonly group: 0 | 1;
  /** vCPUs that sent this SGI, one bit each. */
  readonly sources: number;
}

export interface CpuInterface {
  readonly ctlr: number;
  readonly pmr: number;
  readonly bpr: number;
  readonly abpr: number;
  /** Active group priorities, bit n for priority n * 8. */
  readonly apr: number;
}

export interface Vgic {
  /** GICD_CTLR.Enable. */
  readonly enabled: boolean;
  readonly cpus: number;
  /** SPIs by INTID. */
  readonly shared: Readonly<Record<number, Irq>>;
  /** SGIs and PPIs of each vCPU by INTID. */
  readonly banked: readonly Readonly<Record<number, Irq>>[];
  readonly interfaces: readonly CpuInterface[];
}

export const SGIS = 16;
/** INTIDs below are banked by vCPU. */
export const PRIVATE_INTIDS = 32;

/** vgic_v2_enable(): a VMCR of zero gives the binary points their lowest values. */
const RESET_INTERFACE: CpuInterface = { ctlr: 0, pmr: 0, bpr: 2, abpr: 3, apr: 0 };

export function initialVgic(cpus: number): Vgic {
  return {
    enabled: false,
    cpus,
    shared: {},
    banked: Array.from({ length: cpus }, () => ({})),
    interfaces: Array.from({ length: cpus }, () => RESET_INTERFACE),
  };
}

/** kvm_vgic_vcpu_init(), kvm_vgic_dist_init(): SGIs are enabled; all but PPIs are edge-triggered. */
function resetIrq(intid: number): Irq {
  return {
    enabled: intid < SGIS,
    latch: false,
    line: false,
    active: false,
    priority: 0,
    targets: 0,
    edge: intid < SGIS || intid >= PRIVATE_INTIDS,
    group: 0,
    sources: 0,
  };
}

/** The interrupt as this vCPU sees it. */
export function irqAt(vgic: Vgic, cpu: number, intid: number): Irq {
  const bank = intid < PRIVATE_INTIDS ? vgic.banked[cpu] : vgic.shared;
  return bank?.[intid] ?? resetIrq(intid);
}

export function withIrq(vgic: Vgic, cpu: number, intid: number, change: Partial<Irq>): Vgic {
  const irq = { ...irqAt(vgic, cpu, intid), ...change };
  if (intid >= PRIVATE_INTIDS) return { ...vgic, shared: { ...vgic.shared, [intid]: irq } };
  const bank = vgic.banked[cpu];
  if (bank === undefined) return vgic;
  return { ...vgic, banked: vgic.banked.with(cpu, { ...bank, [intid]: irq }) };
}

/**
 * kvm_vgic_inject_irq(): an edge latches when the line rises, a level is pending as long as the line is high.
 */
export function withLine(vgic: Vgic, intid: number, cpu: number, level: boolean): Vgic {
  const irq = irqAt(vgic, cpu, intid);
  const rises = level && !irq.line;
  return withIrq(vgic, cpu, intid, { line: level, latch: irq.latch || (irq.edge && rises) });
}

/** irq_is_pending(): the latch, or the line of a level-triggered interrupt; an SGI while it has a source. */
export function isPending(irq: Irq): boolean {
  return irq.sources !== 0 || irq.latch || (!irq.edge && irq.line);
}

/** The lowest bit that is set; 0 for no bit, as KVM routes an SPI without a target. */
export const lowestBit = (bits: number): number => (bits === 0 ? 0 : 31 - Math.clz32(bits & -bits));

export interface Pending {
  readonly intid: number;
  readonly irq: Irq;
}

/**
 * vgic_flush_lr_state(): what the list registers offer to a vCPU, the most urgent first and the lower INTID
 * among equals. An active interrupt is not offered again until it was deactivated.
 */
export function mostUrgent(vgic: Vgic, cpu: number): Pending | null {
  if (!vgic.enabled) return null;
  let best: Pending | null = null;
  const consider = (intid: number, irq: Irq): void => {
    if (!irq.enabled || irq.active || !isPending(irq)) return;
    if (best === null || irq.priority < best.irq.priority) best = { intid, irq };
  };
  for (const [intid, irq] of Object.entries(vgic.banked[cpu] ?? {})) consider(Number(intid), irq);
  for (const [intid, irq] of Object.entries(vgic.shared)) {
    if (lowestBit(irq.targets) === cpu) consider(Number(intid), irq);
  }
  return best;
}
