// A bundle's machine.json as a machine file. Its timeline has every call of the VMM with the trace's time, so that
// slots, VMAs and pages are those of the simulated host, call by call; nothing that KVM computed is in it.

import { z } from 'zod';
import type { Hva } from '../../arch/addresses.ts';
import type { KernelFeatures } from '../../host/kernel-features.ts';
import { callOf } from '../bundle/import.ts';
import { checkLimits } from '../bundle/limits.ts';
import type { BundleMachine } from '../bundle/schema.ts';
import { machineSchema } from '../bundle/schema.ts';
import { checked, hostOf } from './captured.ts';
import type { TimedCall, TraceCall, TraceMachine } from './machine.ts';
import { resolveMachine } from './resolve.ts';
import type { MachineFileInput } from './schema.ts';
import { machineFileSchema } from './schema.ts';

type Vm = MachineFileInput['vms'][number];

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
export function fromBundle(json: unknown, where: string): TraceMachine {
  const machine = checked(machineSchema, json, where);
  const tasks = checked(tasksSchema, json, where);
  checkLimits(machine, where);
  const vms = machine.vms.map((vm, index): Vm => {
    const task = tasks.vms[index];
    return {
      name: vm.name,
      ...(task?.pid === undefined ? {} : { pid: task.pid }),
      vcpuThreads: Object.values(task?.vcpuThreads ?? {}),
      vcpus: vm.vcpus,
      ipaBits: vm.ipaBits,
      slotsComplete: true,
      callsComplete: true,
      vgic: vm.vgic,
      capabilities: vm.capabilities.map((name) =>
        name === 'nisv-to-user' ? 'KVM_CAP_ARM_NISV_TO_USER' : name,
      ),
    };
  });
  const host = hostOf(machine.host, machine.host.kernel.pageSize);
  const file = { format: 'stagetwo-machine/1' as const, name: machine.name, host, vms };
  const resolved = resolveMachine(checked(machineFileSchema, file, where), where);
  return {
    ...resolved,
    vms: resolved.vms.map((vm) => ({ ...vm, calls: callsOf(machine, vm.name, resolved.kernel.features) })),
  };
}

/** An entry without a time stands just before the next one of its VM that has one. */
function callsOf(machine: BundleMachine, vm: string, features: KernelFeatures): TimedCall[] {
  const calls: TimedCall[] = [];
  let time = Number.POSITIVE_INFINITY;
  machine.timeline.forEach((_, fromEnd) => {
    const index = machine.timeline.length - 1 - fromEnd;
    const entry = machine.timeline[index];
    if (entry?.vm !== vm) return;
    time = entry.t ?? time;
    const call = traceCallOf(machine, index, features);
    if (call !== null) calls.push({ after: { time }, call });
  });
  return calls.reverse();
}

function traceCallOf(machine: BundleMachine, index: number, features: KernelFeatures): TraceCall | null {
  const entry = machine.timeline[index];
  if (entry?.op === 'vfio-open') return { kind: 'pci-command', device: entry.bdf, value: entry.command };
  if (entry?.op === 'pci-command') return { kind: 'pci-command', device: entry.bdf, value: entry.value };
  const call = callOf(machine, index, features);
  switch (call?.kind) {
    case undefined:
    case 'mmap-refused':
    case 'create-vgic':
    case 'ioeventfd':
    case 'irqfd':
      return null;
    case 'set-memslot':
      return { ...call, kind: 'memslot', backing: null };
    case 'mmap': {
      const { hva, size, prot, backing: vma } = call;
      const backing = { vma, populated: null, paKnown: true };
      return { kind: 'mmap', vma: { start: hva, end: (hva + size) as Hva, prot, backing } };
    }
    default:
      return call;
  }
}
