// From what somebody typed to a scenario: the file is found, compiled by tsx and imported with 'stagetwo'
// meaning this very installation. Whatever is wrong with it becomes one line that names file, line and what
// to do.

import { readdirSync, statSync } from 'node:fs';
import { register as registerHooks } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Scenario } from '../machine/scenario.ts';
import { InputError } from '../trace/input-error.ts';
import { nearest } from './nearest.ts';

const own = import.meta.url;
const isSource = own.endsWith('.ts');

/** The API that `import 'stagetwo'` gives: beside this file in dist/, above it in src/. */
const apiUrl = new URL(isSource ? '../index.ts' : './index.js', own).href;

/** The scenarios that come with stagetwo. */
const scenariosFolder = fileURLToPath(new URL(isSource ? '../../scenarios' : '../scenarios', own));

export interface ScenarioFile {
  /** As it is shown: relative to the working directory where that is shorter. */
  readonly path: string;
  readonly scenario: Scenario;
}

/**
 * @param argument a path, or the name of a file in scenarios/ with or without `.ts`
 * @throws InputError if there is no such file, it does not compile, throws, or exports no scenario
 */
export async function loadScenario(argument: string): Promise<ScenarioFile> {
  const file = findScenario(argument);
  const path = shown(file);
  const module = await importFile(file, path);
  const scenario: unknown = module.default;
  if (scenario === undefined) {
    throw new InputError(path, 'has no default export', "write 'export default scenario(name, story)'");
  }
  if (!isScenario(scenario)) {
    throw new InputError(
      path,
      `its default export is ${kindOf(scenario)}, not a scenario`,
      "write 'export default scenario(name, story)'",
    );
  }
  return { path, scenario };
}

/** A scenario that comes with stagetwo, by its name there. */
export const bundledScenario = (name: string): Promise<ScenarioFile> =>
  loadScenario(join(scenariosFolder, `${name}.ts`));

/** Runs something that calls the scenario's own code; what that throws is a fault of the file. */
export function inScenario<Result>(path: string, body: () => Result): Result {
  try {
    return body();
  } catch (error) {
    throw thrown(path, error);
  }
}

const isScenario = (value: unknown): value is Scenario =>
  typeof value === 'object' &&
  value !== null &&
  'name' in value &&
  typeof value.name === 'string' &&
  'tell' in value &&
  typeof value.tell === 'function';

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : `a${/^[aeiou]/.test(typeof value) ? 'n' : ''} ${typeof value}`;
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true;

function findScenario(argument: string): string {
  const withEnding = /\.[cm]?[jt]s$/.test(argument) ? [argument] : [argument, `${argument}.ts`];
  const bundled = withEnding.flatMap((name) => [
    join(scenariosFolder, name),
    join(scenariosFolder, 'cookbook', name),
  ]);
  const found = [...withEnding.map((name) => resolve(name)), ...bundled].find(isFile);
  if (found !== undefined) return found;
  if (statSync(argument, { throwIfNoEntry: false })?.isDirectory() === true) {
    throw new InputError(argument, 'is a directory, not a scenario', `name a file in it${listed(argument)}`);
  }
  const near = nearestFile(argument);
  const suggestion = near === null ? '' : ` (did you mean ${near}?)`;
  throw new InputError(
    argument,
    `there is no such scenario${suggestion}`,
    `give a path, or a name in scenarios/${listed(scenariosFolder)}`,
  );
}

function scriptsIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.ts'));
  } catch {
    return [];
  }
}

function listed(folder: string): string {
  const names = scriptsIn(folder).map((name) => name.replace(/\.ts$/, ''));
  if (names.length === 0) return '';
  return `: ${names.slice(0, 6).join(', ')}${names.length > 6 ? ', ...' : ''}`;
}

/** A file beside the one that was meant, or one that comes with stagetwo. */
function nearestFile(argument: string): string | null {
  const ending = argument.endsWith('.ts') ? '' : '.ts';
  const beside = nearest(`${basename(argument)}${ending}`, scriptsIn(dirname(resolve(argument))));
  if (beside !== null) return join(dirname(argument), beside);
  const bundled = [
    ...scriptsIn(scenariosFolder),
    ...scriptsIn(join(scenariosFolder, 'cookbook')).map((name) => `cookbook/${name}`),
  ];
  const name = nearest(
    `${basename(argument)}${ending}`,
    bundled.map((file) => basename(file)),
  );
  const match = bundled.find((file) => basename(file) === name);
  return match?.replace(/\.ts$/, '') ?? null;
}

function shown(file: string): string {
  const path = relative(process.cwd(), file);
  return path.length < file.length && !path.startsWith('..') ? path : file;
}

let hooksRegistered = false;

/** tsx compiles; a second hook gives 'stagetwo' and takes every TypeScript file as an ES module. */
async function registerLoader(): Promise<void> {
  if (hooksRegistered) return;
  hooksRegistered = true;
  // Standard output is the answer alone: what a scenario prints for itself goes beside it.
  Object.assign(console, { log: console.error, info: console.error, debug: console.error });
  const { register } = await import('tsx/esm/api');
  register({ tsconfig: false });
  const hook = `export async function resolve(name, context, next) {
    const found = await next(name === 'stagetwo' ? ${JSON.stringify(apiUrl)} : name, context);
    return /\\.ts($|\\?)/.test(found.url) ? { ...found, format: 'module' } : found;
  }`;
  registerHooks(`data:text/javascript,${encodeURIComponent(hook)}`);
}

async function importFile(file: string, path: string): Promise<Record<string, unknown>> {
  await registerLoader();
  try {
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (error) {
    throw thrown(path, error);
  }
}

function thrown(path: string, error: unknown): InputError {
  if (error instanceof InputError) return error;
  const complaint = complaintOf(path, error);
  complaint.cause = error;
  return complaint;
}

function complaintOf(path: string, error: unknown): InputError {
  const message = error instanceof Error ? error.message : String(error);
  const syntax = /:(\d+):(\d+): (?:ERROR|error): (.*)/.exec(message);
  if (syntax !== null) {
    const [, line = '', column = '', what = ''] = syntax;
    return new InputError(`${path}:${line}:${column}`, `does not compile: ${what}`, 'correct the line');
  }
  const line = lineIn(path, error);
  const where = line === null ? path : `${path}:${line}`;
  const missing = /Cannot find (?:module|package) '([^']+)'/.exec(message)?.[1];
  if (missing !== undefined) {
    const name = missing.startsWith('file:') ? shown(fileURLToPath(missing)) : missing;
    return new InputError(
      where,
      `imports '${name}', which is not there`,
      "a scenario imports 'stagetwo' alone",
    );
  }
  const absent = /does not provide an export named '?([\w$]+)'?/.exec(message)?.[1];
  if (absent !== undefined) {
    return new InputError(where, `there is no '${absent}' in what it imports`, "see what 'stagetwo' exports");
  }
  return new InputError(where, `the scenario throws: ${message}`, 'correct it there');
}

/** The innermost line of the scenario itself in the stack of the error, or of what caused it. */
function lineIn(path: string, error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const inner = lineIn(path, error.cause);
  if (inner !== null) return inner;
  const name = basename(path).replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`${name}(?:\\?[^:]*)?:(\\d+):\\d+`).exec(error.stack ?? '')?.[1] ?? null;
}
