import type { Recorded } from 'stagetwo';
import { describe, expect, it } from 'vitest';
import { loadBundle } from '../../src/trace/bundle/load.ts';
import { reportOf } from '../../src/trace/bundle/report.ts';
import { captureRun, digestOf, goldenDigests, keeping } from '../runs/runs.ts';
import { captureAt, captureNames } from './captures.ts';

const golden = goldenDigests();

describe('a capture of a real kernel', () => {
  it('of Linux 6.1 with VFIO BARs is predicted fault by fault and descriptor by descriptor', () => {
    const report = reportOf(loadBundle(captureAt('6.1-gicv3-max-vfio')));

    expect(report.faults).toEqual({ expected: 45, matched: 45, unexpected: 0 });
    expect(report.outcomes).toEqual({ expected: 407, matched: 407 });
    expect(report.dumps[0]).toEqual({ name: 'mapped', vm: 'vm0', leaves: 25, matched: 25, extra: 0 });
    expect(report.firstDivergence).toBeNull();
  });

  it.each(captureNames)('%s is predicted whole', (name) => {
    const events: Recorded[] = [];
    const { checked, firstDivergence, faults, outcomes, operations, dumps } = reportOf(
      loadBundle(captureAt(name)),
      undefined,
      keeping(events),
    );

    expect(digestOf(events), 'its golden run: if it should be different, npm run golden').toBe(
      golden.get(captureRun(name)),
    );
    expect(firstDivergence).toBeNull();
    expect(checked).toBe(true);
    expect(faults.matched).toBe(faults.expected);
    expect(faults.unexpected).toBe(0);
    expect(outcomes.matched).toBe(outcomes.expected);
    expect(operations.matched).toBe(operations.expected);
    expect(dumps.map(({ matched, extra }) => ({ matched, extra }))).toEqual(
      dumps.map(({ leaves }) => ({ matched: leaves, extra: 0 })),
    );
  });

  it('has answers worth the name: faults, outcomes, results of calls, and dumps', () => {
    const reports = captureNames.map((name) => loadBundle(captureAt(name)).expected);

    const faults = reports.flatMap((it) =>
      Object.values(it?.accesses ?? {}).flatMap((access) => access.faults),
    );
    const dumps = reports.flatMap((it) =>
      Object.values(it?.dumps ?? {}).flatMap((vms) => Object.values(vms)),
    );
    expect(captureNames).toHaveLength(42);
    expect(faults.length).toBeGreaterThan(7_000);
    expect(dumps.reduce((sum, { leaves }) => sum + leaves.length, 0)).toBeGreaterThan(12_000);
  });
});
