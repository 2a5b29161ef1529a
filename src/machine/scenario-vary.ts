// The same story with other devices: pass-through devices change their kind and keep regions and addresses, so that
// one program shows what each kind of mapping gives. Also plugs the GICv2 that a vGICv2 needs.

import type { Ipa } from '../arch/addresses.ts';
import { ipa } from '../arch/addresses.ts';
import type { DeviceDescription } from '../devices/description.ts';
import { PCI_COMMAND_MEMORY } from '../devices/description.ts';
import { pciFunction } from '../devices/pci/function.ts';
import { gicv2 } from '../devices/plug.ts';
import type { VaryDevice } from './report.ts';
import type { Definition, MapAs, VmDefinition } from './scenario-definition.ts';

/** Where QEMU's virt machine has the distributor. */
const VIRT_GICD: Ipa = ipa(0x0800_0000);

/** The same device, regions and addresses behind another driver. */
export function withDriver(device: DeviceDescription, driver: MapAs): DeviceDescription {
  const { name, regions, interrupts } = device;
  const same = { name, regions, ...(interrupts === undefined ? {} : { interrupts }) };
  if (driver !== 'vfio-pci') return { kind: driver, ...same };
  if (device.kind === 'vfio-pci') return device;
  const described = pciFunction(name, {}, new Map(regions.map(({ index, size }) => [index, size])));
  return { kind: driver, ...same, command: PCI_COMMAND_MEMORY, function: described };
}

const isPassThrough = ({ kind }: DeviceDescription): boolean => kind !== 'emulated' && kind !== 'gicv2';

/**
 * The definition with its pass-through devices of that kind. With `gicv` the first of them becomes the host's GICv2:
 * what VMs have of its first region is GICV.
 * @throws RangeError for `gicv` if there is a GICv2 or another interrupt controller already
 */
export function varied(definition: Definition, kind: VaryDevice | undefined): Definition {
  if (kind === undefined) return withHostGic(definition);
  if (kind === 'gicv') return asGicv(definition);
  const devices = definition.devices.map((device) =>
    isPassThrough(device) ? withDriver(device, kind) : device,
  );
  const vms = definition.vms.map((vm) => ({
    ...vm,
    assignments: vm.assignments.map((assignment) => ({ ...assignment, as: null })),
  }));
  return withHostGic({ ...definition, devices, vms });
}

/** A vGICv2 needs GICV in the host: plugged if the scenario did not. */
function withHostGic(definition: Definition): Definition {
  const needed = definition.vms.some(({ vgic }) => vgic?.version === 2);
  if (!needed || definition.devices.some((device) => device.kind === 'gicv2')) return definition;
  return { ...definition, devices: [...definition.devices, gicv2()] };
}

function asGicv(definition: Definition): Definition {
  const replaced = definition.devices.find(isPassThrough);
  if (replaced === undefined) {
    throw new RangeError(`scenario '${definition.name}' has no pass-through device that could become GICV`);
  }
  if (definition.devices.some((device) => device.kind === 'gicv2')) {
    throw new RangeError(`scenario '${definition.name}' has a GICv2 already; no device can become one`);
  }
  const devices = definition.devices.map((device) => (device === replaced ? gicv2(device.name) : device));
  return { ...definition, devices, vms: definition.vms.map((vm) => withGicv(vm, replaced)) };
}

/** The first region of the replaced device that the VM has becomes its GICC frame; the others are nowhere. */
function withGicv(vm: VmDefinition, replaced: DeviceDescription): VmDefinition {
  const [first] = vm.assignments.filter(({ region }) => region.device === replaced.name);
  if (first === undefined) return vm;
  if (vm.vgic !== null) throw new RangeError(`VM '${vm.name}' has an interrupt controller already`);
  return {
    ...vm,
    vgic: { version: 2, gicd: VIRT_GICD, gicc: first.ipa },
    gicvName: first.region.name,
    assignments: vm.assignments.filter(({ region }) => region.device !== replaced.name),
    configs: vm.configs.filter(({ device }) => device !== replaced.name),
  };
}
