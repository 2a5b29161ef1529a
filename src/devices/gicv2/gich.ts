// GICH, the hypervisor's side of a virtual CPU interface (IHI 0048B 5.3): when hardware asks for the hypervisor by a
// maintenance interrupt (GICH_MISR), and what KVM asks it to watch for (GICH_HCR, vgic_v2_configure_hcr()).

import type { ListRegister } from './list-register.ts';
import { decodeLr, isInvalid, signalsEoi } from './list-register.ts';
import type { VgicCpu } from './vgic.ts';

/** Bits of GICH_HCR. */
export const HCR = {
  En: 2 ** 0,
  /** Underflow: no list register or one is valid. */
  UIE: 2 ** 1,
  /** Something was ended that has no list register. */
  LRENPIE: 2 ** 2,
  /** No list register is pending. */
  NPIE: 2 ** 3,
  VGrp0EIE: 2 ** 4,
  VGrp0DIE: 2 ** 5,
  VGrp1EIE: 2 ** 6,
  VGrp1DIE: 2 ** 7,
  EOICountShift: 27,
} as const;

const EOI_COUNT_MAX = 31;

/** Causes of a maintenance interrupt, in the order of the bits of GICH_MISR. */
export type Maintenance = 'EOI' | 'U' | 'LRENP' | 'NP' | 'VGrp0E' | 'VGrp0D' | 'VGrp1E' | 'VGrp1D';

const ENABLE_GROUP_0 = 1 << 0;
const ENABLE_GROUP_1 = 1 << 1;

/** GICH_MISR: why the interface asks for the hypervisor; nothing while HCR.En is clear. */
export function maintenanceOf(cpu: VgicCpu): readonly Maintenance[] {
  const { hcr, ctlr } = cpu;
  if ((hcr & HCR.En) === 0) return [];
  const lrs = cpu.lrs.map(decodeLr);
  const has = (bit: number): boolean => (hcr & bit) !== 0;
  const isPendingOnly = (lr: ListRegister): boolean => lr.pending && !lr.active;
  const causes: readonly (readonly [Maintenance, boolean])[] = [
    ['EOI', lrs.some(signalsEoi)],
    ['U', has(HCR.UIE) && lrs.filter((lr) => !isInvalid(lr)).length <= 1],
    ['LRENP', has(HCR.LRENPIE) && hcr >>> HCR.EOICountShift !== 0],
    ['NP', has(HCR.NPIE) && !lrs.some(isPendingOnly)],
    ['VGrp0E', has(HCR.VGrp0EIE) && (ctlr & ENABLE_GROUP_0) !== 0],
    ['VGrp0D', has(HCR.VGrp0DIE) && (ctlr & ENABLE_GROUP_0) === 0],
    ['VGrp1E', has(HCR.VGrp1EIE) && (ctlr & ENABLE_GROUP_1) !== 0],
    ['VGrp1D', has(HCR.VGrp1DIE) && (ctlr & ENABLE_GROUP_1) === 0],
  ];
  return causes.filter(([, raised]) => raised).map(([cause]) => cause);
}

/** GICH_HCR after something was ended that has no list register. */
export function countedEoi(hcr: number): number {
  return hcr >>> HCR.EOICountShift === EOI_COUNT_MAX ? hcr : hcr + 2 ** HCR.EOICountShift;
}

/** vgic_v2_configure_hcr(), from 6.19 on. @param outside interrupts of the ap_list that this vCPU is to have */
export function hcrOf(
  { ctlr }: VgicCpu,
  outside: { readonly pending: number; readonly active: number },
  listRegisters: number,
): number {
  const { pending, active } = outside;
  const overflows = pending + active > listRegisters;
  const group0 = (ctlr & ENABLE_GROUP_0) !== 0 ? HCR.VGrp0DIE : HCR.VGrp0EIE;
  const group1 = (ctlr & ENABLE_GROUP_1) !== 0 ? HCR.VGrp1DIE : HCR.VGrp1EIE;
  return (
    HCR.En +
    (pending > listRegisters ? HCR.NPIE : 0) +
    (active > 0 && overflows ? HCR.LRENPIE : 0) +
    (overflows ? HCR.UIE : 0) +
    group0 +
    group1
  );
}
