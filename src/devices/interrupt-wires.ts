// Interrupt wires: what the registers of a device say about each, and the events when one changes. Messages (MSI) need
// no wire: whoever sends one emits `device-interrupt` itself.

import type { DeviceDescription, InterruptWire, Region } from './description.ts';
import type { DeviceEvent } from './events.ts';
import type { DeviceState } from './state.ts';

/** An interrupt wire, high while an enabled bit of its status register is set. */
export interface InterruptInput {
  /** `INTA`, `irq0`. */
  readonly name: string;
  /** `level` unless given. */
  readonly trigger?: 'level' | 'edge';
  /** Number of the region (BAR) with both registers; 0 unless given. */
  readonly region?: number;
  /** Name of the status register. */
  readonly status: string;
  /** Name of the register whose set bits let status bits through; all pass unless given. */
  readonly enable?: string;
}

/**
 * The wires of a device that is plugged; no field for none.
 * @throws RangeError for two wires of one name, and for a register that the region does not have
 */
export function wiresFrom(
  device: string,
  inputs: readonly InterruptInput[] = [],
  regions: readonly Region[],
): { readonly interrupts?: readonly InterruptWire[] } {
  const interrupts = inputs.map(({ name, trigger = 'level', region = 0, status, enable = null }) => {
    const registers = regions.find(({ index }) => index === region)?.registers ?? [];
    for (const wanted of [status, ...(enable === null ? [] : [enable])]) {
      if (registers.some((register) => register.name === wanted)) continue;
      throw new RangeError(
        `device '${device}', interrupt ${name}: region ${region} has no register ${wanted}`,
      );
    }
    return { name, trigger, region, status, enable };
  });
  if (new Set(interrupts.map(({ name }) => name)).size < interrupts.length) {
    throw new RangeError(`device '${device}' has two interrupts of one name; give each its own`);
  }
  return interrupts.length === 0 ? {} : { interrupts };
}

/** Whether a wire is high: some status bit is set that the enable register lets through. */
function isHigh({ description, regions }: DeviceState, wire: InterruptWire): boolean {
  const region = description.regions.find(({ index }) => index === wire.region);
  const register = (name: string): bigint =>
    regions[wire.region]?.registers[name] ?? region?.registers.find((it) => it.name === name)?.reset ?? 0n;
  const status = register(wire.status);
  return (wire.enable === null ? status : status & register(wire.enable)) !== 0n;
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
