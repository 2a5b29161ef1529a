// How an event changes a device's slice: mutation of a draft or a plain object, total, without policy.
// Registers follow the rules of their declaration, interrupts those of the GIC.

import { PCI_COMMAND_MEMORY } from './description.ts';
import type { DeviceEvent } from './events.ts';
import { injectIrq } from './gicv2/ap-list.ts';
import { afterGicAccess } from './gicv2/device.ts';
import { flushHwstate, syncHwstate } from './gicv2/hwstate.ts';
import { changeTimer } from './gicv2/timer.ts';
import { writeUser } from './gicv2/uaccess.ts';
import type { Vgic, VgicTraits } from './gicv2/vgic.ts';
import { initialVgic } from './gicv2/vgic.ts';
import { guestWrote, mapBar, unmapBar } from './pci/assigned-bar.ts';
import type { PciChange } from './pci/config-space.ts';
import {
  changedFunction,
  claimsMemory,
  PCI_CONFIG_REGION,
  PCI_CONFIG_SIZE,
  powerStateOf,
  writtenConfig,
} from './pci/config-space.ts';
import { capabilityOf } from './pci/function.ts';
import { evolveMsix } from './pci/msix.ts';
import { afterRead, afterWrite } from './plain-region.ts';
import type { DeviceState } from './state.ts';
import { initialRegions } from './state.ts';

/** Besides its own events: a VM got a GICv2 with so many vCPUs. */
export type DeviceInput =
  | DeviceEvent
  | {
      readonly type: 'vgic-initialised';
      readonly vm: number;
      readonly vcpus: number;
      readonly traits: VgicTraits;
    };

export function evolveDevice(device: DeviceState, event: DeviceInput): void {
  switch (event.type) {
    case 'pci-config-written': {
      const { description, pci } = device;
      if (description.kind !== 'vfio-pci' || pci === null) return;
      device.pci = writtenConfig(description, pci, event.offset, event.size, event.value);
      guestWrote(device, description, event);
      return;
    }
    case 'pci-function-changed':
      changeFunction(device, event.change);
      return;
    case 'msix-raised':
    case 'msix-sent':
      evolveMsix(device, event);
      return;
    case 'mmio-window-opened': {
      const size = sizeOf(device, event.region);
      device.windows = [...device.windows, { vm: event.vm, region: event.region, gpa: event.gpa, size }];
      return;
    }
    case 'bar-assigned':
      device.bars = [...device.bars, event.bar];
      return;
    case 'bar-unmapped':
      unmapBar(device, event.vm, event.region);
      return;
    case 'bar-mapped':
      mapBar(device, event.vm, event.region, event.ipa, event.trapped);
      return;
    case 'vgic-initialised':
      device.vgics[event.vm] = initialVgic(event.vcpus, event.traits);
      return;
    case 'interrupt-line-changed':
      changeVgic(device, event.vm, (vgic) => injectIrq(vgic, event.cpu ?? 0, event.intid, event.level));
      return;
    case 'vgic-synced':
      changeVgic(device, event.vm, (vgic) => syncHwstate(vgic, event.cpu));
      return;
    case 'vgic-flushed':
      changeVgic(device, event.vm, (vgic) => flushHwstate(vgic, event.cpu));
      return;
    case 'vgic-register-accessed':
    case 'timer-written':
    case 'timer-condition-met':
    case 'timer-interrupt':
      changeVgic(device, event.vm, (vgic) => changedVgic(vgic, event));
      return;
    case 'device-interrupt':
      device.lines = { ...device.lines, [event.line]: event.level === true };
      return;
    case 'device-updated': {
      const region = device.regions[event.region];
      if (region !== undefined) region.registers[event.register] = event.value;
      return;
    }
    case 'device-read':
    case 'device-written':
      accessed(device, event);
      return;
    default:
      return;
  }
}

type VgicInput = Extract<
  DeviceEvent,
  { type: 'vgic-register-accessed' | 'timer-written' | 'timer-condition-met' | 'timer-interrupt' }
>;

function changedVgic(vgic: Vgic, event: VgicInput): Vgic {
  switch (event.type) {
    case 'vgic-register-accessed':
      return event.write === null ? vgic : writeUser(vgic, event, event.write);
    case 'timer-written': {
      const { enabled, masked, cval, met } = event;
      return changeTimer(vgic, event.cpu, { enabled, masked, cval, met });
    }
    case 'timer-condition-met':
      return changeTimer(vgic, event.cpu, { met: true });
    case 'timer-interrupt':
      return changeTimer(vgic, event.cpu, { active: true });
  }
}

const sizeOf = ({ description }: DeviceState, region: number): number =>
  region === PCI_CONFIG_REGION
    ? PCI_CONFIG_SIZE
    : (description.regions.find(({ index }) => index === region)?.size ?? 0);

/**
 * A reset clears registers and memory (PCIe 6.6.2); so does leaving D3hot, unless No_Soft_Reset is set. Config space
 * comes back as it was: the host saved it.
 */
function changeFunction(device: DeviceState, change: PciChange): void {
  const { description, pci } = device;
  if (change.kind === 'reset') device.regions = initialRegions(description);
  if (description.kind !== 'vfio-pci' || pci === null) {
    if (change.kind === 'command') device.memoryEnabled = (change.value & PCI_COMMAND_MEMORY) !== 0;
    return;
  }
  const wakes =
    change.kind === 'power' && change.state === 'D0' && powerStateOf(description, pci) === 'D3hot';
  const keeps = capabilityOf(description.function, 'pm')?.noSoftReset ?? true;
  if (wakes && !keeps) device.regions = initialRegions(description);
  device.pci = changedFunction(description, pci, change);
  device.memoryEnabled = claimsMemory(description, device.pci);
}

type AccessEvent = Extract<DeviceEvent, { readonly type: 'device-read' | 'device-written' }>;

function accessed(device: DeviceState, event: AccessEvent): void {
  const region = device.description.regions.find(({ index }) => index === event.region);
  const state = device.regions[event.region];
  if (region === undefined || state === undefined) return;
  if (device.description.kind === 'gicv2') {
    changeVgic(device, event.by.vm, (vgic) => afterGicAccess(device.description, vgic, event));
    return;
  }
  const register = region.registers.find(({ name }) => name === event.register) ?? null;
  const piece = { offset: event.offset, size: event.size, register };
  if (event.type === 'device-read') afterRead(state, piece);
  else afterWrite(region, state, piece, event.bytes);
}

function changeVgic(device: DeviceState, vm: number, change: (vgic: Vgic) => Vgic): void {
  const vgic = device.vgics[vm];
  if (vgic !== undefined) device.vgics[vm] = change(vgic);
}
