// A check that nothing can fail proves nothing: answers that were changed in one place are found, at that
// place.

import { describe, expect, it } from 'vitest';
import type { Bundle } from '../../src/trace/bundle/load.ts';
import { loadBundle } from '../../src/trace/bundle/load.ts';
import type { ReplayReport } from '../../src/trace/bundle/report.ts';
import { reportOf } from '../../src/trace/bundle/report.ts';
import type { BundleExpected } from '../../src/trace/bundle/schema.ts';
import { captureAt } from './captures.ts';

const untouched = loadBundle(captureAt('6.12-gicv3-max-nolpa2-vfio'));

/** The report of the capture with other answers. */
function replayed(tamper: (expected: BundleExpected) => void): ReplayReport {
  const expected = structuredClone(untouched.expected) as BundleExpected;
  tamper(expected);
  return reportOf({ ...untouched, expected } satisfies Bundle);
}

function leafOf(expected: BundleExpected, dump: string, ipa: number) {
  const leaf = expected.dumps[dump]?.vm0?.leaves.find((it) => it.ipa === ipa);
  if (leaf === undefined) throw new Error(`the capture has no leaf ${ipa.toString(16)} in ${dump}`);
  return leaf;
}

function accessOf(expected: BundleExpected, id: number) {
  const access = expected.accesses[String(id)];
  if (access === undefined) throw new Error(`the capture has no access ${id}`);
  return access;
}

describe('answers changed in one place', () => {
  it.each([0, 2, 4, 7, 8, 10, 12, 21, 54])(
    'one leaf with bit %i of its descriptor flipped is the only difference',
    (bit) => {
      const report = replayed((expected) => {
        const leaf = leafOf(expected, 'mapped', 0x1000_0000);
        leaf.desc = `0x${(BigInt(leaf.desc) ^ (1n << BigInt(bit))).toString(16)}`;
      });

      expect(report.divergences).toBe(1);
      expect(report.firstDivergence?.where).toBe('dump mapped of vm0');
      expect(report.firstDivergence?.expected).toContain('leaf 0x10000000 level 2');
    },
  );

  it('a leaf that the kernel did not have', () => {
    const report = replayed((expected) => {
      expected.dumps.mapped?.vm0?.leaves.push({ ipa: 0x7000_0000, level: 3, desc: '0x400000000007c7' });
    });

    expect(report.firstDivergence?.expected).toContain('leaf 0x70000000 level 3');
    expect(report.firstDivergence?.predicted).toContain('no leaf');
  });

  it('a leaf that the kernel lacked', () => {
    const report = replayed((expected) => {
      const leaves = expected.dumps.mapped?.vm0?.leaves;
      leaves?.splice(
        leaves.findIndex(({ ipa }) => ipa === 0x1000_0000),
        1,
      );
    });

    expect(report.dumps[0]?.extra).toBe(1);
    expect(report.divergences).toBe(1);
  });

  it('a table page that the kernel did not have', () => {
    const report = replayed((expected) => {
      expected.dumps.mapped?.vm0?.tables.push({ ipa: 0x3000_0000, level: 2 });
    });

    expect(report.firstDivergence?.expected).toBe('table 0x30000000 level 2');
  });

  it.each(['esr', 'ipa', 'far'] as const)('one bit of %s of one fault', (field) => {
    const report = replayed((expected) => {
      const [fault] = accessOf(expected, 21).faults;
      if (fault === undefined) throw new Error('access 21 takes a fault');
      if (field === 'far') fault.far = '0x10000040';
      else fault[field] += field === 'ipa' ? 0x1000 : 1;
    });

    expect(report.divergences).toBe(1);
    expect(report.faults.matched).toBe(report.faults.expected - 1);
    expect(report.firstDivergence?.access).toBe(21);
    expect(report.firstDivergence?.because).not.toBeNull();
  });

  it('a fault that the kernel did not take', () => {
    const report = replayed((expected) => {
      const access = accessOf(expected, 21);
      access.faults.push(...access.faults);
    });

    expect(report.faults.matched).toBe(report.faults.expected - 1);
    expect(report.divergences).toBe(1);
  });

  it('a fault left out is one that the prediction has too many', () => {
    const report = replayed((expected) => {
      accessOf(expected, 21).faults.length = 0;
    });

    expect(report.faults.unexpected).toBe(1);
  });

  it('an outcome', () => {
    const report = replayed((expected) => {
      accessOf(expected, 21).outcome = 'mmio-exit';
    });

    expect(report.firstDivergence).toMatchObject({
      access: 21,
      expected: 'mmio-exit',
      predicted: 'completed',
    });
    expect(report.outcomes.matched).toBe(report.outcomes.expected - 1);
  });

  it('the result of a call', () => {
    const report = replayed((expected) => {
      const [index] = Object.entries(expected.operations).find(([, { ret }]) => ret === 0) ?? ['none'];
      const operation = expected.operations[index];
      if (operation !== undefined) operation.ret = -1;
    });

    expect(report.operations.matched).toBe(report.operations.expected - 1);
    expect(report.divergences).toBe(1);
  });
});
