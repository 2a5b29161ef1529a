// Hooks of Node's module loader for a mutation run: TypeScript without its types, 'vitest' as collect.js gives it,
// and the query of the importing module passed on, so that `?run=2` imports a test file and all it needs afresh.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';

const COLLECT = new URL('collect.js', import.meta.url).href;

/** The package by its own name, as scenarios import it: the sources in Stryker's copy. */
const STAGETWO = pathToFileURL(join(process.cwd(), 'src/index.ts')).href;

const compilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
};

/** @type {Map<string, string>} */
const translated = new Map();

/** @type {import('node:module').ResolveHook} */
export async function resolve(specifier, context, next) {
  if (specifier === 'vitest' && context.parentURL !== COLLECT) return { url: COLLECT, shortCircuit: true };
  const resolved = await next(specifier === 'stagetwo' ? STAGETWO : specifier, context);
  const isFresh = resolved.url.endsWith('.ts') && context.parentURL !== undefined;
  return isFresh ? { ...resolved, url: resolved.url + new URL(context.parentURL ?? '').search } : resolved;
}

/** @type {import('node:module').LoadHook} */
export async function load(url, context, next) {
  const file = new URL(url);
  if (!file.pathname.endsWith('.ts')) return next(url, context);
  const path = fileURLToPath(file);
  const source = translated.get(path) ?? ts.transpile(readFileSync(path, 'utf8'), compilerOptions, path);
  translated.set(path, source);
  return { format: 'module', source, shortCircuit: true };
}
