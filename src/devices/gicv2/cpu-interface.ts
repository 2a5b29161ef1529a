// GICV, the GICv2 virtual CPU interface of a vCPU (IHI 0048B 4.4, 5.5), over the list registers that KVM loaded:
// acknowledging, priority drop, deactivation. Hardware does this without an exit, so that KVM sees none of it before
// the next one.

import { countedEoi, HCR } from './gich.ts';
import type { ListRegister } from './list-register.ts';
import { decodeLr, encodeLr } from './list-register.ts';
import { GICV_IIDR } from './registers.ts';
import type { Vgic, VgicCpu } from './vgic.ts';
import { lowestBit, SGIS, withCpu } from './vgic.ts';

const SPURIOUS = 1023;
/** The most urgent interrupt is of group 1 and the alias register has to acknowledge it. */
export const SPURIOUS_GROUP_1 = 1022;

const IDLE_PRIORITY = 0xff;
const INTID_MASK = 0x3ff;
/** INTIDs from here on are special numbers, not interrupts. */
const SPECIAL_INTIDS = 1020;
const SOURCE_SHIFT = 10;
const SOURCE_MASK = 0b111;
/** Virtual priorities have 5 bits. */
const PRIORITY_MASK = 0xf8;
const PRIORITY_SHIFT = 3;

const ENABLE_GROUP_0 = 1 << 0;
const ENABLE_GROUP_1 = 1 << 1;
const ACK_CTL = 1 << 2;
const FIQ_EN = 1 << 3;
const CBPR = 1 << 4;
const EOI_MODE = 1 << 9;
const CTLR_MASK = 0x21f;

const MIN_BPR = 2;
const MIN_ABPR = 3;

/** A pending list register, and which one it is. */
interface Offered extends ListRegister {
  readonly lr: number;
}

const runningPriority = ({ apr }: VgicCpu): number =>
  apr === 0 ? IDLE_PRIORITY : lowestBit(apr) << PRIORITY_SHIFT;

/**
 * The bits of a priority that decide preemption: BPR for group 0, ABPR (which counts one more) for group 1.
 */
function groupPriority(cpu: VgicCpu, { group, priority }: ListRegister): number {
  const common = group === 0 || (cpu.ctlr & CBPR) !== 0;
  return priority & (0xff << (common ? cpu.bpr + 1 : cpu.abpr)) & 0xff;
}

/**
 * The most urgent list register that is pending and whose group is enabled; what HPPIR shows, whatever PMR masks
 * (DDI0601 GICV_HPPIR: 1023 where none is pending). Of equals the lower INTID, as in a GIC-400. Pending and active is
 * not offered until it was deactivated.
 */
function highestPending(cpu: VgicCpu): Offered | null {
  if ((cpu.hcr & HCR.En) === 0) return null;
  let best: Offered | null = null;
  for (let lr = 0; lr < cpu.usedLrs; lr++) {
    const one = decodeLr(cpu.lrs[lr] ?? 0);
    const enable = one.group === 0 ? ENABLE_GROUP_0 : ENABLE_GROUP_1;
    if (!one.pending || one.active || (cpu.ctlr & enable) === 0) continue;
    const urgency = best === null ? -1 : one.priority - best.priority || one.intid - best.intid;
    if (urgency < 0) best = { ...one, lr };
  }
  return best;
}

/** INTID [9:0], and the sending vCPU of an SGI [12:10]. */
const idOf = ({ intid, cpuid }: ListRegister): number =>
  intid < SGIS ? intid | (cpuid << SOURCE_SHIFT) : intid;

/** Whether the register at hand shows this interrupt, or the special number that it shows instead. */
function shown(cpu: VgicCpu, pending: ListRegister | null, alias: boolean): number {
  if (pending === null) return SPURIOUS;
  if (alias) return pending.group === 1 ? idOf(pending) : SPURIOUS;
  return pending.group === 1 && (cpu.ctlr & ACK_CTL) === 0 ? SPURIOUS_GROUP_1 : idOf(pending);
}

/** The interrupt that a read of IAR or AIAR would acknowledge: it passes PMR and preempts what is running. */
function signalled(cpu: VgicCpu): Offered | null {
  const found = highestPending(cpu);
  return found !== null && found.priority < cpu.pmr && groupPriority(cpu, found) < runningPriority(cpu)
    ? found
    : null;
}

