// A bundle's machine.json as a machine file: the slots and VMAs as they are when a VM first runs. What its timeline
// does later (slots deleted, mappings changed) a machine file cannot say; `slotsComplete` tells whether it matters.

import { z } from 'zod';
import type { BundleMachine, BundleOperation } from '../bundle/schema.ts';
import { machineSchema } from '../bundle/schema.ts';
import { checked, hostOf } from './captured.ts';
import type { MachineFileInput } from './schema.ts';

type Vm = MachineFileInput['vms'][number];
type Slot = NonNullable<Vm['slots']>[number];
type Backing = NonNullable<Slot['backing']>;
type Memslot = Extract<BundleOperation, { op: 'memslot' }>;

/** Processes and threads, which replaying a bundle does not need. */
const tasksSchema = z.object({
  vms: z.array(
    z.object({
      pid: z.number().optional(),
      vcpuThreads: z.union([z.array(z.number()), z.record(z.string(), z.number())]).optional(),
    }),
  ),
});

/** @throws InputError that names the first field that does not fit */
export function fromBundle(json: unknown, where: string): MachineFileInput {
  const machine = checked(machineSchema, json, where);
  const tasks = checked(tasksSchema, json, where);
  const vms = machine.vms.map((vm, index): Vm => {
    const task = tasks.vms[index];
    const { slots, complete } = slotsOf(machine, vm.name);
    return {
      name: vm.name,
      ...(task?.pid === undefined ? {} : { pid: task.pid }),
      vcpuThreads: Object.values(task?.vcpuThreads ?? {}),
      vcpus: vm.vcpus,
      ipaBits: vm.ipaBits,
      slotsComplete: complete,
      vgic: vm.vgic,
      capabilities: vm.capabilities.map((name) =>
        name === 'nisv-to-user' ? 'KVM_CAP_ARM_NISV_TO_USER' : name,
      ),
      slots,
    };
  });
  const host = hostOf(machine.host, machine.host.kernel.pageSize);
  return { format: 'stagetwo-machine/1', name: machine.name, host, vms };
}

function slotsOf(machine: BundleMachine, vm: string): { slots: Slot[]; complete: boolean } {
  const own = machine.timeline.filter((entry) => entry.vm === vm);
  const run = own.findIndex(({ op }) => op === 'run');
  const before = run === -1 ? own : own.slice(0, run);
  const after = run === -1 ? [] : own.slice(run);
  const live = new Map<number, Memslot>();
  for (const entry of before) {
    if (entry.op !== 'memslot') continue;
    const free = ![...live.values()].some((other) => overlap(other, entry));
    if (entry.size === 0) live.delete(entry.slot);
    else if (live.has(entry.slot) || free) live.set(entry.slot, entry);
  }
  const slots = [...live.values()].map((entry): Slot => {
    const { slot, ipa, size, hva, flags } = entry;
    const populated = before.some((other) => populates(other, entry));
    return { slot, ipa, size, hva, ...flags, backing: backingOf(entry, before, populated) };
  });
  return { slots, complete: !after.some(({ op }) => op === 'memslot') };
}

const overlap = (a: Memslot, b: Memslot): boolean =>
  a.slot !== b.slot && a.ipa < b.ipa + b.size && b.ipa < a.ipa + a.size;

/** Stores to every page, or pinning for DMA. */
function populates(entry: BundleOperation, slot: Memslot): boolean {
  if (entry.op === 'dma-map') return entry.slot === slot.slot;
  return (
    entry.op === 'host-write' && entry.slot === slot.slot && entry.offset === 0 && entry.size >= slot.size
  );
}

function backingOf(entry: Memslot, before: readonly BundleOperation[], populated: boolean): Backing {
  const { backing } = entry;
  const told = populated ? { populated } : {};
  const pa = backing.pa === undefined ? {} : { pa: backing.pa };
  switch (backing.kind) {
    case 'anon':
    case 'thp': {
      const mapped = before.findLast((other) => other.op === 'mmap' && other.hva === entry.hva);
      const advice = mapped?.op === 'mmap' ? mapped.madvise : undefined;
      const thp = advice ?? (backing.kind === 'thp' ? 'hugepage' : 'nohugepage');
      return { kind: 'anon', thp, ...told };
    }
    case 'hugetlb-2M':
      return { kind: 'hugetlb', pageSize: 2 ** 21, ...told };
    case 'vfio-bar': {
      const flags = backing.vma?.flags;
      const uncached = flags === undefined ? {} : { allowAnyUncached: flags.includes('??') };
      return {
        kind: 'vfio-pci',
        ...(backing.bdf === undefined ? {} : { device: backing.bdf }),
        ...pa,
        ...uncached,
      };
    }
    case 'devmem':
      return { kind: 'devmem', ...pa };
    case 'sysfs-resource':
      return { kind: 'sysfs', ...pa };
  }
}
