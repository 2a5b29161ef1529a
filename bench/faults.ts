// The load that is measured: guest stores to fresh pages through the whole path (access, fault, policy, map, retry,
// complete), on one VM or on many.

import type { Pa } from '../src/arch/addresses.ts';
import { hva, ipa, va } from '../src/arch/addresses.ts';
import { ARCHITECTURAL } from '../src/arch/cpu.ts';
import { stage2Geometry } from '../src/arch/geometry.ts';
import { STAGE_1_ON } from '../src/arch/stage1.ts';
import { kernelPreset } from '../src/host/kernels.ts';
import { leafAttributes } from '../src/host/leaf.ts';
import type { Simulation } from '../src/machine/simulation.ts';

const PAGE = 4096;
const RAM = 2 ** 30;
const HOST = 2 ** 40;

const STORE = { isv: true, sas: 3, sse: false, srt: 1, sf: true, ar: false, wnr: true, cm: false } as const;

/** Prepares a host with VMs whose RAM of that many pages each nobody has touched. */
export function freshVms(simulation: Simulation, vms: number, pages: number): void {
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
  for (let vm = 0; vm < vms; vm++) freshVm(simulation, vm, pages);
}

function freshVm(simulation: Simulation, vm: number, pages: number): void {
  const geometry = stage2Geometry({ granule: PAGE, ipaBits: 40, lpa2: false });
  simulation.dispatch({ type: 'vm-created', vm, name: `vm${vm}`, geometry, vcpus: 1, capabilities: {} });
  const stage1 = { controls: STAGE_1_ON, paBits: 40 };
  simulation.dispatch({ type: 'vcpu-created', vm, vcpu: vm, index: 0, stage1 });
  const size = pages * PAGE;
  const backing = { kind: 'anon', thp: 'nohugepage' } as const;
  const mmap = { kind: 'mmap', hva: hva(HOST), size, prot: 'read-write', backing } as const;
  simulation.dispatch({ type: 'vmm-called', vm, call: mmap });
  const slot = { slot: 0, ipa: ipa(RAM), size, hva: hva(HOST), readonly: false, logDirty: false };
  simulation.dispatch({ type: 'vmm-called', vm, call: { kind: 'set-memslot', ...slot } });
}

/** Pages of RAM that are mapped already, as one split of a block would leave them. */
export function mapPages(simulation: Simulation, vm: number, count: number): void {
  if (count === 0) return;
  const pa = (2 ** 41) as Pa;
  const pte = { kind: 'page', pa, writable: true, young: true } as const;
  const pages = { vm, hva: hva(HOST), level: 3, count, pte, allocated: 0 } as const;
  simulation.dispatch({ type: 'host-pages-set', ...pages });
  const attributes = leafAttributes(true, { write: true, exec: false, type: 'normal' });
  simulation.dispatch({ type: 'stage2-split', vm, ipa: ipa(RAM), count, pa, attributes });
}

/** One store to each page of a range, by the only vCPU of a VM. */
export function storeToPages(simulation: Simulation, vm: number, first: number, count: number): void {
  for (let page = first; page < first + count; page++) {
    const address = RAM + page * PAGE;
    simulation.dispatch({
      type: 'access-issued',
      vm,
      vcpu: vm,
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
