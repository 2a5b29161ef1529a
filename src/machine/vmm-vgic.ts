// A VMM that stops its VM and saves or restores its GICv2: registers are refused while a vCPU runs, since KVM takes all
// their mutexes (lock_all_vcpus()).

import { gicOf } from '../devices/gicv2/lines.ts';
import { readUser, userWriteErrno } from '../devices/gicv2/uaccess.ts';
import { vmStopped } from './interrupts.ts';
import type { VmmOp, VmmResult } from './scenario-vmm.ts';
import type { Simulation } from './simulation.ts';

type VgicOp = Extract<VmmOp, { readonly kind: 'stop-vm' | 'resume-vm' | 'vgic-register' }>;

const EBUSY = 16;
const EINVAL = 22;
/** No such group: the VM has no GICv2. */
const ENXIO = 6;

/** @returns errno, and the value of a read */
export function actOnVgic(
  { simulation, stopped }: { readonly simulation: Simulation; readonly stopped: Set<number> },
  op: VgicOp,
): VmmResult {
  const vm = simulation.state.vms.findIndex(({ name }) => name === op.vm);
  if (vm === -1) return { errno: EINVAL };
  if (op.kind === 'vgic-register') {
    return stopped.has(vm) ? access(simulation, vm, op) : { errno: EBUSY };
  }
  const stops = op.kind === 'stop-vm';
  if (stops === stopped.has(vm)) return { errno: 0 };
  if (stops) stopped.add(vm);
  else stopped.delete(vm);
  for (const event of vmStopped(simulation.state, vm, stops)) simulation.dispatch(event);
  return { errno: 0 };
}

function access(simulation: Simulation, vm: number, op: VgicOp & { kind: 'vgic-register' }): VmmResult {
  const gic = gicOf(simulation.state.devices, vm);
  if (gic === null) return { errno: ENXIO };
  const { group, cpu, offset, write } = op;
  const place = { group, cpu, offset };
  const errno = write === null ? 0 : userWriteErrno(gic.vgic, place, write);
  const value = write ?? readUser(gic.vgic, place);
  if (errno !== 0 || value === null) return { errno: EINVAL };
  const { device } = gic;
  simulation.dispatch({ type: 'vgic-register-accessed', device, vm, ...place, write, value });
  return write === null ? { errno: 0, value } : { errno: 0 };
}
