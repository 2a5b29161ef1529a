// Memory enable, power state and reset of a PCI function: vfio-pci zaps its mappings first and changes the function
// then, with memory_lock held (vfio_basic_config_write, vfio_lock_and_set_power_state, vfio_pci_ioctl_reset).

import type { PciChange } from '../devices/pci/config-space.ts';
import { decideZap } from '../host/decide.ts';
import type { PciInput } from '../host/events.ts';
import type { HostState } from '../host/state.ts';
import type { MachineEvent } from './events.ts';
import type { MachineState } from './state.ts';
import { withDrains } from './translation-drain.ts';

/** @param host after the event: it knows what is off or asleep from now on */
export function decidePci(state: MachineState, host: HostState, event: PciInput): readonly MachineEvent[] {
  const zapped = decideZap(host, state.vms, event);
  const events = withDrains(state, zapped);
  // A drained store needs one more turn to arrive; the function changes behind it.
  const type = events.length > zapped.length ? 'pci-change-due' : 'pci-function-changed';
  const along = event.type === 'pci-reset-asked' ? (event.along ?? []) : [];
  const names = [event.device, ...along];
  const changed = state.devices.flatMap(({ description: { name, kind } }, device): MachineEvent[] =>
    names.includes(name) && (kind === 'vfio-pci' || kind === 'sysfs')
      ? [{ type, device, change: changeOf(event) }]
      : [],
  );
  return [...events, ...changed];
}

function changeOf(event: PciInput): PciChange {
  switch (event.type) {
    case 'pci-command-written':
      return { kind: 'command', value: event.value };
    case 'pci-power-written':
      return { kind: 'power', state: event.state };
    case 'pci-reset-asked':
      return { kind: 'reset' };
  }
}
