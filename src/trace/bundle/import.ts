// From machine.json to what the simulation understands: the events that set the machine up, and for each entry of
// the timeline the call or access it stands for. Nothing here looks at expected.json.

import type { Access } from '../../arch/access.ts';
import type { Hva, Ipa, Pa, Va } from '../../arch/addresses.ts';
import type { CpuDepartures } from '../../arch/cpu.ts';
import { ARCHITECTURAL } from '../../arch/cpu.ts';
import { stage2Geometry } from '../../arch/geometry.ts';
import { STAGE_1_OFF, STAGE_1_ON } from '../../arch/stage1.ts';
import type { VmmCall } from '../../host/calls.ts';
import type { KernelFeatures } from '../../host/kernel-features.ts';
import type { VmaBacking } from '../../host/vma.ts';
import type { MachineEvent } from '../../machine/events.ts';
import type { BundleAccess, BundleMachine, BundleOperation } from './schema.ts';

const EINVAL = 22;

/** smaps prints `??` for a VMA flag without a mnemonic: VM_ALLOW_ANY_UNCACHED (measured on 6.12.117). */
const UNNAMED_FLAG = '??';

/** VFIO_PCI_INDEX_TO_OFFSET: the region index stands in bits 63:40 of the file offset. */
const VFIO_REGION = 2 ** 40;

/** Two spellings of requested capabilities. */
const CAPABILITY_NAMES: Readonly<Record<string, string>> = { 'nisv-to-user': 'KVM_CAP_ARM_NISV_TO_USER' };

export function setupEvents(
  machine: BundleMachine,
  kernel: string,
  features: KernelFeatures,
): MachineEvent[] {
  const { host } = machine;
  const { pageSize } = host.kernel;
  const lpa2 = host.cpu.lpa2 && features.lpa2;
  const booted: MachineEvent = {
    type: 'host-booted',
    kernel,
    features,
    cpu: { ...host.cpu, lpa2, departures: departuresOf(host.emulation) },
    pageSize,
    thp: host.thp,
    gicv: host.gic.gicv === null ? null : { pa: host.gic.gicv.pa as Pa, size: host.gic.gicv.size },
  };
  const events: MachineEvent[] = [booted];
  let vcpu = 0;
  machine.vms.forEach((vm, id) => {
    const geometry = stage2Geometry({ granule: pageSize, ipaBits: vm.ipaBits, lpa2 });
    events.push({ type: 'vm-created', vm: id, name: vm.name, geometry, vcpus: vm.vcpus, capabilities: {} });
    const stage1 = { controls: STAGE_1_OFF, paBits: vm.guestPaBits ?? vm.ipaBits };
    for (let index = 0; index < vm.vcpus; index++) {
      events.push({ type: 'vcpu-created', vm: id, vcpu: vcpu++, index, stage1 });
    }
    for (const [cap, argument] of requestedCapabilities(machine, id)) {
      events.push({ type: 'vmm-called', vm: id, call: { kind: 'enable-cap', cap, argument } });
    }
  });
  return events;
}

/** Departures that the bundle names; QEMU 7.2 TCG also never takes alignment faults on Device memory (measured). */
function departuresOf(emulation: BundleMachine['host']['emulation']): CpuDepartures {
  if (emulation === null || emulation === undefined) return ARCHITECTURAL;
  return {
    cacheMaintenanceFaults: emulation.cacheMaintenanceFaults ?? ARCHITECTURAL.cacheMaintenanceFaults,
    s1ptwFaultLevel: emulation.s1ptwFaultLevel ?? ARCHITECTURAL.s1ptwFaultLevel,
    s1ptwAfUpdateWnR: emulation.s1ptwAfUpdateWnR ?? ARCHITECTURAL.s1ptwAfUpdateWnR,
    deviceAlignmentFaults: !(emulation.tool ?? '').includes('TCG'),
  };
}

/** Capabilities of the VM's list that no entry of the timeline enables. */
function requestedCapabilities(machine: BundleMachine, id: number): [string, number][] {
  const vm = machine.vms[id];
  const inTimeline = new Set(
    machine.timeline.map((o) => (o.op === 'enable-cap' && o.vm === vm?.name ? o.cap : '')),
  );
  return (vm?.capabilities ?? [])
    .map((text): [string, number] => {
      const [name = '', argument = '0'] = text.split('=');
      return [CAPABILITY_NAMES[name] ?? name, Number(argument)];
    })
    .filter(([cap]) => !inTimeline.has(cap));
}

export function accessOf(entry: BundleAccess, stage1On: boolean): Access {
  return {
    id: entry.id,
    kind: entry.kind,
    size: entry.size,
    va: entry.va as Va,
    ipa: entry.stage1Fault === true ? null : (entry.ipa as Ipa | null),
    stage1: stage1On ? { attr: 0xff, sh: 3 } : null,
    syndrome: entry.instruction,
    ...(entry.level === undefined ? {} : { walk: { level: entry.level, purpose: entry.walkFor ?? 'read' } }),
    ...(entry.value === undefined ? {} : { value: BigInt(entry.value) }),
  };
}

export const stage1Regime = (paBits: number, on: boolean) => ({
  controls: on ? STAGE_1_ON : STAGE_1_OFF,
  paBits,
});

