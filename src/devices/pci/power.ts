// Power states of a function: which there are, and from which to which it goes.

import type { PmCapability } from './function.ts';

/** PMCSR.PowerState 0 to 3. */
export const POWER_STATES = ['D0', 'D1', 'D2', 'D3hot'] as const;

export type PowerState = (typeof POWER_STATES)[number];

/**
 * pci_set_low_power_state(): D0 from anywhere, and else only deeper, to a state that the function has (PCI PM 1.2,
 * 5.1).
 */
export const isTransition = (pm: PmCapability, from: PowerState, to: PowerState): boolean => {
  if (to === 'D0') return true;
  if (POWER_STATES.indexOf(to) < POWER_STATES.indexOf(from)) return false;
  return to === 'D3hot' || (to === 'D1' ? pm.d1 === true : pm.d2 === true);
};
