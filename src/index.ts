// The public API: scenarios, devices, guest programs, kernels, runs and records, and the architecture's own rules.

export { combine, combineAttributes } from './arch/combine.ts';
export { describeMemoryType } from './arch/memory-type.ts';
export { permits } from './arch/permits.ts';
export { emulated, devMem, gicv2, sysfsPci, vfioPci, vfioPlatform } from './devices/plug.ts';
export {
  deviceGRE,
  deviceNGnRE,
  deviceNGnRnE,
  deviceNGRE,
  executable,
  normalWriteBack,
  normalWriteThrough,
  writeCombining,
} from './guest/mapping.ts';
export type { Cpu, GuestProgram } from './guest/program.ts';
export { KERNELS, kernelPreset } from './host/kernels.ts';
export { check } from './machine/expect.ts';
export type { ScenarioRun, Variant } from './machine/report.ts';
export { runScenario } from './machine/runner.ts';
export { outline, scenario } from './machine/scenario.ts';
export type { Scenario } from './machine/scenario.ts';
