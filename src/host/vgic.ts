// kvm_vgic_map_resources() at the first KVM_RUN: the emulated distributor joins the in-kernel MMIO bus, and on a
// GICv2 host the physical GICV frame is mapped where the guest expects its CPU interface.

import type { Ipa, Pa } from '../arch/addresses.ts';
import { leafAttributes } from './leaf.ts';
import type { Work } from './work.ts';
import { emit } from './work.ts';

/** The CPU interface page that stays when GICC_DIR, in the next page, is trapped. */
const CPU_INTERFACE_PAGE = 0x1000;

export function mapVgicResources(work: Work): void {
  if (work.vm.vgicMapped) return;
  emit(work, { type: 'vgic-resources-mapped', vm: work.id });
  if (work.vm.vgic?.version === 2 && work.host.gicv !== null)
    mapGicv(work, work.vm.vgic.gicc, work.host.gicv);
}

/** kvm_phys_addr_ioremap(): page by page, Device-nGnRE under every kernel, never a block, outside any memslot. */
function mapGicv(work: Work, gicc: Ipa, gicv: { readonly pa: Pa; readonly size: number }): void {
  const { granule } = work.vm.geometry;
  // vgic_v2_cpuif_trap: a GICV that is not page-aligned is emulated by the hypervisor instead.
  if (gicv.pa % granule !== 0 || gicv.size % granule !== 0) return;
  const size = work.host.features.gicvDirTrap ? Math.max(CPU_INTERFACE_PAGE, granule) : gicv.size;
  const attributes = leafAttributes(work.host.cpu.fwb, { write: true, exec: false, type: 'device' });
  for (let offset = 0; offset < size; offset += granule) {
    emit(work, {
      type: 'stage2-set',
      vm: work.id,
      ipa: (gicc + offset) as Ipa,
      level: 3,
      pa: (gicv.pa + offset) as Pa,
      attributes,
      because: 'gicv-is-a-shared-peripheral',
    });
  }
}
