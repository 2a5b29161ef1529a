// How a device's interrupt reaches a VM: KVM_IRQFD with VFIO's trigger eventfd, with a resampler for a level
// (vfio_intx_handler(), vfio_automasked_irq_handler(), irqfd_resampler_ack()), or KVM_IRQ_LINE by a VMM that emulates
// the device. Pure: from what the VM's wiring is to the lines of its GIC that change.

import type { Irqfd } from './calls.ts';
import type { HostEvent } from './events.ts';
import type { VmState } from './state.ts';
import type { Work } from './work.ts';
import { emit } from './work.ts';

const EAGAIN = 11;
const EBUSY = 16;

/** KVM's default routing: GSI n is SPI n. */
export const FIRST_SPI = 32;

/** kvm_set_irq(), for whoever brings it to the VM's GIC. */
export interface IrqSet {
  readonly type: 'irq-set';
  readonly gsi: number;
  readonly level: boolean;
}

export type IrqOutcome = IrqSet | HostEvent;

/** @returns 0; EAGAIN without an interrupt controller in the kernel, EBUSY for an interrupt that is wired already */
export function assignIrqfd(work: Work, irqfd: Irqfd): number {
  if (work.vm.vgic === null) return EAGAIN;
  if (work.vm.irqfds.some(({ device, line }) => device === irqfd.device && line === irqfd.line)) return EBUSY;
  emit(work, { type: 'irqfd-assigned', vm: work.id, irqfd });
  return 0;
}

/** A line of a device changed, or sent a message (`level` null). @param vm number of the VM's slice */
export function lineDriven(
  { irqfds, maskedIrqs }: VmState,
  vm: number,
  input: { readonly device: number; readonly line: string; readonly level: boolean | null },
): readonly IrqOutcome[] {
  const { device, line, level } = input;
  return irqfds
    .filter((irqfd) => irqfd.device === device && irqfd.line === line)
    .flatMap(({ gsi, by }): readonly IrqOutcome[] => {
      if (by === 'irq-line' && level !== null) return [set(gsi, level)];
      if (level === false) return [];
      if (by !== 'resample') return [set(gsi, true), set(gsi, false)];
      return maskedIrqs.includes(gsi) ? [] : triggered(vm, gsi);
    });
}

/** VFIO masks the interrupt before it signals its eventfd. */
const triggered = (vm: number, gsi: number): readonly IrqOutcome[] => [
  { type: 'vfio-irq-masked', vm, gsi },
  set(gsi, true),
];

/**
 * kvm_notify_acked_irq(): the guest ended a level. Its resampler lowers the line and lets VFIO unmask; a device that is
 * still high interrupts again.
 */
export function acked(
  { irqfds }: VmState,
  vm: number,
  gsi: number,
  isHigh: (device: number, line: string) => boolean,
): readonly IrqOutcome[] {
  const resampled = irqfds.filter((irqfd) => irqfd.gsi === gsi && irqfd.by === 'resample');
  if (resampled.length === 0) return [];
  const stays = resampled.some(({ device, line }) => isHigh(device, line));
  return [
    { type: 'irq-acked', vm, gsi },
    set(gsi, false),
    { type: 'vfio-irq-unmasked', vm, gsi },
    ...(stays ? triggered(vm, gsi) : []),
  ];
}

const set = (gsi: number, level: boolean): IrqSet => ({ type: 'irq-set', gsi, level });
