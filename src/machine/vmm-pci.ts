// Actions of a VMM on PCI functions: config space through vfio-pci (region 7), VFIO_DEVICE_RESET, and, for functions
// that a scenario varies to sysfs, setpci and the reset file.

import { PCI_COMMAND } from '../devices/pci/config-fields.ts';
import { readConfig, registerOffset } from '../devices/pci/config-space.ts';
import { POWER_STATES } from '../devices/pci/power.ts';
import type { DeviceState } from '../devices/state.ts';
import type { VmmOp, VmmResult } from './scenario-vmm.ts';
import type { Simulation } from './simulation.ts';

export type PciOp = Exclude<Extract<VmmOp, { readonly device: string }>, { readonly kind: 'device-sets' }>;

const EINVAL = 22;
const MEMORY = 0x2;
const BUS_MASTER = 0x4;
const PM_STATE_MASK = 0b11;
const WORD = 2;

/** What came of it: errno 0, or EINVAL where the device has no such thing. */
export function actOnPci(simulation: Simulation, op: PciOp): VmmResult {
  const id = simulation.state.devices.findIndex(({ description: { name } }) => name === op.device);
  const device = simulation.state.devices[id];
  if (device === undefined) return { errno: EINVAL };
  const { kind } = device.description;
  if (kind !== 'vfio-pci' && kind !== 'sysfs')
    return op.kind === 'pci-command' ? { errno: 0 } : { errno: EINVAL };
  switch (op.kind) {
    case 'pci-command':
      return command(simulation, device, op);
    case 'device-reset':
      simulation.dispatch({ type: 'pci-reset-asked', device: op.device, by: 'device-reset' });
      return { errno: 0 };
    case 'hot-reset':
      return hotReset(simulation, device, op.groups);
    case 'pci-power':
      return power(simulation, device, op);
    case 'config-read':
      return configRead(simulation, op);
    case 'config-write': {
      const { offset, size = 4, value } = op;
      return configWrite(simulation, op.device, offset, size, value);
    }
    case 'raise-msix':
      simulation.dispatch({ type: 'msix-raised', device: id, vector: op.vector });
      return { errno: 0 };
  }
}

/** vfio_pci_dev_set_hot_reset(): the caller has to own all that the bus carries. */
function hotReset(
  simulation: Simulation,
  { description }: DeviceState,
  groups: readonly string[],
): VmmResult {
  if (description.kind !== 'vfio-pci') return { errno: EINVAL };
  const { name, bus } = description;
  const along = simulation.state.devices.flatMap(({ description: other }) =>
    other.kind === 'vfio-pci' && bus !== undefined && other.bus === bus && other.name !== name
      ? [other.name]
      : [],
  );
  if (!along.every((other) => groups.includes(other))) return { errno: EINVAL };
  const rest = along.length === 0 ? {} : { along };
  simulation.dispatch({ type: 'pci-reset-asked', device: name, by: 'hot-reset', ...rest });
  return { errno: 0 };
}

function command(
  simulation: Simulation,
  { description, pci }: DeviceState,
  { memory, busMaster }: PciOp & { kind: 'pci-command' },
): VmmResult {
  const isVfio = description.kind === 'vfio-pci' && pci !== null;
  const before = isVfio ? readConfig(description, pci, PCI_COMMAND, WORD) : 0;
  const value = withBit(withBit(before, MEMORY, memory), BUS_MASTER, busMaster);
  if (isVfio) return configWrite(simulation, description.name, PCI_COMMAND, WORD, value);
  simulation.dispatch({ type: 'pci-command-written', device: description.name, value });
  return { errno: 0 };
}

const withBit = (value: number, bit: number, on: boolean | undefined): number =>
  on === undefined ? value : on ? value | bit : value & ~bit;

function power(
  simulation: Simulation,
  { description, pci }: DeviceState,
  { state }: PciOp & { kind: 'pci-power' },
): VmmResult {
  const offset = description.kind === 'vfio-pci' ? registerOffset(description, 'PM_CTRL') : null;
  if (description.kind !== 'vfio-pci' || pci === null || offset === null) return { errno: EINVAL };
  const before = readConfig(description, pci, offset, WORD);
  const value = (before & ~PM_STATE_MASK) | POWER_STATES.indexOf(state);
  return configWrite(simulation, description.name, offset, WORD, value);
}

function configWrite(
  simulation: Simulation,
  device: string,
  offset: number,
  size: number,
  value: number,
): VmmResult {
  const write = BigInt.asUintN(size * 8, BigInt(value));
  simulation.dispatch({ type: 'vfio-config-accessed', device, offset, size, write });
  return { errno: 0 };
}

/** A read is recorded like any other event; its value comes from there. */
function configRead(
  simulation: Simulation,
  { device, offset, size = 4 }: PciOp & { kind: 'config-read' },
): VmmResult {
  let value = 0;
  const subscription = simulation.bus.on('pci-config-read').subscribe((event) => {
    value += event.value * 2 ** ((event.offset - offset) * 8);
  });
  simulation.dispatch({ type: 'vfio-config-accessed', device, offset, size, write: null });
  subscription.unsubscribe();
  return { errno: 0, value };
}
