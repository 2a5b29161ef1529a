// What the README shows is what the commands print, and its code runs. A snippet is taken from the text as it stands.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import * as stagetwo from '../src/index.ts';

const root = join(import.meta.dirname, '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

/** Code blocks of a language, in order. */
function blocks(text: string, language: string): string[] {
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].flatMap(([, name, code]) =>
    name === language ? [code ?? ''] : [],
  );
}

/** Runs a module whose imports all come from stagetwo; gives its default export and its last expression. */
function evaluate(code: string): { exported: unknown; last: unknown } {
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2023 },
  });
  const lines = outputText.trimEnd().split('\n');
  const at = lines.findLastIndex((line) => line.startsWith('(0, stagetwo_1.'));
  if (at >= 0) lines[at] = `exports.last = ${lines[at]}`;
  const exports: { default?: unknown; last?: unknown } = {};
  new Function('exports', 'require', lines.join('\n'))(exports, () => stagetwo);
  return { exported: exports.default, last: exports.last };
}

describe('the README', () => {
  it('shows what the program prints when it is started', () => {
    const headline = readFileSync(join(root, 'test/golden/headline.txt'), 'utf8');
    expect(blocks(readme, 'text')[0]).toBe(headline);
  });

  it('has a scenario that goes as it says', () => {
    const [code = ''] = blocks(readme, 'ts');
    const story = evaluate(code).exported as stagetwo.Scenario;
    for (const kernel of ['6.1', '6.12']) {
      const { expectations, ok } = stagetwo.runScenario(story, { kernel, seed: 1 });
      expect({ kernel, ok, asked: expectations.length }).toEqual({ kernel, ok: true, asked: 1 });
    }
  });

  it('combines attributes as its comment says', () => {
    const [, code = ''] = blocks(readme, 'ts');
    expect(evaluate(code).last).toEqual({ outcomes: [{ attr: 0x04, sh: 2 }] });
  });
});
