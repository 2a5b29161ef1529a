// How a host event changes the host's slices: mutation of a draft or a plain object, total, without policy and
// without errors. Values inside a slice are replaced, never changed, so that shallow copies of slices are safe.

import type { Pa } from '../arch/addresses.ts';
import type { Stage2Leaf } from '../arch/descriptor.ts';
import { levelSize } from '../arch/geometry.ts';
import { TranslationTable } from '../arch/translation-table.ts';
import type { AccessFlagInput, HostEvent, PciInput } from './events.ts';
import { emptyHostMemory, setHostPages } from './host-memory.ts';
import type { Memslot, SlotRange } from './memslot.ts';
import type { HostState, VmState } from './state.ts';
import { mergeVmas, replaceVmas } from './vma.ts';
import { evolveWiring } from './wiring.ts';

/** Physical memory from which a VM's pages come: 64 GiB apart, so that two VMs never share a page. */
const VM_ARENA = 2 ** 36;
const RAM_BASE = 2 ** 40;

export function initialHost(event: HostEvent & { type: 'host-booted' }): HostState {
  const { kernel, features, cpu, pageSize, thp, gicv, pcieErrors = 'contained' } = event;
  return { kernel, features, cpu, pageSize, thp, gicv, pcieErrors, memoryDisabled: [], inD3hot: [] };
}

export function initialVm(host: HostState, event: HostEvent & { type: 'vm-created' }): VmState {
  const { geometry } = event;
  return {
    name: event.name,
    geometry,
    table: TranslationTable.empty<Stage2Leaf>({
      granule: geometry.granule,
      startLevel: geometry.startLevel,
      inputBits: geometry.ipaBits,
    }),
    slots: [],
    vmas: [],
    memory: emptyHostMemory(host.pageSize),
    mmuSeq: 0,
    inFlight: [],
    vgic: null,
    vgicMapped: false,
    ioeventfds: [],
    irqfds: [],
    maskedIrqs: [],
    eventfds: {},
    capabilities: event.capabilities,
    vcpus: event.vcpus,
    nextPage: (RAM_BASE + event.vm * VM_ARENA) as Pa,
    nextVma: 0,
    vfioVmas: [],
  };
}

/** PCI_COMMAND_MEMORY of a device's command register: its BARs answer. */
const PCI_COMMAND_MEMORY = 2;

/** Memory decoding and power state of a PCI function, as vfio-pci knows them. A reset ends in D0. */
export function evolveHost(host: HostState, event: PciInput): void {
  const { device } = event;
  if (event.type === 'pci-command-written') {
    const enabled = (event.value & PCI_COMMAND_MEMORY) !== 0;
    host.memoryDisabled = withMember(host.memoryDisabled, device, !enabled);
  } else if (event.type === 'pci-power-written') {
    const sleeps = event.state === 'D3hot' && host.features.vfioGuardsD3hot;
    host.inD3hot = withMember(host.inD3hot, device, sleeps);
  } else {
    for (const woken of [device, ...(event.along ?? [])])
      host.inD3hot = withMember(host.inD3hot, woken, false);
  }
}

function withMember(devices: readonly string[], device: string, member: boolean): readonly string[] {
  const others = devices.filter((other) => other !== device);
  return member ? [...others, device] : others;
}

/**
 * Total over the union: events that leave no trace in a VM's slice fall through. What every fault brings stands first:
 * a switch over strings compares one after the other.
 */
export function evolveVm(vm: VmState, event: HostEvent | AccessFlagInput): void {
  switch (event.type) {
    case 'host-pages-set': {
      const size = levelSize(vm.geometry.granule, event.level);
      vm.memory = setHostPages(vm.memory, event.hva, event.level, event.count, event.pte, size);
      vm.nextPage = (vm.nextPage + event.allocated) as Pa;
      return;
    }
    case 'stage2-map-begun':
      vm.inFlight = [
        ...vm.inFlight,
        {
          vcpu: event.vcpu,
          ipa: event.plan.ipa,
          size: levelSize(vm.geometry.granule, event.plan.level),
          locks: event.locks,
        },
      ];
      return;
    case 'stage2-mapped':
    case 'stage2-set':
      vm.table = vm.table.withLeaf(event.ipa, event.level, {
        outputAddress: event.pa,
        attributes: event.attributes,
      });
      if (event.type === 'stage2-mapped') landed(vm, event.vcpu, event.dirty);
      return;
    case 'stage2-relaxed':
      changeLeaves(vm, { slot: -1, ipa: event.ipa, size: 1 }, (leaf) => ({
        ...leaf,
        attributes: event.attributes,
      }));
      landed(vm, event.vcpu, event.dirty);
      return;
    case 'notifier-invalidated':
      if (event.slots.length === 0) return;
      vm.mmuSeq += 1;
      for (const range of event.slots) unmapRange(vm, range);
      return;
    case 'notifier-aged':
      for (const range of event.slots) changeLeaves(vm, range, (leaf) => withAttributes(leaf, { af: false }));
      return;
    case 'stage2-write-protected':
      for (const range of event.ranges)
        changeLeaves(vm, range, (leaf) => withAttributes(leaf, { write: false }));
      return;
    case 'stage2-split':
      for (let page = 0; page < event.count; page++) {
        const offset = page * levelSize(vm.geometry.granule, event.level);
        const leaf = { outputAddress: (event.pa + offset) as Pa, attributes: event.attributes };
        vm.table = vm.table.withLeaf(event.ipa + offset, event.level, leaf);
      }
      return;
    case 'stage2-broken':
      unmapRange(vm, { slot: -1, ipa: event.ipa, size: event.size });
      return;
    case 'fault-retried':
      landed(vm, event.vcpu, null);
      return;
    case 'stage2-made-young':
    case 'access-flag-set':
      changeLeaves(vm, { slot: -1, ipa: event.ipa, size: 1 }, (leaf) => withAttributes(leaf, { af: true }));
      return;
    default:
      evolveMemory(vm, event);
  }
}

