// The command `stagetwo hunt`: what it finds, what it calls safe, and a finding that is saved and repeated.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Printed } from './memory-terminal.ts';
import { stagetwoBatch } from './spawn.ts';

const folder = mkdtempSync(join(tmpdir(), 'hunt-'));
const finding = join(folder, 'finding.json');
const damaged = join(folder, 'damaged.json');
const other = join(folder, 'other.json');

const NORMAL_NC = ['hunt', 'gicv-iar', '--vary', 'gicv=normal-nc'];

const COMMANDS: readonly (readonly string[])[] = [
  [...NORMAL_NC, '--save', finding],
  ['hunt', finding],
  ['hunt', finding, '--json'],
  ['hunt', 'gicv-iar'],
  ['hunt', 'gicv-iar', '--json'],
  ['hunt', 'frame-buffer', '--runs', '20', '--seed', '3'],
  ['hunt', damaged],
  ['hunt', other],
  [...NORMAL_NC, '--save', join(folder, 'nowhere', 'finding.json')],
  ['hunt', 'gicv-iar', '--vary', 'gicv=device,normal-nc'],
  ['hunt', 'gicv-iar', '--vary', 'kernel=6.1'],
  ['hunt', 'frame-buffer', '--vary', 'device=gicv'],
  ['run', 'nic-push-buffer', '--kernel', '6.12', '--tlp'],
  ['run', 'nic-push-buffer', '--kernel', '6.12', '--tlp', '--json'],
  ['compare', 'nic-push-buffer', '--vary', 'kernel=6.1,6.12', '--tlp'],
];

let printed: readonly Printed[] = [];

beforeAll(async () => {
  writeFileSync(damaged, '{"finding": 1,');
  writeFileSync(other, '{"finding": 1, "scenario": "x"}');
  printed = await stagetwoBatch(COMMANDS);
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true }));

const at = (index: number): Printed => printed[index] ?? { status: -1, out: '', err: '' };

describe('a hunt that finds something', () => {
  it('tells the read, what it did, and which expectation broke, and ends with status 1', () => {
    expect(at(0)).toMatchObject({ status: 1, err: '' });
    expect(at(0).out).toMatch(/broken: 1 departure from the typical run/);
    expect(at(0).out).toMatch(/acknowledges INTID 5/);
    expect(at(0).out).toMatch(/expected \[255, 5\]; found \[0, 1023\]/);
  });

  it('saves what repeats it', () => {
    expect(JSON.parse(readFileSync(finding, 'utf8'))).toMatchObject({ finding: 1, scenario: 'gicv-iar' });
    expect(at(1).status).toBe(1);
    expect(at(1).out).toContain('it breaks again');
    expect(JSON.parse(at(2).out)).toMatchObject({ isBroken: true });
  });
});

describe('a hunt that finds nothing', () => {
  it('says how much it searched: all there is', () => {
    expect(at(3)).toMatchObject({ status: 0, out: expect.stringMatching(/safe: one behaviour/) });
    expect(JSON.parse(at(4).out)).toMatchObject({ exhaustive: true, runs: 1, finding: null });
  });

  it('or that there are others', () => {
    expect(at(5).status).toBe(0);
    expect(at(5).out).toMatch(/nothing broke: 20 runs: .*\n?.*there are others/);
  });
});

describe('bad input', () => {
  it.each([
    [6, /cannot be read/],
    [7, /is no finding/],
    [8, /cannot be written/],
    [9, /in one variant/],
    [10, /give it with --kernel/],
    [11, /expects nothing/],
  ])('of command %i is one line and status 2', (index, line) => {
    expect(at(index)).toMatchObject({ status: 2, out: '' });
    expect(at(index).err).toMatch(/^stagetwo: [^\n]*\n$/);
    expect(at(index).err).toMatch(line);
  });
});

describe('--tlp', () => {
  it('shows the packets of a run, and gives them in its document', () => {
    expect(at(12).out).toMatch(/nic +2 x MWr 16 DW, BE 0b1111\/0b1111; 1 x MWr 1 DW/);
    expect(JSON.parse(at(13).out)).toMatchObject({
      tlps: [{ device: 'nic', packets: [{ type: 'MWr', length: 16 }, { length: 16 }, { length: 1 }] }],
    });
  });

  it('shows them side by side', () => {
    expect(at(14).out).toMatch(/6\.1 nic +16 x MWr 2 DW/);
    expect(at(14).out).toMatch(/6\.12 nic +2 x MWr 16 DW/);
  });
});