/** The exception that the interface signals to its vCPU: group 0 as FIQ if FIQEn, else IRQ. */
export function signalledException(cpu: VgicCpu): 'irq' | 'fiq' | null {
  const found = signalled(cpu);
  if (found === null) return null;
  return found.group === 0 && (cpu.ctlr & FIQ_EN) !== 0 ? 'fiq' : 'irq';
}

/** Value of a register of the interface; 0 for names that it does not compute. */
export function readCpuInterface(vgic: Vgic, index: number, name: string): number {
  const cpu = vgic.cpus[index];
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
    case 'GICV_IIDR':
      return GICV_IIDR;
    case 'GICV_IAR':
    case 'GICV_AIAR':
      return shown(cpu, signalled(cpu), name === 'GICV_AIAR');
    case 'GICV_HPPIR':
      return shown(cpu, highestPending(cpu), false);
    case 'GICV_AHPPIR':
      // DDI0601 GICV_AHPPIR: 1023 also where no priority is high enough to be signalled.
      return shown(cpu, signalled(cpu), true);
    default:
      return 0;
  }
}

/** Reading IAR or AIAR makes the list register active and raises the running priority. */
export function acknowledged(vgic: Vgic, index: number, name: string): Vgic {
  const cpu = vgic.cpus[index];
  const found = cpu === undefined ? null : signalled(cpu);
  if (cpu === undefined || found === null) return vgic;
  if (shown(cpu, found, name === 'GICV_AIAR') !== idOf(found)) return vgic;
  const lrs = cpu.lrs.with(found.lr, encodeLr({ ...found, pending: false, active: true }));
  const priority = groupPriority(cpu, found) >> PRIORITY_SHIFT;
  return withCpu(vgic, index, { lrs, apr: (cpu.apr | (1 << priority)) >>> 0 });
}

/** What a write of a 32-bit register of the interface leaves behind. */
export function writeCpuInterface(vgic: Vgic, index: number, name: string, value: number): Vgic {
  const cpu = vgic.cpus[index];
  if (cpu === undefined) return vgic;
  switch (name) {
    case 'GICV_CTLR':
      return withCpu(vgic, index, { ctlr: value & CTLR_MASK });
    case 'GICV_PMR':
      return withCpu(vgic, index, { pmr: value & PRIORITY_MASK });
    case 'GICV_BPR':
      return withCpu(vgic, index, { bpr: Math.max(MIN_BPR, value & 0b111) });
    case 'GICV_ABPR':
      return withCpu(vgic, index, { abpr: Math.max(MIN_ABPR, value & 0b111) });
    case 'GICV_APR0':
      return withCpu(vgic, index, { apr: value });
    case 'GICV_EOIR':
    case 'GICV_AEOIR':
      return withCpu(vgic, index, endOfInterrupt(cpu, value));
    case 'GICV_DIR':
      // With EOImode 0 the write is UNPREDICTABLE (IHI 0048B 4.4.15); here it does nothing.
      return (cpu.ctlr & EOI_MODE) === 0 ? vgic : withCpu(vgic, index, deactivated(cpu, value));
    default:
      return vgic;
  }
}

/**
 * Priority drop, whichever interrupt is named, and deactivation unless EOImode. Without an active priority the write is
 * UNPREDICTABLE (IHI 0048B 4.4.5); here it does nothing.
 */
function endOfInterrupt(cpu: VgicCpu, value: number): Partial<VgicCpu> {
  if ((value & INTID_MASK) >= SPECIAL_INTIDS || cpu.apr === 0) return {};
  const apr = (cpu.apr & (cpu.apr - 1)) >>> 0;
  return { apr, ...((cpu.ctlr & EOI_MODE) === 0 ? deactivated(cpu, value) : {}) };
}

/** The list register that is active with this INTID, and for an SGI this sender; without one GICH_HCR counts. */
function deactivated({ lrs, usedLrs, hcr, timer }: VgicCpu, value: number): Partial<VgicCpu> {
  const intid = value & INTID_MASK;
  if (intid >= SPECIAL_INTIDS) return {};
  const cpuid = intid < SGIS ? (value >>> SOURCE_SHIFT) & SOURCE_MASK : 0;
  for (let lr = 0; lr < usedLrs; lr++) {
    const one = decodeLr(lrs[lr] ?? 0);
    if (!one.active || one.intid !== intid || one.cpuid !== cpuid) continue;
    const physical = one.hw === true && timer !== undefined ? { timer: { ...timer, active: false } } : {};
    return { lrs: lrs.with(lr, encodeLr({ ...one, active: false })), ...physical };
  }
  return { hcr: countedEoi(hcr) };
}
