// A BAR whose memslots follow the guest's config space, as the VM starts: its registers hold the address that firmware
// chose, and without memory enable it is nowhere yet (QEMU's vfio_pci_pre_reset() switches it off).

import type { DeviceDescription, VfioPciDescription } from '../devices/description.ts';
import { PCI_COMMAND_MEMORY } from '../devices/description.ts';
import type { AssignedBar } from '../devices/pci/assigned-bar.ts';
import { barWrites } from '../devices/pci/assigned-bar.ts';
import type { VmmCall } from '../host/calls.ts';
import type { MachineEvent } from './events.ts';
import type { Assignment, ConfigWindow, VmDefinition } from './scenario-definition.ts';

interface Placing {
  readonly assignment: Assignment;
  /** Number of the device's slice. */
  readonly device: number;
  readonly description: DeviceDescription;
  /** Where the VM's guest sees config space that its VMM follows; undefined for nowhere. */
  readonly config: ConfigWindow | undefined;
  readonly slots: readonly (VmmCall & { readonly kind: 'set-memslot' })[];
  readonly trapped: boolean;
}

export interface Followed {
  /** Memory enable is off: neither memslots nor a window yet. */
  readonly isOff: boolean;
  readonly events: readonly MachineEvent[];
}

const REGISTER = 4;
const FOUR_GIB = 2 ** 32;

/** @throws RangeError for an address that the BAR's registers cannot hold */
export function followedBar(vm: VmDefinition, placing: Placing): Followed {
  const { assignment, device, description, config, slots, trapped } = placing;
  const { region, ipa } = assignment;
  const bar = description.regions.find(({ index }) => index === region.index);
  if (config === undefined || description.kind !== 'vfio-pci' || bar?.space !== 'memory') {
    return { isOff: false, events: [] };
  }
  checkAddress(vm, assignment, bar.is64);
  const { virtualFunction } = description.function;
  const isOff = !virtualFunction && (description.command & PCI_COMMAND_MEMORY) === 0;
  const assigned: AssignedBar = {
    vm: vm.id,
    region: region.index,
    size: region.size,
    ipa: isOff ? null : ipa,
    last: ipa,
    slots: slots.map(({ slot, ipa: at, size, hva, readonly }) => {
      return { slot, offset: at - ipa, size, hva, readonly };
    }),
    trapped,
    memory: !isOff,
    power: 'D0',
    asleep: config.asleep,
  };
  const events = [
    { type: 'bar-assigned', device, bar: assigned } as const,
    ...written(description, assignment),
  ];
  return { isOff, events };
}

function checkAddress({ name }: VmDefinition, { region, ipa }: Assignment, is64: boolean): void {
  const place = `${region.name} at 0x${ipa.toString(16)} of VM '${name}'`;
  const fixed = "or let config() say bars: 'fixed'";
  if (ipa % region.size !== 0)
    throw new RangeError(
      `${place}: a BAR starts at a multiple of its ${region.size} bytes; move it, ${fixed}`,
    );
  if (!is64 && ipa + region.size > FOUR_GIB)
    throw new RangeError(`${place}: the BAR has 32 bits; move it below 4 GiB, ${fixed}`);
}

const written = (description: VfioPciDescription, { region, ipa }: Assignment): MachineEvent[] =>
  barWrites(description, region.index, ipa).map(({ offset, value }) => ({
    type: 'vfio-config-accessed',
    device: description.name,
    offset,
    size: REGISTER,
    write: BigInt(value),
  }));
