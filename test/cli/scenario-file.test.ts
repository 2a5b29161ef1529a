// Scenario files that are none, and one that is: each failure is one line with file, place and what to do.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Printed } from './memory-terminal.ts';
import { stagetwo, stagetwoBatch } from './spawn.ts';

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'scenarios-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const UNALIGNED_STORE = `
import { scenario, vfioPci, writeCombining } from 'stagetwo';

export default scenario('one unaligned store into a PCI BAR', ({ host, expect }) => {
  const gpu = host.plug(vfioPci('gpu', { bars: [{ size: '16M', prefetchable: true }] }));
  const vm = host.vm('guest', { ram: '64M' });
  const bar = vm.assign(gpu.bar(0), { at: 0x1000_0000 });
  console.log('a word of its own');
  vm.vcpu(0).run(function* (cpu) {
    const wc = cpu.ioremap(bar, writeCombining);
    yield* cpu.store(wc.at(0x0a4), { size: 16 });
  });
  expect.kernel('6.1', () => vm.died({ errno: 'EFAULT', log: /Unsupported FSC.*0x21/ }));
  expect.kernel(['6.9', '6.12'], () => vm.survived());
  expect.kernel('6.6', () => vm.survived());
});
`;

const story = (body: string): string => `
import { scenario } from 'stagetwo';
export default scenario('a story', ({ host }) => {
${body}
});
`;

describe('a scenario', () => {
  it('is told under the kernels that were asked for, its own words beside the answer', async () => {
    const path = file('unaligned.ts', UNALIGNED_STORE);
    const { status, out, err } = await stagetwo(['run', path, '-k', '6.1', '-k', '6.12', '--json']);

    expect(status).toBe(0);
    expect(err).toContain('a word of its own');
    const runs = JSON.parse(out) as {
      kernel: string;
      ok: boolean;
      vms: { dead: { errnoName: string } | null }[];
    }[];
    expect(
      runs.map(({ kernel, ok, vms }) => ({ kernel, ok, dead: vms[0]?.dead?.errnoName ?? null })),
    ).toEqual([
      { kernel: '6.1', ok: true, dead: 'EFAULT' },
      { kernel: '6.12', ok: true, dead: null },
    ]);
  });

  it('that expects what did not happen ends with status 1 and says what was found', async () => {
    const path = file('unaligned.ts', UNALIGNED_STORE);
    const { status, out } = await stagetwo(['run', path, '--kernel', '6.6']);

    expect(status).toBe(1);
    expect(out).toMatch(/FAILED +guest survived: expected alive; found died errno EFAULT/);
  });

  it('is compared over kernels, with the rule that made the difference', async () => {
    const path = file('unaligned.ts', UNALIGNED_STORE);
    const { status, out } = await stagetwo(['compare', path, '--vary', 'kernel=6.8,6.9']);

    expect(status).toBe(0);
    expect(out).toContain('6.8 and 6.9 part at event');
    expect(out).toContain('call.backing.allowAnyUncached  false  true');
    expect(out).toMatch(
      /because\n {2}6\.8 {2}kernel-before-normal-nc: .*\n(?: .*\n)* {2}6\.9 {2}vma-allows-any-uncached/,
    );
  });
});

/** What is wrong with a file, its text, and the line that says so. */
const NONE: readonly (readonly [what: string, text: string, line: RegExp])[] = [
  [
    'does not compile',
    "import { scenario } from 'stagetwo';\nexport default scenario('x', ({ host }) => {",
    /\.ts:\d+:\d+: does not compile/,
  ],
  [
    'is the trace of another tool',
    '# tracer: nop\n  CPU 0/KVM [000] 1.0: kvm_exit\n',
    /does not compile|the scenario throws/,
  ],
  [
    'has no default export',
    'export const answer = 42;\n',
    /has no default export; write 'export default scenario/,
  ],
  ['exports a number', 'export default 42;\n', /its default export is a number, not a scenario/],
  ['exports a function', 'export default () => {};\n', /its default export is a function, not a scenario/],
  ['exports null', 'export default null;\n', /its default export is null/],
  ['throws when it is loaded', "throw new Error('on purpose');\n", /\.ts:1: the scenario throws: on purpose/],
  ['throws a string', "throw 'on purpose';\n", /the scenario throws: on purpose/],
  [
    'throws when it is told',
    story("  throw new Error('on purpose');"),
    /\.ts:4: the scenario throws: on purpose/,
  ],
  [
    'throws in a program',
    story("  host.vm('guest').vcpu(0).run(function* (cpu) {\n    throw new Error('on purpose');\n  });"),
    /\.ts:5: the scenario throws: .*guest.*on purpose/,
  ],
  [
    'contradicts itself',
    story("  host.vm('guest');\n  host.vm('guest');"),
    /\.ts:5: the scenario throws: a VM called 'guest' is there already/,
  ],
  [
    'imports what is not there',
    "import 'nosuchpackage';\nexport default 1;\n",
    /imports 'nosuchpackage', which is not there/,
  ],
  [
    'asks stagetwo for too much',
    "import { nosuch } from 'stagetwo';\nexport default nosuch;\n",
    /there is no 'nosuch'/,
  ],
];

describe('a scenario that is none', () => {
  let results: Printed[] = [];

  beforeAll(async () => {
    file('unaligned.ts', UNALIGNED_STORE);
    const files = NONE.map(([, text], index) => file(`none${index}.ts`, text));
    const paths = [...files, join(folder, 'unalinged.ts'), folder];
    results = await stagetwoBatch(paths.map((path) => ['run', path, '--kernel', '6.12']));
  });

  function expectComplaint(result: Printed | undefined, line: RegExp): void {
    expect(result).toMatchObject({ status: 2, out: '' });
    expect(result?.err).toMatch(/^stagetwo: [^\n]+\n$/);
    expect(result?.err).not.toMatch(/fault of stagetwo|\n {4}at /);
    expect(result?.err).toMatch(line);
  }

  it.each(NONE.map(([what, , line], index) => ({ what, line, index })))('$what', ({ line, index }) => {
    expectComplaint(results[index], line);
  });

  it('is not there: the nearest is suggested', () => {
    expectComplaint(results.at(-2), /no such scenario \(did you mean .*unaligned\.ts\?\)/);
  });

  it('is a directory', () => {
    expectComplaint(results.at(-1), /is a directory, not a scenario/);
  });
});
