// A run as one JSON document: all that the story tells and every access and transaction behind it.

import type { ScenarioRun } from '../machine/report.ts';
import { deviceTlps } from './tlp-report.ts';

/**
 * @param withEvents every event in order; otherwise their number
 * @param withTlp the PCI Express packets of each PCI function, too
 */
export function runDocument(run: ScenarioRun, withEvents: boolean, withTlp = false) {
  const { scenario, kernel, seed, variant, ok, expectations, vms, regions, devices } = run;
  const { eventfds, schedule, stuck } = run;
  return {
    scenario,
    kernel,
    seed,
    variant,
    ok,
    expectations,
    vms,
    regions,
    devices,
    eventfds,
    ...(withTlp ? { tlps: deviceTlps(run) } : {}),
    stuck,
    schedule,
    events: withEvents ? run.events : run.events.length,
  };
}