/** Memslots, VMAs, host pages, and what else is not the table. */
function evolveMemory(vm: VmState, event: HostEvent | AccessFlagInput): void {
  switch (event.type) {
    case 'vmas-changed':
      vm.vmas = mergeVmas(replaceVmas(vm.vmas, event.start, event.end, event.vmas));
      vm.nextVma = event.nextVma;
      return;
    case 'vfio-vma-listed':
      vm.vfioVmas = [event.vma, ...vm.vfioVmas];
      vm.vmas = vm.vmas.map((vma) => (vma.id === event.vma ? { ...vma, hasTables: true } : vma));
      return;
    case 'vfio-vma-unlisted':
      vm.vfioVmas = vm.vfioVmas.filter((vma) => vma !== event.vma);
      return;
    case 'host-pages-freed':
      vm.memory = vm.memory.without(event.start, event.end);
      return;
    case 'vgic-created':
      vm.vgic = event.vgic;
      return;
    case 'vgic-resources-mapped':
      vm.vgicMapped = true;
      return;
    case 'capability-enabled':
      vm.capabilities = { ...vm.capabilities, [event.cap]: event.argument };
      return;
    case 'ioeventfd-assigned':
    case 'irqfd-assigned':
    case 'eventfd-signalled':
    case 'eventfd-read':
    case 'vfio-irq-masked':
    case 'vfio-irq-unmasked':
      evolveWiring(vm, event);
      return;
    case 'memslot-set':
      settleFaults(vm, event.slot.slot);
      if (event.unmapped !== null) unmapRange(vm, event.unmapped);
      vm.slots = [...vm.slots.filter((s) => s.slot !== event.slot.slot), event.slot].sort(
        (a, b) => a.ipa - b.ipa,
      );
      return;
    case 'memslot-deleted':
      settleFaults(vm, event.slot);
      unmapRange(vm, event.unmapped);
      vm.slots = vm.slots.filter((slot) => slot.slot !== event.slot);
      return;
    case 'dirty-log-changed':
      changeSlot(vm, event.slot, (slot) => ({
        ...slot,
        dirty: slot.dirty?.without(event.firstPage, event.pages) ?? null,
      }));
      return;
    default:
      return;
  }
}

/**
 * A live slot changes only after the faults that found it have ended (synchronize_srcu() of kvm_swap_active_memslots).
 * Here those under way run again instead and find the change, which leaves the same leaves.
 */
function settleFaults(vm: VmState, number: number): void {
  if (vm.slots.some(({ slot }) => slot === number)) vm.mmuSeq += 1;
}

/** The map call of a vCPU ended; a page it left writable is dirty where its slot logs. */
function landed(
  vm: VmState,
  vcpu: number,
  dirty: { readonly slot: number; readonly page: number } | null,
): void {
  if (vm.inFlight.length > 0) vm.inFlight = vm.inFlight.filter((map) => map.vcpu !== vcpu);
  if (dirty === null) return;
  changeSlot(vm, dirty.slot, (slot) => ({ ...slot, dirty: slot.dirty?.with(dirty.page, 1) ?? null }));
}

function changeSlot(vm: VmState, number: number, change: (slot: Memslot) => Memslot): void {
  vm.slots = vm.slots.map((slot) => (slot.slot === number ? change(slot) : slot));
}

function unmapRange(vm: VmState, range: SlotRange): void {
  vm.table = vm.table.without(range.ipa, range.ipa + range.size);
}

/** Every leaf of which the range shows a byte. */
function changeLeaves(vm: VmState, range: SlotRange, change: (leaf: Stage2Leaf) => Stage2Leaf): void {
  vm.table = vm.table.updated(range.ipa, range.ipa + range.size, change);
}

function withAttributes(
  leaf: Stage2Leaf,
  fields: { readonly af?: boolean; readonly write?: boolean },
): Stage2Leaf {
  const { af = leaf.attributes.af, write = leaf.attributes.write } = fields;
  if (af === leaf.attributes.af && write === leaf.attributes.write) return leaf;
  return { ...leaf, attributes: { ...leaf.attributes, af, write } };
}
