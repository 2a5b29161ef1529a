// A notifier's line: whose it is, what it changes, and which faults it interrupts.

import { valueAt } from '../fields.ts';
import type { Line } from '../line.ts';
import { age, rangesOf, remember, setSpte, unmap } from './notify.ts';
import type { Replay } from './run.ts';
import type { VmWorld } from './world.ts';
import { windowOf } from './world.ts';

/** A notifier belongs to the VM of its task; of a kernel thread, to the one VM whose slots it hits. */
export function notified(replay: Replay, line: Line): void {
  const { prefix, values, event } = line;
  const { world, notifiers } = replay;
  notifiers.seen += 1;
  const start = valueAt(values, 0);
  const single = event?.spec.second === undefined;
  const end = single ? start + world.machine.pageSize : valueAt(values, 1);
  const own = replay.tasks.vmOf(prefix.pid, prefix.tgid);
  const hit = own === null ? world.vms.filter((vm) => rangesOf(vm, start, end).length > 0) : [own];
  const [vm, other] = hit;
  if (vm === undefined) return;
  if (other !== undefined) {
    notifiers.ofNoVm += 1;
    for (const one of hit) remember(one.maybe, { start, end });
    return;
  }
  const applied =
    event?.spec.name === 'kvm_age_hva'
      ? age(world, vm, start, end)
      : event?.spec.name === 'kvm_set_spte_hva'
        ? setSpte(world, vm, start)
        : unmap(world, vm, start, end);
  if (!applied) return;
  notifiers.applied += 1;
  if (event?.spec.name === 'kvm_age_hva') return;
  noteInterrupted(replay, vm, prefix.pid, start, end);
}

/** Every fault of the VM that is under way has seen mmu_invalidate_seq move; of another task, nobody knows when. */
function noteInterrupted(replay: Replay, vm: VmWorld, pid: number, start: number, end: number): void {
  for (const [task, run] of replay.runs) {
    if (run === null || run.vcpu.vm !== vm || run.pending === null) continue;
    if (task === pid) {
      run.pending.notified = true;
      continue;
    }
    for (const { ipa, size } of rangesOf(vm, start, end)) {
      const { ipa: at } = run.pending.fault.fault;
      if (at >= ipa && at < ipa + size) run.pending.notified = true;
    }
    vm.changes.push({
      window: windowOf(replay.world, run.pending.fault.fault.ipa),
      vcpu: -1,
      line: replay.line,
    });
  }
}
