// Runs the code of docs/adding-a-device.md as it stands there, so that the guide cannot go stale.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Hunted, ScenarioRun, Tlp } from 'stagetwo';
import * as api from 'stagetwo';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const guide = readFileSync(join(root, 'docs/adding-a-device.md'), 'utf8');
const code = [...guide.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, block = '']) => block).join('\n');

interface Results {
  readonly run: ScenarioRun;
  readonly packets: readonly Tlp[];
  readonly asDevice: Hunted;
  readonly asNormal: Hunted;
  readonly interruptedRun: ScenarioRun;
}

/** The page's code as one module, its import answered by the API. */
function results(): Results {
  const options = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 };
  const text = `${code}\nmodule.exports = { run, packets, asDevice, asNormal, interruptedRun };`;
  const { outputText } = ts.transpileModule(text, { compilerOptions: options });
  const module = { exports: {} as Results };
  const require = (name: string) => (name === 'stagetwo' ? api : undefined);
  new Function('module', 'exports', 'require', outputText)(module, module.exports, require);
  return module.exports;
}

describe('the guide to adding a device', () => {
  const { run, packets, asDevice, asNormal, interruptedRun } = results();

  it('has a scenario that goes as it says', () => {
    expect(run.expectations.filter(({ ok }) => !ok)).toEqual([]);
    expect(run.expectations).toHaveLength(2);
  });

  it('gets packets of what the device received', () => {
    expect(packets.map(({ type, length }) => `${type} ${length}`)).toEqual(['MWr 1', 'MWr 16', 'MRd 1']);
  });

  it('finds that its cause register does not bear Normal memory, and does bear Device', () => {
    expect(asDevice.broken).toBeNull();
    expect(asNormal.broken?.run.vms[0]?.vcpus[0]?.accesses.at(-1)?.value).toBe(0n);
  });

  it('has an interrupt that is handled once', () => {
    expect(interruptedRun.expectations.filter(({ ok }) => !ok)).toEqual([]);
    expect(interruptedRun.vms[0]?.vcpus[0]?.interrupts).toMatchObject([{ intid: 40, lost: false }]);
  });

  it('names files that exist', () => {
    const named = [...guide.matchAll(/`((?:src|test|docs)\/[\w./-]+\.ts)`/g)].map(([, path = '']) => path);
    expect(named.length).toBeGreaterThan(0);
    for (const path of named) expect(readFileSync(join(root, path), 'utf8').length).toBeGreaterThan(0);
  });
});
