// io_mem_abort(): an access that no memslot answers, or a store into a read-only slot. In-kernel devices first, then
// the VMM; without a valid syndrome (ESR_EL2.ISV = 0) there is nothing to emulate.

import type { Ipa } from '../arch/addresses.ts';
import type { Because } from './because.ts';
import { ioeventfdAt } from './eventfd.ts';
import type { FaultInput } from './events.ts';
import type { Work } from './work.ts';
import { conclude, emit } from './work.ts';

const ENOSYS = 38;

/** KVM_CAP_ARM_NISV_TO_USER lets the VMM see accesses without a syndrome. */
const NISV_CAPABILITY = 'KVM_CAP_ARM_NISV_TO_USER';

/** In-kernel windows of the emulated interrupt controller, in bytes (GICv2: 4K; GICv3: 64K and 128K a vCPU). */
const GICV2_DIST_SIZE = 0x1000;
/** Registered for GICC_DIR from 6.19 on; its first page is mapped, so that only the second faults. */
const GICV2_CPU_SIZE = 0x2000;
const GICV3_DIST_SIZE = 0x10000;
const GICV3_REDIST_SIZE = 0x20000;

export function ioMemAbort(work: Work, input: FaultInput, because: Because): void {
  const { vcpu, access } = input;
  const gpa = (input.fault.ipa + (input.fault.far % 4096)) as Ipa;
  if (access.syndrome?.isv !== true) {
    nisv(work, input, gpa);
    return;
  }
  const size = 2 ** access.syndrome.sas;
  const write = access.syndrome.wnr;
  const signalled = write ? ioeventfdAt(work.vm.ioeventfds, gpa, size, access.value ?? null) : undefined;
  if (signalled !== undefined) {
    conclude(
      work,
      { type: 'eventfd-signalled', vm: work.id, eventfd: signalled.eventfd },
      { type: 'mmio-handled', vm: work.id, vcpu, gpa, size, write, because: 'ioeventfd' },
    );
    return;
  }
  const inKernel = onKernelBus(work, gpa, size);
  emit(work, {
    type: inKernel ? 'mmio-handled' : 'mmio-exited',
    vm: work.id,
    vcpu,
    gpa,
    size,
    write,
    because: inKernel ? 'in-kernel-device' : because,
  });
}

function nisv(work: Work, input: FaultInput, gpa: Ipa): void {
  const because = 'no-valid-syndrome';
  if (NISV_CAPABILITY in work.vm.capabilities) {
    emit(work, { type: 'nisv-exited', vm: work.id, vcpu: input.vcpu, gpa, because });
    return;
  }
  const log = 'Data abort outside memslots with no valid syndrome info';
  emit(work, { type: 'run-failed', vm: work.id, vcpu: input.vcpu, errno: ENOSYS, log, because });
}

/** kvm_io_bus: the whole access must lie in one window; registered when KVM_RUN maps the vGIC's resources. */
function onKernelBus(work: Work, gpa: number, size: number): boolean {
  const { vgic, vgicMapped, vcpus } = work.vm;
  if (vgic === null || !vgicMapped) return false;
  const windows =
    vgic.version === 2
      ? [
          { base: vgic.gicd, size: GICV2_DIST_SIZE },
          ...(work.host.features.gicvDirTrap ? [{ base: vgic.gicc, size: GICV2_CPU_SIZE }] : []),
        ]
      : [
          { base: vgic.gicd, size: GICV3_DIST_SIZE },
          { base: vgic.gicr, size: GICV3_REDIST_SIZE * vcpus },
        ];
  return windows.some((window) => gpa >= window.base && gpa + size <= window.base + window.size);
}
