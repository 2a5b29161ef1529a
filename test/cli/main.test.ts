import { describe, expect, it } from 'vitest';
import { command, widest } from './memory-terminal.ts';

const COMMANDS = ['run', 'compare', 'hunt', 'replay', 'matrix', 'kernels', 'headline'];

describe('stagetwo --help', () => {
  it('names every command and shows examples', async () => {
    const { status, out, err } = await command(['--help']);

    expect(status).toBe(0);
    expect(err).toBe('');
    for (const name of COMMANDS) expect(out).toContain(`\n  ${name}`);
    expect(out).toContain('Examples:');
  });

  it.each(COMMANDS)('of %s ends with examples that start with its name', async (name) => {
    const { status, out } = await command([name, '--help']);

    expect(status).toBe(0);
    expect(out).toMatch(new RegExp(`Examples:\\n  # .*\\n  stagetwo ${name}`));
  });

  it.each([60, 80])('fits %i columns', async (columns) => {
    const { out } = await command(['--help'], columns);
    const description = out.slice(0, out.indexOf('Examples:'));

    expect(widest(description)).toBeLessThanOrEqual(columns);
  });
});

describe('the version', () => {
  it('is that of the package', async () => {
    expect(await command(['--version'])).toMatchObject({
      status: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });
});

describe('bad usage', () => {
  it.each<[string[], RegExp]>([
    [['nosuch'], /unknown command 'nosuch'; see 'stagetwo --help'/],
    [['repaly', 'x'], /unknown command 'repaly' \(Did you mean replay\?\)/],
    [['replay'], /missing required argument 'bundle'; see 'stagetwo replay --help'/],
    [['matrix', '--fbw'], /unknown option '--fbw' \(Did you mean --fwb\?\); see 'stagetwo matrix --help'/],
    [['--nosuch'], /unknown option '--nosuch'/],
    [['matrix', 'extra'], /too many arguments/],
    [['run', 'x', '--seed', 'lots'], /'lots' is invalid.*whole number/],
    [['run', 'x', '--seed', '-1'], /invalid|unknown option/],
    [['run', 'x', '--seed', '99999999999999999999'], /whole number/],
    [['run', 'x', '--kernel', '9.9'], /no preset for kernel '9\.9'.*known are.*6\.1,.*6\.12/],
    [['run', 'x', '--kernel'], /argument missing/],
    [['replay', 'x', '--kernel', '6.21'], /did you mean 6\.12\?/],
    [['compare', 'x'], /required option '--vary/],
    [['compare', 'x', '--vary', 'kernel'], /is not what=value,value/],
    [['kernels', 'dif', '6.1', '6.12'], /there is no 'dif' here/],
    [['kernels', 'diff', '6.1'], /two presets are needed/],
    [['kernels', 'diff', '6.1', '9.9'], /no preset for kernel '9\.9'/],
  ])('%j is one line and status 2', async (words, line) => {
    const { status, out, err } = await command(words);

    expect(status).toBe(2);
    expect(out).toBe('');
    expect(err).toMatch(/^stagetwo: [^\n]*\n$/);
    expect(err).toMatch(line);
  });
});

describe('stagetwo kernels', () => {
  it('lists the presets from the oldest, each with what changed', async () => {
    const { status, out } = await command(['kernels']);

    expect(status).toBe(0);
    expect(out.indexOf('\n6.1 ')).toBeLessThan(out.indexOf('\n6.12 '));
    expect(out).toContain('  normalNcForAnyUncached: no -> yes');
  });

  it('says what 6.9 brought: Normal-NC, and the flag that asks for it', async () => {
    const { out } = await command(['kernels', 'diff', '6.8', '6.9', '--json']);

    expect(JSON.parse(out)).toEqual({
      from: '6.8',
      to: '6.9',
      changes: [
        { feature: 'normalNcForAnyUncached', from: false, to: true },
        { feature: 'vfioPciAllowsAnyUncached', from: false, to: true },
      ],
    });
  });

  it('finds no difference of a kernel to itself', async () => {
    expect((await command(['kernels', 'diff', '6.12', '6.12'])).out).toContain('no difference');
  });

  it.each([40, 60, 80])('fits %i columns', async (columns) => {
    expect(widest((await command(['kernels'], columns)).out)).toBeLessThanOrEqual(columns);
  });
});
