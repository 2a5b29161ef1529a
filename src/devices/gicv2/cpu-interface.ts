// The GICv2 virtual CPU interface of a vCPU (IHI0048 4.4, 5.5): acknowledging, priority drop, deactivation.
// Hardware does this without an exit, so that KVM, user space and a trace see nothing of it.

import type { CpuInterface, Irq, Pending, Vgic } from './vgic.ts';
import { irqAt, lowestBit, mostUrgent, SGIS, withIrq } from './vgic.ts';

const SPURIOUS = 1023;
/** The most urgent interrupt is of group 1 and the alias register has to acknowledge it. */
export const SPURIOUS_GROUP_1 = 1022;

const IDLE_PRIORITY = 0xff;
const INTID_MASK = 0x3ff;
/** INTIDs from here on are special numbers, not interrupts. */
const SPECIAL_INTIDS = 1020;
const SOURCE_SHIFT = 10;
/** Virtual priorities have 5 bits. */
const PRIORITY_MASK = 0xf8;
const PRIORITY_SHIFT = 3;

const ENABLE_GROUP_0 = 1 << 0;
const ENABLE_GROUP_1 = 1 << 1;
const ACK_CTL = 1 << 2;
const CBPR = 1 << 4;
const EOI_MODE = 1 << 9;
const CTLR_MASK = 0x21f;

const MIN_BPR = 2;
const MIN_ABPR = 3;

function runningPriority({ apr }: CpuInterface): number {
  return apr === 0 ? IDLE_PRIORITY : lowestBit(apr) << PRIORITY_SHIFT;
}

/**
 * The bits of a priority that decide preemption: BPR for group 0, ABPR (which counts one more) for group 1.
 */
function groupPriority(cpu: CpuInterface, irq: Irq): number {
  const common = irq.group === 0 || (cpu.ctlr & CBPR) !== 0;
  return irq.priority & (0xff << (common ? cpu.bpr + 1 : cpu.abpr)) & 0xff;
}

/** The most urgent interrupt whose group is enabled and which passes PMR; what HPPIR shows. */
function highestPending(vgic: Vgic, cpu: CpuInterface, index: number): Pending | null {
  const found = mostUrgent(vgic, index);
  if (found === null || found.irq.priority >= cpu.pmr) return null;
  const enable = found.irq.group === 0 ? ENABLE_GROUP_0 : ENABLE_GROUP_1;
  return (cpu.ctlr & enable) === 0 ? null : found;
}

/** INTID [9:0], and the sending vCPU of an SGI [12:10]. */
function idOf({ intid, irq }: Pending): number {
  return intid < SGIS ? intid | (lowestBit(irq.sources) << SOURCE_SHIFT) : intid;
}

/** Whether the register at hand shows this interrupt, or the special number that it shows instead. */
function shown(cpu: CpuInterface, pending: Pending | null, alias: boolean): number {
  if (pending === null) return SPURIOUS;
  if (alias) return pending.irq.group === 1 ? idOf(pending) : SPURIOUS;
  return pending.irq.group === 1 && (cpu.ctlr & ACK_CTL) === 0 ? SPURIOUS_GROUP_1 : idOf(pending);
}

/** The interrupt that a read of IAR or AIAR would acknowledge. */
function signalled(vgic: Vgic, cpu: CpuInterface, index: number): Pending | null {
  const found = highestPending(vgic, cpu, index);
  return found !== null && groupPriority(cpu, found.irq) < runningPriority(cpu) ? found : null;
}

/** Value of a register of the interface; 0 for names that it does not compute. */
export function readCpuInterface(vgic: Vgic, index: number, name: string): number {
  const cpu = vgic.interfaces[index];
  if (cpu === undefined) return 0;
  switch (name) {
    case 'GICV_CTLR':
      return cpu.ctlr;
    case 'GICV_PMR':
      return cpu.pmr;
    case 'GICV_BPR':
      return cpu.bpr;
    case 'GICV_ABPR':
      return cpu.abpr;
    case 'GICV_APR0':
      return cpu.apr;
    case 'GICV_RPR':
      return runningPriority(cpu);
    case 'GICV_IAR':
    case 'GICV_AIAR':
      return shown(cpu, signalled(vgic, cpu, index), name === 'GICV_AIAR');
    case 'GICV_HPPIR':
    case 'GICV_AHPPIR':
      return shown(cpu, highestPending(vgic, cpu, index), name === 'GICV_AHPPIR');
    default:
      return 0;
  }
}

/**
 * Reading IAR or AIAR makes the interrupt active and raises the running priority; an SGI loses one source.
 */
export function acknowledged(vgic: Vgic, index: number, name: string): Vgic {
  const cpu = vgic.interfaces[index];
  const found = cpu === undefined ? null : signalled(vgic, cpu, index);
  if (cpu === undefined || found === null) return vgic;
  if (shown(cpu, found, name === 'GICV_AIAR') !== idOf(found)) return vgic;
  const { sources } = found.irq;
  const taken = withIrq(vgic, index, found.intid, {
    active: true,
    latch: false,
    sources: sources & (sources - 1),
  });
  const priority = groupPriority(cpu, found.irq) >> PRIORITY_SHIFT;
  return withInterface(taken, index, { apr: (cpu.apr | (1 << priority)) >>> 0 });
}

/** What a write of a 32-bit register of the interface leaves behind. */
export function writeCpuInterface(vgic: Vgic, index: number, name: string, value: number): Vgic {
  const cpu = vgic.interfaces[index];
  if (cpu === undefined) return vgic;
  switch (name) {
    case 'GICV_CTLR':
      return withInterface(vgic, index, { ctlr: value & CTLR_MASK });
    case 'GICV_PMR':
      return withInterface(vgic, index, { pmr: value & PRIORITY_MASK });
    case 'GICV_BPR':
      return withInterface(vgic, index, { bpr: Math.max(MIN_BPR, value & 0b111) });
    case 'GICV_ABPR':
      return withInterface(vgic, index, { abpr: Math.max(MIN_ABPR, value & 0b111) });
    case 'GICV_APR0':
      return withInterface(vgic, index, { apr: value });
    case 'GICV_EOIR':
    case 'GICV_AEOIR':
      return endOfInterrupt(vgic, cpu, index, value & INTID_MASK);
    case 'GICV_DIR':
      // With EOImode 0 the write is UNPREDICTABLE (IHI0048 4.4.15); here it does nothing.
      return (cpu.ctlr & EOI_MODE) === 0 ? vgic : deactivated(vgic, index, value & INTID_MASK);
    default:
      return vgic;
  }
}

function endOfInterrupt(vgic: Vgic, cpu: CpuInterface, index: number, intid: number): Vgic {
  if (intid >= SPECIAL_INTIDS) return vgic;
  const dropped = withInterface(vgic, index, { apr: (cpu.apr & (cpu.apr - 1)) >>> 0 });
  return (cpu.ctlr & EOI_MODE) === 0 ? deactivated(dropped, index, intid) : dropped;
}

function deactivated(vgic: Vgic, index: number, intid: number): Vgic {
  return irqAt(vgic, index, intid).active ? withIrq(vgic, index, intid, { active: false }) : vgic;
}

function withInterface(vgic: Vgic, index: number, change: Partial<CpuInterface>): Vgic {
  const cpu = vgic.interfaces[index];
  return cpu === undefined
    ? vgic
    : { ...vgic, interfaces: vgic.interfaces.with(index, { ...cpu, ...change }) };
}
