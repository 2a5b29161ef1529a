// Registers of the GICv2 virtual CPU interface (IHI0048 5.5, GICV_*, same offsets as GICC_*) and of the
// distributor that KVM emulates (vgic-mmio-v2.c), declared as any device's. Acknowledging is a read: hence no
// speculation here.

import type { AccessSize, RegisterInput } from '../register.ts';

/** GICV: 8 KiB, because GICV_DIR is at 0x1000. */
export const GICV_SIZE = 0x2000;
/** VGIC_V2_DIST_SIZE. */
export const GICD_SIZE = 0x1000;
/** VGIC_NR_IRQS_LEGACY: INTIDs of a VM whose VMM asks for no other number. */
export const INTIDS = 256;

/** GICC_IIDR of a GIC-400 r0p1: ProductID 0x020, architecture 2, revision 1, implementer 0x43b. */
export const GICV_IIDR = 0x0202_143b;
/** Product ID 'K' and implementer 0x43b; the revision in [15:12] is the kernel's. */
export const GICD_IIDR = 0x4b00_043b;
export const IIDR_REVISION = 2 ** 12;

const PRIORITY_DROP = 'drops the running priority, and deactivates unless EOImode';

export const GICV_REGISTERS: readonly RegisterInput[] = [
  { name: 'GICV_CTLR', offset: 0x00 },
  { name: 'GICV_PMR', offset: 0x04 },
  { name: 'GICV_BPR', offset: 0x08, reset: 2 },
  { name: 'GICV_IAR', offset: 0x0c, access: 'RO', onRead: 'acknowledges: pending becomes active' },
  { name: 'GICV_EOIR', offset: 0x10, access: 'WO', onWrite: PRIORITY_DROP },
  { name: 'GICV_RPR', offset: 0x14, access: 'RO', reset: 0xff },
  { name: 'GICV_HPPIR', offset: 0x18, access: 'RO', reset: 0x3ff },
  { name: 'GICV_ABPR', offset: 0x1c, reset: 3 },
  { name: 'GICV_AIAR', offset: 0x20, access: 'RO', onRead: 'acknowledges group 1: pending becomes active' },
  { name: 'GICV_AEOIR', offset: 0x24, access: 'WO', onWrite: PRIORITY_DROP },
  { name: 'GICV_AHPPIR', offset: 0x28, access: 'RO', reset: 0x3ff },
  { name: 'GICV_APR0', offset: 0xd0 },
  { name: 'GICV_IIDR', offset: 0xfc, access: 'RO', reset: GICV_IIDR },
  { name: 'GICV_DIR', offset: 0x1000, access: 'WO', onWrite: 'deactivates if EOImode' },
];

/** vgic_v2_cpu_registers, as far as a guest reaches them: GICC_DIR, trapped from Linux 6.19 on. */
export const GICC_REGISTERS: readonly RegisterInput[] = [
  { name: 'GICC_DIR', offset: 0x1000, access: 'WO', onWrite: 'deactivates if EOImode, on any vCPU' },
];

/** Registers that repeat: bits that each INTID has, which INTIDs, and the access sizes in bytes. */
const FAMILIES: readonly {
  readonly name: string;
  readonly offset: number;
  readonly bits: number;
  readonly intids: number;
  readonly sizes: readonly AccessSize[];
  readonly onWrite: string;
}[] = [
  { name: 'IGROUPR', offset: 0x080, bits: 1, intids: INTIDS, sizes: [4], onWrite: 'sets the groups' },
  { name: 'ISENABLER', offset: 0x100, bits: 1, intids: INTIDS, sizes: [4], onWrite: 'enables where 1' },
  { name: 'ICENABLER', offset: 0x180, bits: 1, intids: INTIDS, sizes: [4], onWrite: 'disables where 1' },
  { name: 'ISPENDR', offset: 0x200, bits: 1, intids: INTIDS, sizes: [4], onWrite: 'makes pending where 1' },
  {
    name: 'ICPENDR',
    offset: 0x280,
    bits: 1,
    intids: INTIDS,
    sizes: [4],
    onWrite: 'clears the latch where 1',
  },
  { name: 'ISACTIVER', offset: 0x300, bits: 1, intids: INTIDS, sizes: [4], onWrite: 'makes active where 1' },
  { name: 'ICACTIVER', offset: 0x380, bits: 1, intids: INTIDS, sizes: [4], onWrite: 'deactivates where 1' },
  {
    name: 'IPRIORITYR',
    offset: 0x400,
    bits: 8,
    intids: INTIDS,
    sizes: [4, 1],
    onWrite: 'keeps the top 5 bits',
  },
  { name: 'ITARGETSR', offset: 0x800, bits: 8, intids: INTIDS, sizes: [4, 1], onWrite: 'routes SPIs' },
  { name: 'ICFGR', offset: 0xc00, bits: 2, intids: INTIDS, sizes: [4], onWrite: 'sets edge or level' },
  { name: 'CPENDSGIR', offset: 0xf10, bits: 8, intids: 16, sizes: [4, 1], onWrite: 'clears sources of SGIs' },
  { name: 'SPENDSGIR', offset: 0xf20, bits: 8, intids: 16, sizes: [4, 1], onWrite: 'sets sources of SGIs' },
];

const REGISTER_BITS = 32;

export const GICD_REGISTERS: readonly RegisterInput[] = [
  { name: 'GICD_CTLR', offset: 0x000 },
  { name: 'GICD_TYPER', offset: 0x004, access: 'RO' },
  { name: 'GICD_IIDR', offset: 0x008, access: 'RO' },
  { name: 'GICD_SGIR', offset: 0xf00, access: 'WO', onWrite: 'sends an SGI' },
  ...FAMILIES.flatMap(({ name, offset, bits, intids, sizes, onWrite }) =>
    Array.from({ length: (intids * bits) / REGISTER_BITS }, (_, n) => ({
      name: `GICD_${name}${n}`,
      offset: offset + n * 4,
      sizes,
      onWrite,
    })),
  ),
];
