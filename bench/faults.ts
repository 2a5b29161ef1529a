// Faults per second: guest stores to fresh pages through the whole path (access, fault, policy, map, retry,
// complete), measured by CPU time and by wall time. Prints medians with their spread.

import { cpuUsage, hrtime } from 'node:process';
import { hva, ipa, va } from '../src/arch/addresses.ts';
import { ARCHITECTURAL } from '../src/arch/cpu.ts';
import { stage2Geometry } from '../src/arch/geometry.ts';
import { STAGE_1_ON } from '../src/arch/stage1.ts';
import { kernelPreset } from '../src/host/kernels.ts';
import type { Simulation } from '../src/machine/simulation.ts';
import { createSimulation } from '../src/machine/simulation.ts';

const PAGE = 4096;
const RAM = 2 ** 30;
const HOST = 2 ** 40;

const STORE = { isv: true, sas: 3, sse: false, srt: 1, sf: true, ar: false, wnr: true, cm: false } as const;

/** A host with one VM whose RAM of that many pages nobody has touched. */
export function freshVm(state: 'immer' | 'plain', pages: number): Simulation {
  const simulation = createSimulation({ state });
  const { features } = kernelPreset('6.12') ?? { features: null };
  if (features === null) throw new Error('there is no preset 6.12');
  simulation.dispatch({
    type: 'host-booted',
    kernel: '6.12',
    features,
    cpu: {
      model: 'max',
      fwb: true,
      dic: false,
      lpa2: false,
      hardwareAccessFlag: true,
      vhe: true,
      ipaLimitBits: 48,
      departures: ARCHITECTURAL,
    },
    pageSize: PAGE,
    thp: 'always',
    gicv: null,
  });
  const geometry = stage2Geometry({ granule: PAGE, ipaBits: 40, lpa2: false });
  simulation.dispatch({ type: 'vm-created', vm: 0, name: 'vm0', geometry, vcpus: 1, capabilities: {} });
  const stage1 = { controls: STAGE_1_ON, paBits: 40 };
  simulation.dispatch({ type: 'vcpu-created', vm: 0, vcpu: 0, index: 0, stage1 });
  const size = pages * PAGE;
  const backing = { kind: 'anon', thp: 'nohugepage' } as const;
  const mmap = { kind: 'mmap', hva: hva(HOST), size, prot: 'read-write', backing } as const;
  simulation.dispatch({ type: 'vmm-called', vm: 0, call: mmap });
  const slot = { slot: 0, ipa: ipa(RAM), size, hva: hva(HOST), readonly: false, logDirty: false };
  simulation.dispatch({ type: 'vmm-called', vm: 0, call: { kind: 'set-memslot', ...slot } });
  return simulation;
}

/** One store to each page of a range. */
export function storeToPages(simulation: Simulation, first: number, count: number): void {
  for (let page = first; page < first + count; page++) {
    const address = RAM + page * PAGE;
    simulation.dispatch({
      type: 'access-issued',
      vm: 0,
      vcpu: 0,
      access: {
        id: page,
        kind: 'write',
        size: 8,
        va: va(address),
        ipa: ipa(address),
        stage1: { attr: 0xff, sh: 3 },
        syndrome: STORE,
      },
    });
  }
}

interface Figure {
  readonly name: string;
  readonly cpu: readonly number[];
  readonly wall: readonly number[];
}

function measure(name: string, rounds: number, faults: number, run: () => () => void): Figure {
  const cpu: number[] = [];
  const wall: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const work = run();
    const cpuBefore = cpuUsage();
    const wallBefore = hrtime.bigint();
    work();
    const wallNs = Number(hrtime.bigint() - wallBefore);
    const { user, system } = cpuUsage(cpuBefore);
    cpu.push((faults / (user + system)) * 1e6);
    wall.push((faults / wallNs) * 1e9);
  }
  return { name, cpu, wall };
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

const grouped = (value: number): string => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');

const spread = (values: readonly number[]): string =>
  `${grouped(median(values))} (${grouped(Math.min(...values))} to ${grouped(Math.max(...values))})`;

const FAULTS = Number(process.argv[2] ?? 50_000);

const figures = (['immer', 'plain'] as const).map((state) =>
  measure(`${state} faults per second`, 5, FAULTS, () => {
    const simulation = freshVm(state, FAULTS);
    return () => storeToPages(simulation, 0, FAULTS);
  }),
);

for (const { name, cpu, wall } of figures) {
  console.log(`${name.padEnd(28)} CPU ${spread(cpu)}   wall ${spread(wall)}`);
}
