// A run as one JSON document: all that the story tells and every access and transaction behind it.

import type { ScenarioRun } from '../machine/report.ts';

/** @param withEvents every event in order; otherwise their number */
export function runDocument(run: ScenarioRun, withEvents: boolean) {
  const { scenario, kernel, seed, variant, ok, expectations, vms, regions, devices, schedule, stuck } = run;
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
    stuck,
    schedule,
    events: withEvents ? run.events : run.events.length,
  };
}
