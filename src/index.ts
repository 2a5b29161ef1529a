// The public API, and all that a scenario imports: the scenario itself, guest attributes, devices, kernels, runs and
// their records, and the rules of the architecture for whoever only asks what two stages come to.

export type { AttributeOutcome, CombinedType, CombineInput } from './arch/combine.ts';
// The architecture: combining, what a type permits, and registers and descriptors in words.
export { combine, combineAttributes, latitudeOf } from './arch/combine.ts';
export type { CpuFeatures } from './arch/cpu.ts';
export { decodeDescriptor, encodeLeaf } from './arch/descriptor.ts';
export { decodeEsr, encodeAbort } from './arch/esr.ts';
export { describeEsr } from './arch/esr-words.ts';
export { levelSize, stage2Geometry } from './arch/geometry.ts';
export { decodeHpfar, encodeHpfar, hpfarValid } from './arch/hpfar.ts';
export { decodeMair, encodeMair } from './arch/mair.ts';
export type { MemoryType } from './arch/memory-type.ts';
export { describeMemoryType } from './arch/memory-type.ts';
export { decodePar, encodePar } from './arch/par.ts';
export type { AlignmentFault, Permissions } from './arch/permits.ts';
export { alignmentFault, permits } from './arch/permits.ts';
export { stage1FromMair } from './arch/stage1.ts';
export { decodeMemAttr } from './arch/stage2-memattr.ts';
export type { DeviceDescription } from './devices/description.ts';
// Devices, and models of real ones.
export { bochsDisplay } from './devices/models/bochs-display.ts';
export { connectx } from './devices/models/connectx.ts';
export { e1000e } from './devices/models/e1000e.ts';
export { graceHopper } from './devices/models/grace-hopper.ts';
export { nvme } from './devices/models/nvme.ts';
export { devMem, emulated, gicv2, sysfsPci, vfioPci, vfioPlatform } from './devices/plug.ts';
export type { RegisterInput } from './devices/register.ts';
export type { BusRequest, LinkLimits, Tlp } from './devices/tlp.ts';
export { tlpsOf } from './devices/tlp.ts';
export type { AtomicOptions } from './guest/instruction.ts';
export type { GuestAddress, Mappable, Mapping, Stage1Attribute } from './guest/mapping.ts';
// Guests: what stage 1 maps as what, and what programs can do.
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
export type { Cpu, GuestAbort, GuestProgram, OpResult, Signal, Steps, Vectors } from './guest/operations.ts';
export type { TableMapping, TablePlan, TablesInput } from './guest/table-plan.ts';
export { stage1Tables } from './guest/table-plan.ts';
export type { Because } from './host/because.ts';
export { BECAUSE } from './host/because.ts';
export type { KernelFeatures } from './host/kernel-features.ts';
export type { KernelPreset } from './host/kernels.ts';
// Kernels, and the rules by which they decide.
export { KERNELS, kernelPreset } from './host/kernels.ts';
export type { MachineEvent, Recorded } from './machine/events.ts';
export type { Check, DiedWanted, LeafWanted, ReceivedWanted, RunFacts, SawWanted } from './machine/expect.ts';
// Scenarios.
export { check } from './machine/expect.ts';
// The hunt for behaviours that break an expectation.
export type { Attempt, Decision, Hunted, HuntOptions, Script } from './machine/hunt.ts';
export { hunt } from './machine/hunt.ts';
export type { Finding } from './machine/hunt-shrink.ts';
export { shrink } from './machine/hunt-shrink.ts';
export type {
  AccessReport,
  Death,
  DeviceReport,
  ExpectationResult,
  LeafReport,
  RegionReport,
  ScenarioRun,
  TransactionReport,
  Variant,
  VaryDevice,
  VcpuReport,
  VmReport,
} from './machine/report.ts';
export { VARY_DEVICES } from './machine/report.ts';
export type { RunOptions } from './machine/runner.ts';
// Runs and records.
export { runScenario } from './machine/runner.ts';
export type { Asked, Expect, HostBuilder, Outline, Scenario, Story, When } from './machine/scenario.ts';
export { kernelsBefore, kernelsFrom, outline, scenario } from './machine/scenario.ts';
export type { RegionRef } from './machine/scenario-definition.ts';
export type {
  AssignOptions,
  DeviceHandle,
  RegionHandle,
  VcpuHandle,
  VmHandle,
  VmOptions,
} from './machine/scenario-handles.ts';
export type { Vmm, VmmProgram } from './machine/scenario-vmm.ts';
export type { MachineState } from './machine/state.ts';
export type { Bisection, BisectOptions, Property } from './record/bisect.ts';
export type { Branching } from './record/branch.ts';
export { branch } from './record/branch.ts';
export type { Difference } from './record/difference.ts';
export type { JournalTimelineOptions } from './record/journal-timeline.ts';
export { timelineOfJournal } from './record/journal-timeline.ts';
export type { Timeline, TimelineOptions } from './record/timeline.ts';
export { record, timelineOf } from './record/timeline.ts';
export type { Link, Why } from './record/why.ts';
