// From the fields of a machine file to the facts that a replay uses: names to presets, IPA size to geometry, and
// checks that no schema makes, such as slots that overlap (kvm_check_memslot_overlap) or wrap.

import type { Hva, Ipa, Pa } from '../../arch/addresses.ts';
import { ARCHITECTURAL } from '../../arch/cpu.ts';
import type { Granule, Stage2Geometry } from '../../arch/geometry.ts';
import { stage2Geometry } from '../../arch/geometry.ts';
import type { Vgic } from '../../host/calls.ts';
import type { KernelFeatures } from '../../host/kernel-features.ts';
import { InputError } from '../input-error.ts';
import { backingOf } from './backing.ts';
import { MAX_LOGGED_PAGES, MAX_SLOT_BYTES, resolveCalls, USER_ADDRESSES } from './calls.ts';
import { kernelOf } from './kernel.ts';
import type { TraceMachine, TraceSlot, TraceVm, TraceVma } from './machine.ts';
import type { FileSlot, FileVm, MachineFile } from './schema.ts';

/** @throws InputError that names the field */
export function resolveMachine(file: MachineFile, where: string): TraceMachine {
  const { host } = file;
  const kernel = kernelOf(host.kernel, where);
  const { s1ptwFaultLevel, ...cpu } = host.cpu;
  const lpa2 = cpu.lpa2 && kernel.features.lpa2;
  const names = new Set<string>();
  const vms = file.vms.map((vm, index) => {
    const at = `vms.${index}`;
    if (names.has(vm.name)) refuse(where, `${at}.name`, `there are two VMs '${vm.name}'`);
    names.add(vm.name);
    const geometry = geometryOf(host.pageSize, vm.ipaBits, lpa2, where, at);
    return vmOf(vm, geometry, kernel.features, where, at);
  });
  return {
    name: file.name ?? file.vms.map(({ name }) => name).join(', '),
    kernel,
    pageSize: host.pageSize,
    cpu: { ...cpu, lpa2, departures: { ...ARCHITECTURAL, s1ptwFaultLevel } },
    thp: host.thp ?? null,
    gicv: host.gicv === undefined ? null : { pa: host.gicv.pa as Pa, size: host.gicv.size },
    vms,
  };
}

function refuse(where: string, path: string, what: string): never {
  throw new InputError(where, `${path}: ${what}`, 'correct the field, docs/machine-file.md describes it');
}

function geometryOf(
  granule: Granule,
  ipaBits: number,
  lpa2: boolean,
  where: string,
  at: string,
): Stage2Geometry {
  try {
    return stage2Geometry({ granule, ipaBits, lpa2 });
  } catch (error) {
    return refuse(where, `${at}.ipaBits`, error instanceof Error ? error.message : String(error));
  }
}

function vmOf(
  vm: FileVm,
  geometry: Stage2Geometry,
  features: KernelFeatures,
  where: string,
  at: string,
): TraceVm {
  const slots = vm.slots.map((slot, index) => slotOf(slot, index, vm.slots, features));
  const vmas = vm.vmas.map(({ start, end, prot, backing }): TraceVma => {
    return { start: start as Hva, end: end as Hva, prot, backing: backingOf(backing, features) };
  });
  checkSlots(slots, geometry, where, at);
  vm.vmas.forEach(({ start, end }, index) => {
    if (end <= start) refuse(where, `${at}.vmas.${index}.end`, 'the VMA ends before it starts');
    if (end > USER_ADDRESSES)
      refuse(where, `${at}.vmas.${index}.end`, 'is beyond the addresses of a process');
  });
  const sorted = [...vmas].sort((a, b) => a.start - b.start);
  sorted.forEach((vma, index) => {
    const next = sorted[index + 1];
    if (next !== undefined && next.start < vma.end) refuse(where, `${at}.vmas`, 'two VMAs overlap');
  });
  return {
    name: vm.name,
    pid: vm.pid ?? null,
    vcpuThreads: vm.vcpuThreads,
    vcpus: vm.vcpus ?? null,
    geometry,
    slotsComplete: vm.slotsComplete,
    vgic: vm.vgic === undefined ? null : vgicOf(vm.vgic, geometry),
    capabilities: vm.capabilities,
    slots,
    vmas: sorted,
    calls: resolveCalls(vm.calls, { features, pageSize: geometry.granule, where, at: `${at}.calls` }),
    callsComplete: vm.callsComplete,
  };
}

/** Without an address the distributor's window lies where no access can reach it. */
function vgicOf(vgic: NonNullable<FileVm['vgic']>, geometry: Stage2Geometry): Vgic {
  if (vgic.version === 3) return { version: 3, gicd: vgic.gicd as Ipa, gicr: vgic.gicr as Ipa };
  return { version: 2, gicd: (vgic.gicd ?? 2 ** geometry.ipaBits) as Ipa, gicc: vgic.gicc as Ipa };
}

function slotOf(
  slot: FileSlot,
  index: number,
  all: readonly FileSlot[],
  features: KernelFeatures,
): TraceSlot {
  const taken = new Set(all.map((other) => other.slot));
  let free = index;
  while (slot.slot === undefined && taken.has(free)) free += all.length;
  return {
    slot: slot.slot ?? free,
    ipa: slot.ipa as Ipa,
    size: slot.size,
    hva: (slot.hva ?? null) as Hva | null,
    readonly: slot.readonly,
    logDirty: slot.logDirty,
    backing: slot.backing === undefined ? null : backingOf(slot.backing, features),
  };
}

function checkSlots(slots: readonly TraceSlot[], geometry: Stage2Geometry, where: string, at: string): void {
  slots.forEach(({ ipa, size, slot, hva, logDirty }, index) => {
    const path = `${at}.slots.${index}`;
    if (size === 0 || size % geometry.granule !== 0 || ipa % geometry.granule !== 0) {
      refuse(where, path, `ipa and size have to be multiples of ${geometry.granule}, size more than 0`);
    }
    if (logDirty && size / geometry.granule > MAX_LOGGED_PAGES) {
      refuse(where, `${path}.size`, `a dirty log of more than ${MAX_LOGGED_PAGES} pages`);
    }
    if (size > MAX_SLOT_BYTES || (hva ?? 0) + size > USER_ADDRESSES) {
      refuse(where, path, 'ends beyond the addresses of a process');
    }
    if (hva !== null && hva % geometry.granule !== 0) refuse(where, `${path}.hva`, 'is not page-aligned');
    if (ipa + size > 2 ** geometry.ipaBits) refuse(where, path, `ends beyond 2^${geometry.ipaBits}`);
    slots.slice(0, index).forEach((other) => {
      if (other.slot === slot) refuse(where, `${path}.slot`, `there are two slots ${slot}`);
      if (other.ipa < ipa + size && ipa < other.ipa + other.size) {
        refuse(where, path, `overlaps the slot at 0x${other.ipa.toString(16)}`);
      }
    });
  });
}
