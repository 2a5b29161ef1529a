// What a scenario wires to a VM: interrupts of devices to its GIC, and stores of its guest to eventfds.

import { ipa } from '../arch/addresses.ts';
import type { Check } from './expect.ts';
import { signalled } from './expect.ts';
import type { VmDefinition } from './scenario-definition.ts';
import type { Eventfd } from './scenario-vmm.ts';

/** Which stores an ioeventfd takes. */
export interface IoeventfdMatch {
  /** IPA of the store. */
  readonly at: number;
  /** Bytes of the store; any size unless given. */
  readonly size?: 1 | 2 | 4 | 8;
  /** Value of the store (datamatch); any unless given. */
  readonly value?: bigint;
}

export interface EventfdHandle extends Eventfd {
  /** How often stores signalled it. */
  signalled(times: number): Check;
}

/** INTIDs of a GICv2 of KVM's default size, without SGIs and PPIs. */
const SPIS = 224;

/** @throws RangeError for a VM without an interrupt controller, and for an SPI that it does not have */
export function connect(vm: VmDefinition, device: string, line: string, spi: number): void {
  if (vm.vgic === null) throw new RangeError(`VM '${vm.name}' has no interrupt controller; give it vgic: 2`);
  if (!Number.isInteger(spi) || spi < 0 || spi >= SPIS) {
    throw new RangeError(`VM '${vm.name}': SPI ${spi} is not one of 0 to ${SPIS - 1}`);
  }
  vm.interrupts.push({ device, line, spi });
}

export function ioeventfdOf(vm: VmDefinition, eventfd: string, match: IoeventfdMatch): EventfdHandle {
  const { at, size = 0, value: datamatch = null } = match;
  vm.ioeventfds.push({ eventfd, gpa: ipa(at), size, datamatch });
  return { vm: vm.name, eventfd, signalled: (times) => signalled(vm.name, eventfd, times) };
}
