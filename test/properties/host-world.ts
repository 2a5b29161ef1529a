// Random hosts and what is done to them, drawn from few numbers: what matters for stage 2 is how addresses lie to
// pages and blocks, so that offsets are chosen around their edges.

import fc from 'fast-check';
import type { Ipa } from '../../src/arch/addresses.ts';
import type { Granule } from '../../src/arch/geometry.ts';
import { levelSize } from '../../src/arch/geometry.ts';
import { KERNELS } from '../../src/host/kernels.ts';
import type { VmaBacking } from '../../src/host/vma.ts';
import type { MachineOptions, TestMachine } from '../helpers/host.ts';
import { anon, GPU, hugetlb, machine, pfnmap } from '../helpers/host.ts';

export interface World {
  readonly kernel: string;
  readonly pageSize: Granule;
  readonly ipaBits: number;
  readonly cpu: {
    readonly fwb: boolean;
    readonly dic: boolean;
    readonly lpa2: boolean;
    readonly hardwareAccessFlag: boolean;
  };
  readonly thp: 'always' | 'madvise' | 'never';
  readonly capabilities: readonly (readonly [string, number])[];
  readonly areas: readonly AreaChoice[];
  readonly slots: readonly SlotChoice[];
  readonly operations: readonly Operation[];
}

/** Numbers are taken modulo the choices there are. */
export interface AreaChoice {
  readonly kind: number;
  readonly shift: number;
  readonly size: number;
  readonly paShift: number;
}

export interface SlotChoice {
  readonly area: number;
  readonly from: number;
  readonly shift: number;
  readonly flags: number;
}

export type Operation = readonly [code: number, where: number, offset: number, size: number, more: number];

const small = fc.nat(15);

const presets = KERNELS.map(({ name }) => name);

/** @param kernels names of presets to draw from */
export const worldOf = (kernels: readonly string[] = presets): fc.Arbitrary<World> =>
  fc.record({
    kernel: fc.constantFrom(...kernels),
    pageSize: fc.constantFrom<Granule>(4096, 4096, 4096, 4096, 4096, 4096, 4096, 16384, 16384, 65536),
    ipaBits: fc.constantFrom(36, 40, 44, 48),
    cpu: fc.record({
      fwb: fc.boolean(),
      dic: fc.boolean(),
      lpa2: fc.boolean(),
      hardwareAccessFlag: fc.boolean(),
    }),
    thp: fc.constantFrom('always', 'madvise', 'never'),
    capabilities: fc.subarray([
      ['KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE', 4096],
      ['KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2', 1],
      ['KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2', 3],
      ['KVM_CAP_ARM_NISV_TO_USER', 0],
    ] as const),
    areas: fc.array(fc.record({ kind: small, shift: small, size: small, paShift: small }), {
      minLength: 2,
      maxLength: 4,
    }),
    slots: fc.array(fc.record({ area: small, from: small, shift: small, flags: small }), {
      minLength: 2,
      maxLength: 4,
    }),
    operations: fc.array(fc.tuple(fc.nat(31), small, small, small, fc.nat(63)), {
      minLength: 6,
      maxLength: 22,
    }),
  }) as fc.Arbitrary<World>;

const HVA_BASE = 0x7f00_0000_0000;
const IPA_BASE = 2 ** 32;
const PA_BASE = 0x60_0000_0000;

export interface Area {
  readonly hva: number;
  readonly size: number;
  readonly backing: VmaBacking;
}

/** Distances, in bytes: mostly none, so that blocks come about; a page, half a block, a block and a page. */
const near = (page: number, block: number): readonly number[] => [
  ...[0, 0, 0, 0, 0, 0, 0],
  page,
  block / 2,
  block + page,
];

const pick = <T>(values: readonly T[], at: number): T => values[at % values.length] as T;

