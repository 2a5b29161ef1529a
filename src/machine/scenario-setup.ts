// From a scenario's definition to the machine it describes: a host with its devices, and for each VM the calls of its
// VMM (mmap, KVM_SET_USER_MEMORY_REGION, KVM_CREATE_DEVICE) in the order in which QEMU makes them.

import type { Pa } from '../arch/addresses.ts';
import { alignUp } from '../arch/addresses.ts';
import type { CpuFeatures } from '../arch/cpu.ts';
import { ARCHITECTURAL } from '../arch/cpu.ts';
import type { Granule } from '../arch/geometry.ts';
import { stage2Geometry } from '../arch/geometry.ts';
import { STAGE_1_ON } from '../arch/stage1.ts';
import type { DeviceDescription } from '../devices/description.ts';
import { triggerOf } from '../devices/interrupt-wires.ts';
import type { VmmCall } from '../host/calls.ts';
import type { PcieErrors } from '../host/events.ts';
import type { KernelPreset } from '../host/kernels.ts';
import type { MachineEvent } from './events.ts';
import type { HvaSpace } from './layout.ts';
import { createHvaSpace } from './layout.ts';
import type { PlacedRegion } from './scenario-assign.ts';
import { assigned, configWindow, NO_MEMORY } from './scenario-assign.ts';
import type { Definition, VmDefinition } from './scenario-definition.ts';
import { RAM_IPA } from './scenario-definition.ts';

/** What of the host a run chooses. */
export interface HostOptions {
  readonly pageSize: Granule;
  readonly thp: 'always' | 'madvise' | 'never';
  readonly cpu: CpuFeatures;
  readonly pcieErrors: PcieErrors;
}

/** A current server processor that follows the architecture: FWB, hardware access flag, VHE, 48-bit IPAs. */
export const DEFAULT_CPU: CpuFeatures = {
  model: 'armv8.4-a',
  fwb: true,
  dic: false,
  lpa2: false,
  hardwareAccessFlag: true,
  vhe: true,
  ipaLimitBits: 48,
  departures: ARCHITECTURAL,
};

export interface Setup {
  readonly events: readonly MachineEvent[];
  readonly regions: readonly PlacedRegion[];
  readonly devices: readonly DeviceDescription[];
  /** First vCPU slice of each VM. */
  readonly firstVcpu: readonly number[];
}

/** The host's GICV, as `host-booted` has it. */
function gicvOf(devices: readonly DeviceDescription[]): { readonly pa: Pa; readonly size: number } | null {
  const region = devices.find(({ kind }) => kind === 'gicv2')?.regions[0];
  return region === undefined || region.pa === null ? null : { pa: region.pa, size: region.size };
}

/**
 * @param devices with their physical addresses
 * @throws RangeError if a VM asks for more bits of IPA than the host has
 */
export function setUp(
  definition: Definition,
  devices: readonly DeviceDescription[],
  kernel: KernelPreset,
  options: HostOptions,
): Setup {
  const lpa2 = options.cpu.lpa2 && kernel.features.lpa2;
  const events: MachineEvent[] = [
    {
      type: 'host-booted',
      kernel: kernel.name,
      features: kernel.features,
      cpu: { ...options.cpu, lpa2 },
      pageSize: options.pageSize,
      thp: options.thp,
      gicv: gicvOf(devices),
      pcieErrors: options.pcieErrors,
      ramContents: true,
    },
    ...devices.map((description, device): MachineEvent => ({ type: 'device-plugged', device, description })),
  ];
  const regions: PlacedRegion[] = [];
  const firstVcpu: number[] = [];
  let vcpu = 0;
  for (const vm of definition.vms) {
    firstVcpu.push(vcpu);
    const built = setUpVm(vm, vcpu, devices, kernel, { ...options, cpu: { ...options.cpu, lpa2 } });
    events.push(...built.events);
    regions.push(...built.regions);
    vcpu += vm.lastVcpu + 1;
  }
  return { events, regions, devices, firstVcpu };
}

interface Built {
  readonly events: MachineEvent[];
  readonly regions: PlacedRegion[];
}

