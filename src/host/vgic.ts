// kvm_vgic_map_resources() at the first KVM_RUN: the emulated distributor joins the in-kernel MMIO bus, and on a
// GICv2 host the physical GICV frame is mapped where the guest expects its CPU interface.

import { alignDown, type Ipa, type Pa } from '../arch/addresses.ts';
import type { Vgic } from './calls.ts';
import type { FaultInput } from './events.ts';
import { leafAttributes } from './leaf.ts';
import { breakBeforeMake } from './map.ts';
import type { Work } from './work.ts';
import { conclude, emit } from './work.ts';

/** The CPU interface page that stays when GICC_DIR, in the next page, is trapped. */
const CPU_INTERFACE_PAGE = 0x1000;

const E2BIG = 7;
const EINVAL = 22;
const EEXIST = 17;

/**
 * Frames of each register interface as the guest sees them, in bytes: alignment and size (vgic_check_iorange()). The
 * host's GICV may be larger.
 */
const GICV2_ALIGNMENT = 0x1000;
const GICV3_ALIGNMENT = 0x10000;
const GICV2_CPU_SIZE = 0x2000;
/** VGIC_V2_MAX_CPUS: bits of ITARGETSR. */
const GICV2_MAX_VCPUS = 8;
/** HPFAR_EL2.FIPA counts units of 4 KiB; the rest of the address is FAR_EL2's. */
const FIPA_UNIT = 4096;
/** A GIC takes words. */
const WORD = 4;

/**
 * KVM_CREATE_DEVICE and KVM_DEV_ARM_VGIC_GRP_ADDR.
 * @returns 0; EEXIST for a second one, EINVAL for an address that is not aligned, E2BIG for one beyond the VM's IPAs
 * and for a GICv2 with more than 8 vCPUs
 */
export function createVgic(work: Work, vgic: Vgic): number {
  if (work.vm.vgic !== null) return EEXIST;
  const v2 = vgic.version === 2;
  if (v2 && work.vm.vcpus > GICV2_MAX_VCPUS) return E2BIG;
  const alignment = v2 ? GICV2_ALIGNMENT : GICV3_ALIGNMENT;
  const frames = v2
    ? [
        { base: vgic.gicd, size: GICV2_ALIGNMENT },
        { base: vgic.gicc, size: GICV2_CPU_SIZE },
      ]
    : [
        { base: vgic.gicd, size: GICV3_ALIGNMENT },
        { base: vgic.gicr, size: 2 * GICV3_ALIGNMENT * work.vm.vcpus },
      ];
  if (frames.some(({ base }) => base % alignment !== 0)) return EINVAL;
  if (frames.some(({ base, size }) => base + size > 2 ** work.vm.geometry.ipaBits)) return E2BIG;
  emit(work, { type: 'vgic-created', vm: work.id, vgic });
  return 0;
}

/** vgic_v2_cpuif_trap: a GICV frame that starts or ends off a page of the host is not mapped but trapped. */
function trapsGicv({ host, vm }: Work): boolean {
  if (host.gicv === null || vm.vgic?.version !== 2) return false;
  const { granule } = vm.geometry;
  return host.gicv.pa % granule !== 0 || host.gicv.size % granule !== 0;
}

/**
 * __vgic_v2_perform_cpuif_access(): the hypervisor's code makes a trapped access to GICV itself, and the guest goes on
 * without an exit to the kernel. What has no syndrome goes the usual way (fixup_guest_exit()).
 * @returns whether the fault was one of these
 */
export function performCpuifAccess(work: Work, { vcpu, access, fault }: FaultInput): boolean {
  const { vgic, vgicMapped } = work.vm;
  if (vgic?.version !== 2 || !vgicMapped || !trapsGicv(work)) return false;
  if (fault.status.kind !== 'translation' || access.syndrome?.isv !== true) return false;
  const gpa = (fault.ipa + (fault.far % FIPA_UNIT)) as Ipa;
  if (gpa < vgic.gicc || gpa >= vgic.gicc + GICV2_CPU_SIZE) return false;
  const size = 2 ** access.syndrome.sas;
  const at = { vm: work.id, vcpu };
  if (size !== WORD || gpa % WORD !== 0) {
    conclude(work, { type: 'serror-injected', ...at, because: 'gicv-trap-is-32-bit' });
    return true;
  }
  const because = 'gicv-not-page-aligned';
  conclude(work, { type: 'gicv-trapped', ...at, gpa, size, write: access.syndrome.wnr, because });
  return true;
}

export function mapVgicResources(work: Work): void {
  if (work.vm.vgicMapped) return;
  emit(work, { type: 'vgic-resources-mapped', vm: work.id });
  if (work.vm.vgic?.version === 2 && work.host.gicv !== null)
    mapGicv(work, work.vm.vgic.gicc, work.host.gicv);
}

/**
 * kvm_phys_addr_ioremap(): page by page, Device-nGnRE under every kernel, never a block, outside any memslot.
 * Normal-NC is a what-if (KernelFeatures.gicvNormalNc).
 */
function mapGicv(work: Work, gicc: Ipa, gicv: { readonly pa: Pa; readonly size: number }): void {
  const { granule } = work.vm.geometry;
  if (trapsGicv(work)) return;
  const size = work.host.features.gicvDirTrap ? CPU_INTERFACE_PAGE : GICV2_CPU_SIZE;
  // With larger pages the guest's frame may start inside one: the whole page is mapped, from its start.
  const first = alignDown(gicc, granule);
  const { gicvNormalNc } = work.host.features;
  const type = gicvNormalNc ? 'normal-nc' : 'device';
  const attributes = leafAttributes(work.host.cpu.fwb, { write: true, exec: false, type });
  for (let offset = 0; first + offset < gicc + size; offset += granule) {
    const ipa = (first + offset) as Ipa;
    breakBeforeMake(work, ipa, 3);
    emit(work, {
      type: 'stage2-set',
      vm: work.id,
      ipa,
      level: 3,
      pa: (gicv.pa + offset) as Pa,
      attributes,
      because: gicvNormalNc ? 'what-if-gicv-normal-nc' : 'gicv-is-a-shared-peripheral',
    });
  }
}