function backingOf(choice: AreaChoice, page: number, block: number, flagged: boolean): VmaBacking {
  const shift = pick(near(page, block), choice.shift) + pick(near(page, block), choice.paShift);
  const at = PA_BASE + 16 * block * (choice.kind % 4) + shift;
  const bar = { device: GPU, allowAnyUncached: flagged };
  return pick<VmaBacking>(
    [
      anon('default'),
      pfnmap('vfio-pci', at, bar),
      anon('hugepage'),
      pfnmap('vfio-platform', at),
      hugetlb(block),
      anon('nohugepage'),
      pfnmap('vfio-pci', at, { ...bar, allowAnyUncached: false }),
      pfnmap('devmem', at),
      hugetlb(16 * page),
      pfnmap('sysfs', at),
      pfnmap('vfio-pci', at, { ...bar, allowAnyUncached: false, cacheable: true }),
    ],
    choice.kind,
  );
}

export interface Layout {
  readonly page: number;
  readonly block: number;
  readonly areas: readonly Area[];
  /** What a slot would be if it were made: the fourth to eighth are places to move to. */
  slotOf(
    index: number,
    moved?: boolean,
  ): { readonly ipa: number; readonly size: number; readonly hva: number };
  readonly world: World;
}

/** @param flagged vfio-pci BARs carry VM_ALLOW_ANY_UNCACHED */
export function layoutOf(world: World, flagged: boolean): Layout {
  const page = world.pageSize;
  const block = levelSize(world.pageSize, 2);
  const areas = world.areas.map((choice, index): Area => {
    const backing = backingOf(choice, page, block, flagged);
    const step = backing.kind === 'hugetlb' ? backing.pageSize : page;
    const wanted = pick([2 * block, block + 3 * page, block / 2, 4 * page, 3 * block], choice.size);
    const shift = pick(near(page, block), choice.shift);
    const hva = HVA_BASE + index * 8 * block + Math.floor(shift / step) * step;
    return { hva, size: Math.max(1, Math.floor(wanted / step)) * step, backing };
  });
  return {
    page,
    block,
    areas,
    world,
    slotOf(index, moved = false) {
      const choice = pick(world.slots, index);
      const area = pick(areas, choice.area);
      const from = Math.min(pick(near(page, block), choice.from), area.size - page);
      const place = (index % world.slots.length) + (moved ? 4 : 0);
      const hva = area.hva + from;
      const ipa = IPA_BASE + place * 8 * block + (hva % block) + pick(near(page, block), choice.shift);
      return { ipa, size: area.size - from, hva };
    },
  };
}

/** Where the guest sees GICV: away from all slots. */
export const GICC = 0x0802_0000;

export function boot(
  { world, areas, slotOf }: Layout,
  options: Omit<MachineOptions, 'kernel'> & { readonly kernel?: string } = {},
): TestMachine {
  const { pageSize, thp, cpu, ipaBits, kernel } = world;
  const lpa2 = cpu.lpa2 && pageSize !== 65536;
  const gicv = { pa: 0x0804_0000, size: Math.max(0x2000, pageSize) };
  // With HCR_EL2.PTW a walk into Device memory never ends: walks here are reads like any other.
  const features = { ...options.features, protectedTableWalk: false };
  const m = machine({ kernel, pageSize, ipaBits, thp, gicv, cpu: { ...cpu, lpa2 }, ...options, features });
  for (const vm of m.vms) {
    for (const [cap, argument] of world.capabilities) vm.enable(cap, argument);
    vm.vgic({ version: 2, gicd: 0x0800_0000 as Ipa, gicc: GICC as Ipa });
    vm.run();
    for (const { hva, size, backing } of areas) vm.mmap(hva, size, backing);
    world.slots.forEach(({ flags }, index) => {
      vm.slot(index, slotOf(index), { readonly: flags === 1, logDirty: flags === 2 || flags === 3 });
    });
  }
  return m;
}

/** A place in [0, size) near its start, its end, or the edges of a block. */
export function offsetIn(size: number, page: number, block: number, choice: number): number {
  const edges = [0, page, 2 * page, block - page, block, block + page, size - page, block / 2, 5 * page];
  return Math.max(0, Math.min(size - page, pick(edges, choice)));
}