/** The call that an entry stands for; null for entries that are no call of the VMM. */
export function callOf(machine: BundleMachine, index: number, features: KernelFeatures): VmmCall | null {
  const entry = machine.timeline[index];
  if (entry === undefined) return null;
  switch (entry.op) {
    case 'mmap':
      return mmapOf(machine, index, entry, features);
    case 'memslot': {
      const { slot, ipa, size, hva, flags } = entry;
      return { kind: 'set-memslot', slot, ipa: ipa as Ipa, size, hva: hva as Hva, ...flags };
    }
    case 'create-vgic': {
      const vm = machine.vms.find(({ name }) => name === entry.vm);
      return vm === undefined
        ? null
        : { kind: 'create-vgic', vgic: vm.vgic as (VmmCall & { kind: 'create-vgic' })['vgic'] };
    }
    case 'enable-cap':
      return { kind: 'enable-cap', cap: entry.cap, argument: entry.arg0 };
    case 'munmap':
      return { kind: 'munmap', hva: entry.hva as Hva, size: entry.size };
    case 'mprotect':
      return { kind: 'mprotect', hva: entry.hva as Hva, size: entry.size, prot: entry.prot };
    case 'madvise': {
      const reclaim = (entry.reclaim ?? []).map((r) => ({
        kind: r.kind,
        start: r.start as Hva,
        end: r.end as Hva,
      }));
      return { kind: 'madvise', hva: entry.hva as Hva, size: entry.size, advice: entry.advice, reclaim };
    }
    case 'dirty-log':
      return dirtyLogOf(machine, index, entry);
    case 'host-write':
    case 'host-read':
    case 'dma-map':
      return touchOf(machine, index, entry);
    default:
      return null;
  }
}

function dirtyLogOf(
  machine: BundleMachine,
  index: number,
  entry: Extract<BundleOperation, { op: 'dirty-log' }>,
): VmmCall {
  if (entry.action === 'get') return { kind: 'dirty-log-get', slot: entry.slot };
  const slot = slotBefore(machine, index, entry.vm, entry.slot);
  const pages = (slot?.size ?? 0) / machine.host.kernel.pageSize;
  const firstPage = entry.firstPage ?? 0;
  return { kind: 'dirty-log-clear', slot: entry.slot, firstPage, pages: entry.numPages ?? pages - firstPage };
}

type Touch = Extract<BundleOperation, { op: 'host-write' | 'host-read' | 'dma-map' }>;

/** The slot's host address is that of its latest mmap or memslot. */
function touchOf(machine: BundleMachine, index: number, entry: Touch): VmmCall | null {
  const base = slotBefore(machine, index, entry.vm, entry.slot)?.hva;
  if (base === undefined || base === null) return null;
  const offset = entry.op === 'dma-map' ? 0 : entry.offset;
  const hva = (base + offset) as Hva;
  if (entry.op === 'host-write')
    return { kind: 'host-write', hva, size: entry.size, stride: entry.stride ?? null };
  return { kind: entry.op, hva, size: entry.size };
}

function slotBefore(machine: BundleMachine, index: number, vm: string, slot: number) {
  for (let at = index - 1; at >= 0; at--) {
    const entry = machine.timeline[at];
    if (entry === undefined || entry.vm !== vm || !('slot' in entry) || entry.slot !== slot) continue;
    if (entry.op === 'mmap' || (entry.op === 'memslot' && entry.size > 0)) return entry;
  }
  return undefined;
}

function mmapOf(
  machine: BundleMachine,
  index: number,
  entry: Extract<BundleOperation, { op: 'mmap' }>,
  features: KernelFeatures,
): VmmCall {
  if (entry.hva === null) return { kind: 'mmap-refused', errno: EINVAL };
  const backing = vmaBacking(machine, index, entry, features);
  return { kind: 'mmap', hva: entry.hva as Hva, size: entry.size, prot: 'read-write', backing };
}

/** What an mmap maps is told by the first memslot that shows a part of it; without one it is anonymous memory. */
function vmaBacking(
  machine: BundleMachine,
  index: number,
  entry: Extract<BundleOperation, { op: 'mmap' }>,
  features: KernelFeatures,
): VmaBacking {
  if (entry.hugetlb !== undefined) return { kind: 'hugetlb', pageSize: 2 ** 21 };
  const user = firstUser(machine, index, entry);
  const backing = entry.backing ?? user?.backing;
  const inset = entry.backing === undefined && user !== undefined ? user.hva - (entry.hva ?? user.hva) : 0;
  const pa = ((backing?.pa ?? 0) - inset) as Pa;
  const common = { kind: 'pfnmap', pa, cacheable: false, allowAnyUncached: false } as const;
  switch (backing?.kind) {
    case 'vfio-bar': {
      const flags = backing.vma?.flags;
      const allowAnyUncached = flags?.includes(UNNAMED_FLAG) ?? features.vfioPciAllowsAnyUncached;
      const fileOffset = (backing.bar ?? 0) * VFIO_REGION + (backing.offset ?? 0) - inset;
      return { ...common, driver: 'vfio-pci', device: backing.bdf ?? null, allowAnyUncached, fileOffset };
    }
    case 'devmem':
      return { ...common, driver: 'devmem', device: null, fileOffset: pa };
    case 'sysfs-resource':
      return { ...common, driver: 'sysfs', device: null, fileOffset: (backing.offset ?? 0) - inset };
    default:
      return { kind: 'anon', thp: entry.madvise ?? 'default' };
  }
}

/** The memslot need not begin where the mapping does: a VMM leaves out the page of an MSI-X table, for one. */
function firstUser(
  machine: BundleMachine,
  index: number,
  { vm, hva, size }: Extract<BundleOperation, { op: 'mmap' }>,
) {
  if (hva === null) return undefined;
  const shows = (op: BundleOperation): op is Extract<BundleOperation, { op: 'memslot' }> =>
    op.op === 'memslot' && op.vm === vm && op.hva >= hva && op.hva < hva + size;
  return machine.timeline.slice(index + 1).find(shows);
}
