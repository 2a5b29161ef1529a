// Interrupt wires: what the registers of a device say about each, and the events when one changes. Messages (MSI) need
// no wire: whoever sends one emits `device-interrupt` itself.

import type { DeviceDescription, InterruptWire } from './description.ts';
import type { DeviceEvent } from './events.ts';
import type { DeviceState } from './state.ts';

/** Whether a wire is high: some status bit is set that the enable register lets through. */
function isHigh({ description, regions }: DeviceState, wire: InterruptWire): boolean {
  const region = description.regions.find(({ index }) => index === wire.region);
  const valueOf = (name: string): bigint =>
    regions[wire.region]?.registers[name] ??
    region?.registers.find((register) => register.name === name)?.reset ??
    0n;
  const status = valueOf(wire.status);
  return (wire.enable === null ? status : status & valueOf(wire.enable)) !== 0n;
}

/** Wires whose level is not what it was when they last changed. @param id number of the device's slice */
export function decideWires(device: DeviceState, id: number): DeviceEvent[] {
  return (device.description.interrupts ?? []).flatMap((wire): DeviceEvent[] => {
    const level = isHigh(device, wire);
    if (level === (device.lines[wire.name] ?? false)) return [];
    return [{ type: 'device-interrupt', device: id, line: wire.name, level }];
  });
}

/** How a driver treats a line; one without a wire is a message, an edge. */
export const triggerOf = ({ interrupts = [] }: DeviceDescription, line: string): InterruptWire['trigger'] =>
  interrupts.find(({ name }) => name === line)?.trigger ?? 'edge';
