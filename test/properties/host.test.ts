import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { levelSize } from '../../src/arch/geometry.ts';
import { KERNELS } from '../../src/host/kernels.ts';
import type { TestMachine } from '../helpers/host.ts';
import { featuresOf } from '../helpers/host.ts';
import { twice } from '../helpers/twice.ts';
import type { Watcher } from './host-invariants.ts';
import { incoherent, watch } from './host-invariants.ts';
import { runWorld as runOnce } from './host-operations.ts';
import type { World } from './host-world.ts';
import { layoutOf, worldOf } from './host-world.ts';
import { digest } from './state-digest.ts';

/** `STAGETWO_FUZZ` is how many times as many cases to run; `STAGETWO_SEED` another seed. */
const { STAGETWO_FUZZ = '1', STAGETWO_SEED = '20240224' } = process.env;
const FACTOR = Number(STAGETWO_FUZZ);
const runs = (numRuns: number) => ({ numRuns: numRuns * FACTOR, seed: Number(STAGETWO_SEED) });
const TIMEOUT = 120_000 * FACTOR;

/** One world in ten is run again, to the same events. */
const runWorld = twice(runOnce, ({ m }) => m.log);

/** VFIO BARs carry the flag if this kernel's vfio-pci sets it. */
const layout = (world: World) => layoutOf(world, featuresOf(world.kernel).vfioPciAllowsAnyUncached);

const seen = new Map<string, number>();

/** Runs the world under watch; breaches of the rules, in words. */
function breachesOf(world: World, vms = 1): readonly string[] {
  let watcher: Watcher | undefined;
  const problems: string[] = [];
  const after = ({ m }: { m: TestMachine }) => problems.push(...incoherent(m));
  const run = runWorld(layout(world), { state: 'plain', vms, after }, (m) => {
    watcher = watch(m);
  });
  for (const [type, count] of watcher?.seen ?? []) seen.set(type, (seen.get(type) ?? 0) + count);
  if (run.m.simulation.state.vcpus.some(({ pending }) => pending !== null))
    problems.push('an access is pending');
  return [...(watcher?.breaches ?? []), ...problems];
}

describe('a random host', () => {
  it(
    'keeps the rules of stage 2 at every event, under every kernel',
    () => {
      fc.assert(
        fc.property(worldOf(), (world) => {
          expect(breachesOf(world)).toEqual([]);
        }),
        runs(9_000),
      );
    },
    TIMEOUT,
  );

  it('reached what there is to reach', () => {
    const wanted = [
      'abort-injected',
      'access-flag-set',
      'dirty-log-changed',
      'fault-retried',
      'instruction-skipped',
      'memslot-deleted',
      'mmio-exited',
      'nisv-exited',
      'notifier-aged',
      'run-failed',
      'stage1-faulted',
      'stage2-broken',
      'stage2-made-young',
      'stage2-relaxed',
      'stage2-set',
      'stage2-split',
      'stage2-write-protected',
      'vfio-vma-unlisted',
    ];
    expect(wanted.filter((type) => !seen.has(type))).toEqual([]);
  });

  it(
    'gives two VMs no page in common',
    () => {
      fc.assert(
        fc.property(worldOf(), (world) => {
          const { m } = runWorld(layout(world), { state: 'plain', vms: 2 });
          expect(sharedPages(m)).toEqual([]);
        }),
        runs(300),
      );
    },
    TIMEOUT,
  );

  it(
    'does the same again when asked the same',
    () => {
      fc.assert(
        fc.property(worldOf(), (world) => {
          const first = runOnce(layout(world), { state: 'plain' }).m.log;
          expect(runOnce(layout(world), { state: 'plain' }).m.log).toEqual(first);
        }),
        runs(200),
      );
    },
    TIMEOUT,
  );

  it(
    'is in the same state after every event, on a plain object and on Immer',
    () => {
      fc.assert(
        fc.property(worldOf(), (world) => {
          const states: string[] = [];
          const note = (m: TestMachine) =>
            m.simulation.bus.all.subscribe(() => states.push(digest(m.simulation.state)));
          runOnce(layout(world), { state: 'immer' }, note);
          const onImmer = states.splice(0);
          runOnce(layout(world), { state: 'plain' }, note);
          expect(states).toEqual(onImmer);
        }),
        runs(100),
      );
    },
    TIMEOUT,
  );
});

/** Where the host's allocator begins. BARs lie below it: two VMs may map one, and it may be cacheable. */
const HOST_RAM = 2 ** 40;

/** Host pages of RAM that a leaf of each VM may write. */
function sharedPages(m: TestMachine): string[] {
  const spans = m.simulation.state.vms.flatMap(({ table, geometry }, vm) =>
    [...table.leaves()]
      .filter(({ leaf }) => leaf.attributes.write && leaf.outputAddress >= HOST_RAM)
      .map(({ leaf, level }) => ({
        vm,
        start: leaf.outputAddress,
        size: levelSize(geometry.granule, level),
      })),
  );
  return spans.flatMap((a) =>
    spans
      .filter((b) => a.vm < b.vm && a.start < b.start + b.size && b.start < a.start + a.size)
      .map((b) => `0x${a.start.toString(16)} and 0x${b.start.toString(16)}`),
  );
}

describe('a kernel preset', () => {
  const before = KERNELS.filter(({ features }) => !features.normalNcForAnyUncached).map(({ name }) => name);

  it(
    'before 6.9 maps whatever is not RAM as Device-nGnRE, whatever the VMA says',
    () => {
      fc.assert(
        fc.property(worldOf(before), (world) => {
          const { m } = runWorld(layoutOf(world, true), { state: 'plain' });
          const types = m.log.flatMap((event) =>
            event.type === 'stage2-mapped' && event.because !== 'ram' ? [event.attributes.memAttr] : [],
          );
          expect(types.filter((memAttr) => memAttr !== 1)).toEqual([]);
        }),
        runs(300),
      );
    },
    TIMEOUT,
  );

  it(
    'with Normal-NC differs from the same kernel without it only where the VMA has the flag',
    () => {
      fc.assert(
        fc.property(worldOf(['6.9', '6.12', '6.13']), (world) => {
          const options = { state: 'plain', misaligned: false } as const;
          const features = { normalNcForAnyUncached: false };
          const withNc = runWorld(layoutOf(world, true), options).m.log.filter(isMapped);
          const without = runWorld(layoutOf(world, true), { ...options, features }).m.log.filter(isMapped);
          expect(withNc.length).toBe(without.length);
          withNc.forEach((made, index) => {
            const other = without[index];
            const flagged = made.because === 'vma-allows-any-uncached';
            const memAttr = flagged ? 1 : made.attributes.memAttr;
            const expected = {
              ...made,
              attributes: { ...made.attributes, memAttr },
              because: other?.because,
            };
            expect(other).toEqual(expected);
          });
        }),
        runs(200),
      );
    },
    TIMEOUT,
  );
});

type Logged = TestMachine['log'][number];
const isMapped = (event: Logged): event is Logged & { type: 'stage2-mapped' } =>
  event.type === 'stage2-mapped';
