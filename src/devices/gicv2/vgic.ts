// The GICv2 of one VM as KVM keeps it (struct vgic_dist, vgic_irq, vgic_cpu): interrupts with their state, and for each
// vCPU its ap_list and the hardware that its physical CPU holds for it (GICH, GICV). Interrupts that nothing touched
// have their reset state and are not stored. Pure values.

export interface Irq {
  readonly enabled: boolean;
  /** pending_latch: set by an edge, SGIR or ISPENDR; an edge moves into a list register and back. */
  readonly latch: boolean;
  /** line_level: the input of a level-triggered interrupt as last sampled. */
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
  /** The sender of the SGI that is active. */
  readonly activeSource: number;
  /** The vCPU on whose ap_list it is; null while it is on none. */
  readonly vcpu: number | null;
  /** It is in a list register, whose state counts until the next fold. */
  readonly onLr: boolean;
}

/** The virtual timer of a vCPU, see timer.ts. */
export interface Timer {
  /** CNTV_CTL_EL0.ENABLE. */
  readonly enabled: boolean;
  /** CNTV_CTL_EL0.IMASK. */
  readonly masked: boolean;
  /** CNTV_CVAL_EL0: ticks of the virtual counter, nanoseconds since the start of the run. */
  readonly cval: number;
  /** CNTV_CTL_EL0.ISTATUS, as long as the timer is enabled: the counter has reached the compare value. */
  readonly met: boolean;
  /** The physical interrupt is active at the host's GIC. */
  readonly active: boolean;
}

/** A vCPU: what KVM keeps for it (struct vgic_cpu), and GICH and GICV of the physical CPU it runs on. */
export interface VgicCpu {
  /** GICV_CTLR, with PMR, BPR and ABPR the contents of GICH_VMCR. */
  readonly ctlr: number;
  readonly pmr: number;
  readonly bpr: number;
  readonly abpr: number;
  /** GICH_APR: active group priorities, bit n for priority n * 8. */
  readonly apr: number;
  /** GICH_HCR. */
  readonly hcr: number;
  /** GICH_LRn, 32 bits each; those from `usedLrs` on are empty. */
  readonly lrs: readonly number[];
  readonly usedLrs: number;
  /** INTIDs that are pending or active here, in the order in which they fill list registers. */
  readonly apList: readonly number[];
  /** The list registers are loaded, if only as empty ones: from kvm_vgic_flush_hwstate() to kvm_vgic_sync_hwstate(). */
  readonly inGuest: boolean;
  /** KVM_REQ_IRQ_PENDING: kicked out of the guest to look at its ap_list again. */
  readonly requested: boolean;
  /** Absent until the guest uses its virtual timer. */
  readonly timer?: Timer;
}

/** What the host makes of a vGIC: its hardware, and its kernel. */
export interface VgicTraits {
  /** List registers of the host's GICH: GICH_VTR.ListRegs + 1. */
  readonly listRegisters: number;
  /** GICD_IIDR.Revision. */
  readonly revision: number;
  /** See KernelFeatures.vgicLrFirst. */
  readonly lrFirst: 'active' | 'pending';
}

export interface Vgic extends VgicTraits {
  /** GICD_CTLR.Enable. */
  readonly enabled: boolean;
  /** SPIs by INTID. */
  readonly shared: Readonly<Record<number, Irq>>;
  /** SGIs and PPIs of each vCPU by INTID. */
  readonly banked: readonly Readonly<Record<number, Irq>>[];
  readonly cpus: readonly VgicCpu[];
  /** The VMM wrote GICD_IIDR: it may restore groups. */
  readonly groupsWritable?: true;
}

export const SGIS = 16;
/** INTIDs below are banked by vCPU. */
export const PRIVATE_INTIDS = 32;

/** A GIC-400 under a current kernel. */
const TRAITS: VgicTraits = { listRegisters: 4, revision: 3, lrFirst: 'pending' };

/** GICH_HCR of a vCPU without interrupts: En, and from 6.19 on the two that tell of a group being enabled. */
const IDLE_HCR = { active: 0b1, pending: 0b101_0001 } as const;

/**
 * A vCPU as it first runs, with empty list registers: a VMCR of zero gives the binary points their lowest values.
 */
const resetCpu = ({ listRegisters, lrFirst }: VgicTraits): VgicCpu => ({
  ctlr: 0,
  pmr: 0,
  bpr: 2,
  abpr: 3,
  apr: 0,
  hcr: IDLE_HCR[lrFirst],
  lrs: Array.from({ length: listRegisters }, () => 0),
  usedLrs: 0,
  apList: [],
  inGuest: true,
  requested: false,
});

/** @param cpus number of vCPUs, 1 to 8 */
export function initialVgic(cpus: number, traits: VgicTraits = TRAITS): Vgic {
  return {
    ...traits,
    enabled: false,
    shared: {},
    banked: Array.from({ length: cpus }, () => ({})),
    cpus: Array.from({ length: cpus }, () => resetCpu(traits)),
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
    activeSource: 0,
    vcpu: null,
    onLr: false,
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

export function withCpu(vgic: Vgic, index: number, change: Partial<VgicCpu>): Vgic {
  const cpu = vgic.cpus[index];
  return cpu === undefined ? vgic : { ...vgic, cpus: vgic.cpus.with(index, { ...cpu, ...change }) };
}

/** irq_is_pending(): the latch, or the line of a level-triggered interrupt. */
export const isPending = (irq: Irq): boolean => irq.latch || (!irq.edge && irq.line);

/** The lowest bit that is set; 0 for no bit, as KVM routes an SPI without a target. */
export const lowestBit = (bits: number): number => (bits === 0 ? 0 : 31 - Math.clz32(bits & -bits));
