// Which task is which vCPU of which VM. The machine file says so by thread or process; with one VM in the file every
// task that runs a guest is its vCPU, unless the trace shows another process doing it too.

import type { VmWorld, World } from './world.ts';

export interface VcpuWorld {
  readonly vm: VmWorld;
  /** Number over all VMs, as the simulation counts them. */
  readonly id: number;
  readonly name: string;
}

export interface Tasks {
  /** The vCPU of a task that runs a guest; null if nothing says whose it is. */
  vcpuOf(pid: number, tgid: number, comm: () => string): VcpuWorld | null;
  /** The VM whose process the task belongs to, as far as known. */
  vmOf(pid: number, tgid: number): VmWorld | null;
  readonly vcpus: readonly VcpuWorld[];
}

export function createTasks(world: World): Tasks {
  const known = new Map<number, VcpuWorld | null>();
  const vcpus: VcpuWorld[] = [];
  const [only] = world.vms;
  const single = world.vms.length === 1 ? only : undefined;
  let claimed = -1;

  const byFacts = (pid: number, tgid: number): VmWorld | null => {
    for (const vm of world.vms) {
      const { pid: owner, vcpuThreads } = vm.facts;
      if (vcpuThreads.includes(pid) || owner === pid || (owner !== null && owner === tgid)) return vm;
    }
    return null;
  };

  const ownerOf = (pid: number, tgid: number): VmWorld | null => {
    const told = byFacts(pid, tgid);
    if (told !== null || single === undefined) return told;
    const { pid: owner, vcpuThreads } = single.facts;
    if (vcpuThreads.length > 0 || (owner !== null && tgid !== -1)) return null;
    if (tgid !== -1 && claimed === -1) claimed = tgid;
    return tgid === -1 || tgid === claimed ? single : null;
  };

  return {
    vcpus,
    vcpuOf(pid, tgid, comm) {
      const found = known.get(pid);
      if (found !== undefined) return found;
      const vm = ownerOf(pid, tgid);
      const vcpu = vm === null ? null : { vm, id: vcpus.length, name: `${comm()}-${pid}` };
      if (vcpu !== null) vcpus.push(vcpu);
      known.set(pid, vcpu);
      return vcpu;
    },
    vmOf: (pid, tgid) => known.get(pid)?.vm ?? byFacts(pid, tgid) ?? single ?? null,
  };
}
