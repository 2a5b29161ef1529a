import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { captureAt, captureNames } from '../captures/captures.ts';
import { expectGolden } from './golden.ts';
import { command, widest } from './memory-terminal.ts';

const vfio = captureAt('6.12-gicv3-max-nolpa2-vfio');

let folder = '';
let tampered = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tampered-'));
  tampered = join(folder, 'bundle');
  cpSync(vfio, tampered, { recursive: true });
  const path = join(tampered, 'expected.json.gz');
  const expected = JSON.parse(gunzipSync(readFileSync(path)).toString('utf8'));
  expected.accesses['21'].faults[0].esr = '0x938d0007';
  expected.accesses['313'].outcome = 'completed';
  rmSync(path);
  writeFileSync(join(tampered, 'expected.json'), JSON.stringify(expected));
});

afterAll(() => rmSync(folder, { recursive: true }));

describe('stagetwo replay', () => {
  it('says of a capture that every prediction was right', async () => {
    const { status, out, err } = await command(['replay', vfio]);

    expect(status).toBe(0);
    expect(err).toBe('');
    expectGolden('replay-one.txt', out);
  });

  it('of several prints a table, the sums and the speed', async () => {
    const some = captureNames.filter((name) => /vfio$|huge$|mmio$/.test(name)).map(captureAt);
    const { status, out } = await command(['replay', ...some]);

    expect(status).toBe(0);
    expectGolden('replay-table.txt', out);
  });

  it('prints the keys of --json in their order', async () => {
    const { out } = await command(['replay', vfio, '--json']);
    const report = JSON.parse(out);

    expect(Object.keys(report).slice(0, 9)).toEqual([
      'bundle',
      'kernel',
      'accesses',
      'faults',
      'outcomes',
      'operations',
      'dumps',
      'firstDivergence',
      'events',
    ]);
    expect(report).toMatchObject({
      bundle: '6.12-gicv3-max-nolpa2-vfio',
      kernel: '6.12',
      faults: { expected: 45, matched: 45, unexpected: 0 },
      firstDivergence: null,
    });
    expect(Object.keys(report.faults)).toEqual(['expected', 'matched', 'unexpected']);
    expect(Object.keys(report.dumps[0])).toEqual(['name', 'vm', 'leaves', 'matched', 'extra']);
    expect(report.seconds).toBeGreaterThan(0);
  });

  it('prints an array of documents for several bundles', async () => {
    const { out } = await command(['replay', vfio, captureAt('6.1-gicv3-max-nisv'), '--json']);

    expect(JSON.parse(out)).toHaveLength(2);
  });
});

describe('a prediction that differs', () => {
  it('ends with status 1 and shows the first difference with its rule', async () => {
    const { status, out } = await command(['replay', tampered]);

    expect(status).toBe(1);
    expectGolden('replay-differs.txt', out);
  });

  it('stands in firstDivergence', async () => {
    const { status, out } = await command(['replay', tampered, '--json']);
    const { firstDivergence, divergences } = JSON.parse(out);

    expect(status).toBe(1);
    expect(divergences).toBe(2);
    expect(Object.keys(firstDivergence).slice(0, 4)).toEqual(['access', 'expected', 'predicted', 'because']);
    expect(firstDivergence).toMatchObject({ access: 21 });
    expect(firstDivergence.expected).toContain('esr 0x938d0007');
    expect(firstDivergence.predicted).toContain('esr 0x938d0005');
  });

  it('among several bundles is named below the table', async () => {
    const { status, out } = await command(['replay', captureAt('6.1-gicv3-max-nisv'), tampered]);

    expect(status).toBe(1);
    expect(out).toContain('2 differ');
    expect(out).toContain('first difference (of 2): access 21');
    expect(out).toContain('1 of 2 bundles differ from the kernel');
  });

  it('is what another kernel gives: 6.1 cannot map a BAR as 6.12 did', async () => {
    const { status, out } = await command(['replay', vfio, '--kernel', '6.1', '--json']);

    expect(status).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ kernel: '6.1' });
    expect(JSON.parse(out).firstDivergence).not.toBeNull();
  });
});

describe('a narrow terminal', () => {
  it.each([40, 50, 60, 72, 80, 100])('of %i columns is not overrun', async (columns) => {
    const bundles = [tampered, vfio, captureAt('6.12-gicv3-max-nolpa2b-sysfs')];
    const { out } = await command(['replay', ...bundles], columns);

    expect(widest(out)).toBeLessThanOrEqual(columns);
  });
});
