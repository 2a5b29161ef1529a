import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { command } from './memory-terminal.ts';

const folder = mkdtempSync(join(tmpdir(), 'stagetwo-kernel-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const BACKPORT = `name: enterprise
base: '6.6'
features: { normalNcForAnyUncached: true, vfioPciAllowsAnyUncached: true }
`;

describe('a distribution kernel with a backport, as a file', () => {
  it('maps a VFIO-PCI BAR as Normal-NC although its base does not', async () => {
    const path = file('enterprise.yaml', BACKPORT);

    const { status, out } = await command(['kernels', 'diff', '6.6', path]);

    expect(status).toBe(0);
    expect(out).toContain('6.6 -> enterprise: 2 differences');
    expect(out).toContain('normalNcForAnyUncached: no -> yes');
  });

  it('predicts a capture as that kernel would have gone', async () => {
    const path = file('enterprise.yaml', BACKPORT);
    const bundle = join(import.meta.dirname, '../fixtures/captures/6.1-gicv3-max-nisv');

    const { out } = await command(['replay', bundle, '--kernel', path, '--json']);

    expect(JSON.parse(out)).toMatchObject({ kernel: 'enterprise', checked: true });
  });

  it('stands beside presets in a comparison, under its own name', async () => {
    const kernels = `kernel=6.6,${file('enterprise.yaml', BACKPORT)}`;

    const { status, out } = await command(['compare', 'headline', '--vary', kernels, '--json']);

    const { runs } = JSON.parse(out);
    expect([status, runs.map(({ name }: { name: string }) => name)]).toEqual([0, ['6.6', 'enterprise']]);
    const leaf = ({ regions }: { regions: { leaves: { because: string }[] }[] }) =>
      regions[0]?.leaves[0]?.because;
    expect(runs.map(leaf)).toEqual(['kernel-before-normal-nc', 'vma-allows-any-uncached']);
  });

  it('can be hunted on, and what looks back at its run finds it again', async () => {
    const path = file('enterprise.yaml', BACKPORT);
    const journal = join(folder, 'run.journal');

    const hunted = await command(['hunt', 'headline', '--kernel', path]);
    await command(['run', 'headline', '--kernel', path, '--journal', journal]);
    const verified = await command(['verify', journal]);

    expect(hunted.err).toMatch(/expects nothing under enterprise/);
    expect(verified).toMatchObject({ status: 0, err: '' });
  });

  it.each([
    ['a base that is no preset', "base: '5.4'\nfeatures: {}\n", /no kernel preset '5.4'/],
    ['a feature that is none', "base: '6.6'\nfeatures: { wc: true }\n", /no kernel feature has this name/],
    ['a value that does not fit', "base: '6.6'\nfeatures: { lpa2: 3 }\n", /3 is no value of it/],
    ['no features', "base: '6.6'\n", /features/],
    ['no YAML', 'base: [\n', /line \d/],
  ])('is refused in one line for %s', async (_, text, message) => {
    const { status, out, err } = await command(['kernels', 'diff', '6.6', file('bad.yaml', text)]);

    expect(status).toBe(2);
    expect(out).toBe('');
    expect(err.trimEnd().split('\n')).toHaveLength(1);
    expect(err).toMatch(message);
  });
});
