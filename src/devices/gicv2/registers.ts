// Registers of the GICv2 virtual CPU interface (IHI0048 5.5, GICV_*; same offsets as GICC_*), declared as any device's.
// Acknowledging is a read: this is why a region of a shared interrupt controller bears no speculative read.

import type { RegisterInput } from '../register.ts';

/** GICV: 8 KiB, because GICV_DIR is at 0x1000. */
export const GICV_SIZE = 0x2000;

/** GICC_IIDR of a GIC-400 r0p1: ProductID 0x020, architecture 2, revision 1, implementer 0x43b. */
const IIDR = 0x0202_143b;

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
  { name: 'GICV_IIDR', offset: 0xfc, access: 'RO', reset: IIDR },
  { name: 'GICV_DIR', offset: 0x1000, access: 'WO', onWrite: 'deactivates' },
];