function setUpVm(
  vm: VmDefinition,
  firstVcpu: number,
  devices: readonly DeviceDescription[],
  kernel: KernelPreset,
  options: HostOptions,
): Built {
  const { pageSize, cpu } = options;
  if (vm.ipaBits > cpu.ipaLimitBits) {
    throw new RangeError(`VM '${vm.name}': ${vm.ipaBits} bits of IPA; this host has ${cpu.ipaLimitBits}`);
  }
  const geometry = stage2Geometry({ granule: pageSize, ipaBits: vm.ipaBits, lpa2: cpu.lpa2 });
  const { id, name } = vm;
  const vcpus = vm.lastVcpu + 1;
  const events: MachineEvent[] = [
    { type: 'vm-created', vm: id, name, geometry, vcpus, capabilities: {} },
    ...Array.from({ length: vcpus }, (_, index): MachineEvent => {
      const stage1 = { controls: STAGE_1_ON, paBits: cpu.ipaLimitBits };
      return { type: 'vcpu-created', vm: id, vcpu: firstVcpu + index, index, stage1 };
    }),
  ];
  const call = (what: VmmCall): void => void events.push({ type: 'vmm-called', vm: id, call: what });
  for (const [cap, argument] of Object.entries(vm.capabilities)) call({ kind: 'enable-cap', cap, argument });
  if (vm.vgic !== null) call({ kind: 'create-vgic', vgic: vm.vgic });
  const space = createHvaSpace();
  ramCalls(vm, space, pageSize).forEach(call);
  const regions: PlacedRegion[] = gicRegions(vm, devices);
  // Slot 0 is RAM.
  let slot = 1;
  for (const assignment of vm.assignments) {
    const region = assigned(vm, assignment, slot, { devices, space, kernel, pageSize });
    regions.push(region.placed);
    events.push(...region.events);
    slot += Math.max(1, region.placed.slots.length);
  }
  wiringCalls(vm, devices).forEach(call);
  events.push(...vm.configs.map((config) => configWindow(vm.id, config, devices)));
  for (let index = 0; index < vcpus; index++)
    events.push({ type: 'vcpu-run', vm: id, vcpu: firstVcpu + index });
  return { events, regions };
}

/** Interrupts and eventfds, wired once the VM's devices are there. */
function wiringCalls({ name, interrupts, ioeventfds }: VmDefinition, devices: readonly DeviceDescription[]) {
  return [
    ...interrupts.map(({ device: wanted, line, spi: gsi }): VmmCall => {
      const device = devices.findIndex((it) => it.name === wanted);
      const description = devices[device];
      if (description === undefined) throw new RangeError(`VM '${name}': no device '${wanted}' is plugged`);
      const trigger = triggerOf(description, line) === 'level' ? 'resample' : 'edge';
      const by = description.kind === 'emulated' ? 'irq-line' : trigger;
      return { kind: 'irqfd', irqfd: { device, line, gsi, by } };
    }),
    ...ioeventfds.map((ioeventfd): VmmCall => ({ kind: 'ioeventfd', ioeventfd })),
  ];
}

/** Guest RAM: one anonymous mapping, one slot. */
function ramCalls(vm: VmDefinition, space: HvaSpace, pageSize: number): VmmCall[] {
  const size = alignUp(vm.ram, pageSize);
  const hva = space.map(size);
  const backing = { kind: 'anon', thp: 'default' } as const;
  return [
    { kind: 'mmap', hva, size, prot: 'read-write', backing },
    { kind: 'set-memslot', slot: 0, ipa: RAM_IPA, size, hva, readonly: false, logDirty: false },
  ];
}

/** The CPU interface of a vGICv2: no slot, KVM maps it at the first KVM_RUN. */
function gicRegions(vm: VmDefinition, devices: readonly DeviceDescription[]): PlacedRegion[] {
  const device = devices.findIndex(({ kind }) => kind === 'gicv2');
  const gicv = devices[device]?.regions[0];
  if (vm.vgic?.version !== 2 || gicv === undefined) return [];
  const { id, name: vmName, gicvName: name } = vm;
  const { index, size } = gicv;
  return [{ vm: id, vmName, name, kind: 'gicv', device, index, ipa: vm.vgic.gicc, size, ...NO_MEMORY }];
}
