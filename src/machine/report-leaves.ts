// Which leaves stage 2 got in the regions of a run, alike ones together, each with the rules that chose it and the
// types that accesses through it got.

import type { Pa } from '../arch/addresses.ts';
import { alignDown } from '../arch/addresses.ts';
import { encodeLeaf } from '../arch/descriptor.ts';
import type { Level } from '../arch/geometry.ts';
import { levelSize } from '../arch/geometry.ts';
import { describeMemoryType } from '../arch/memory-type.ts';
import { decodeMemAttr } from '../arch/stage2-memattr.ts';
import { BECAUSE } from '../host/because.ts';
import type { VmState } from '../host/state.ts';
import type { Recorded } from './events.ts';
import type { LeafReport, RegionReport } from './report.ts';
import type { PlacedRegion } from './scenario-assign.ts';
import type { Setup } from './scenario-setup.ts';
import type { Simulation } from './simulation.ts';

type OpenLeaf = { -readonly [Field in keyof LeafReport]: LeafReport[Field] } & { combined: string[] };

interface OpenRegion {
  readonly region: PlacedRegion;
  readonly leaves: Map<string, OpenLeaf>;
  /** By level and first IPA: the latest leaf there. */
  readonly at: Map<string, OpenLeaf>;
}

export interface LeafCollector {
  hear(event: Recorded): void;
  reports(): readonly RegionReport[];
}

/** MemAttr in the manual's words for the type it makes of Normal memory; `forced` is left to the rule that chose it. */
function describeMemAttr(memAttr: number, fwb: boolean): string {
  const [meaning] = decodeMemAttr(memAttr, fwb).outcomes;
  switch (meaning.type) {
    case 'Device':
      return describeMemoryType(meaning);
    case 'Normal': {
      const { inner, outer } = meaning;
      return inner === 'NC' && outer === 'NC' ? 'Normal Non-cacheable' : `Normal i${inner}-o${outer}`;
    }
    case 'force-non-cacheable':
      return 'Normal Non-cacheable';
    case 'force-write-back':
      return 'Normal iWB-oWB';
    case 'as-stage-1':
      return 'as stage 1';
  }
}

type Mapped = Recorded & { readonly type: 'stage2-mapped' | 'stage2-set' };

export function leafCollector(simulation: Simulation, setup: Setup): LeafCollector {
  const open = setup.regions.map((region): OpenRegion => ({ region, leaves: new Map(), at: new Map() }));
  const find = (vm: number, address: number): OpenRegion | undefined =>
    open.find(
      ({ region }) => region.vm === vm && address >= region.ipa && address < region.ipa + region.size,
    );
  return {
    hear(event) {
      if (event.type === 'stage2-mapped' || event.type === 'stage2-set') {
        const into = find(event.vm, event.ipa);
        const vm = simulation.state.vms[event.vm];
        if (into !== undefined && vm !== undefined)
          addLeaf(into, event, vm, simulation.state.host?.cpu.fwb === true);
      } else if (event.type === 'access-completed' && event.translation !== null) {
        const { level, pa, combined } = event.translation;
        const granule = simulation.state.vms[event.vm]?.geometry.granule ?? 4096;
        for (const { at } of open.filter(({ region }) => region.vm === event.vm)) {
          const leaf = at.get(`${level} ${alignDown(pa, levelSize(granule, level))}`);
          const words = describeMemoryType(combined.type);
          if (leaf !== undefined && !leaf.combined.includes(words)) leaf.combined.push(words);
        }
      }
    },
    reports: () =>
      open.map(({ region, leaves }) => {
        const { vmName: vm, name, ipa, size, kind } = region;
        return { vm, region: name, ipa, size, kind, leaves: [...leaves.values()] };
      }),
  };
}

function addLeaf(into: OpenRegion, event: Mapped, { geometry }: VmState, fwb: boolean): void {
  const { level, attributes, because, pa, ipa, seq } = event;
  const sizeBecause = event.type === 'stage2-mapped' ? event.sizeBecause : null;
  const { memAttr, read, write, xn } = attributes;
  const key = [level, memAttr, read, write, xn, because, sizeBecause].join(' ');
  const known = into.leaves.get(key);
  if (known !== undefined) known.count += 1;
  const leaf: OpenLeaf = known ?? {
    seq,
    ipa,
    pa,
    level,
    size: levelSize(geometry.granule, level),
    count: 1,
    memAttr,
    type: describeMemAttr(memAttr, fwb),
    read,
    write,
    exec: xn === 0,
    descriptor: encodeLeaf(geometry, level, { outputAddress: pa, attributes }),
    because,
    becauseText: BECAUSE[because],
    sizeBecause,
    combined: [],
  };
  into.leaves.set(key, leaf);
  into.at.set(placeOf(level, pa), leaf);
}

/** Leaves are looked up by where they lead: a translation says that, and its level. */
const placeOf = (level: Level, pa: Pa): string => `${level} ${pa}`;
