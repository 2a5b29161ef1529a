// Bundles src/ into dist/ with esbuild, so that a command starts in the time of bare Node, and keeps dist/
// current: the launcher asks here on every start, and a checkout whose sources changed is built again first.
// Plain JavaScript, because it runs before anything that understands TypeScript is loaded.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve, sep } from 'node:path';
import { argv, pid, stderr } from 'node:process';
import { fileURLToPath } from 'node:url';

/** The package: the folder that holds bin/, src/, tools/ and dist/. */
const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
const stampPath = join(dist, 'stamp.json');

/** The two modules with fixed names: the command line, and what `import 'stagetwo'` gives a scenario. */
const entries = { cli: 'src/cli/main.ts', index: 'src/index.ts' };

/** Besides src/, what the bundle depends on. */
const otherInputs = ['package.json', 'package-lock.json', 'tools/build.js'];

/** A leftover of an earlier build is removed once no process can still be about to load it. */
const leftoverAgeMs = 3_600_000;

/**
 * The module a command starts from, brought up to date first.
 * An installed package runs its dist/ as it is. A checkout that cannot be written to runs from its sources.
 * @returns {Promise<{ path: string, compiled: boolean }>} `compiled` is false for TypeScript sources
 * @throws {Error} in plain words when the sources do not compile or the dependencies are missing
 */
export async function currentEntry() {
  const compiled = { path: join(dist, 'cli.js'), compiled: true };
  if (!isCheckout() || isCurrent()) return compiled;
  try {
    await build();
    return compiled;
  } catch (error) {
    if (!cannotWrite(error)) throw error;
    return { path: join(root, entries.cli), compiled: false };
  }
}

/**
 * Builds dist/. Safe beside other builds and running commands: every file is renamed into place whole, chunks
 * carry the hash of their content in the name and precede the entries that import them, and the stamp is last.
 * @returns {Promise<{ files: number, bytes: number }>} what was written
 * @throws {Error} in plain words when the sources do not compile, or as the file system does
 */
export async function build() {
  const inputs = describeInputs();
  const before = readStamp();
  mkdirSync(dist, { recursive: true });
  const outputs = await bundle();
  const isEntry = (/** @type {string} */ name) => Object.hasOwn(entries, name.replace('.js', ''));
  outputs.sort((a, b) => Number(isEntry(a.name)) - Number(isEntry(b.name)));
  for (const { name, text } of outputs) writeWhole(join(dist, name), text);
  const files = Object.fromEntries(outputs.map(({ name, text }) => [name, digest(text)]));
  writeWhole(stampPath, `${JSON.stringify({ inputs, files }, null, 1)}\n`);
  removeLeftovers(new Set(['stamp.json', ...Object.keys(files), ...Object.keys(before?.files ?? {})]));
  return { files: outputs.length, bytes: outputs.reduce((sum, { text }) => sum + text.length, 0) };
}

/** @returns {Promise<{ name: string, text: string }[]>} */
async function bundle() {
  const { esbuild, rxjs } = findPackages();
  try {
    const result = await esbuild.build({
      absWorkingDir: root,
      entryPoints: entries,
      outdir: dist,
      write: false,
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      chunkNames: '[name]-[hash]',
      external: ['tsx', 'esbuild'],
      // The ES modules of RxJS, of which esbuild keeps the few parts in use; `node` would select CommonJS.
      alias: { rxjs: join(rxjs, 'dist/esm/index.js') },
      // Immer words its errors in full unless this says production; the caller's environment must not decide.
      define: { 'process.env.NODE_ENV': '"development"' },
      // Bundled CommonJS packages ask for Node's modules with require.
      banner: {
        js: "import { createRequire } from 'node:module';const require = createRequire(import.meta.url);",
      },
      logLevel: 'silent',
    });
    return result.outputFiles.map((/** @type {{ path: string, text: string }} */ { path, text }) => ({
      name: path.slice(dist.length + 1),
      text,
    }));
  } catch (error) {
    throw new Error(await inPlainWords(esbuild, error), { cause: error });
  }
}

function findPackages() {
  const require = createRequire(import.meta.url);
  try {
    // esbuild is tsx's own dependency: asking from there gives the version tsx was released with.
    const esbuild = createRequire(require.resolve('tsx/package.json'))('esbuild');
    return { esbuild, rxjs: dirname(require.resolve('rxjs/package.json')) };
  } catch (error) {
    throw new Error(`the dependencies are not installed in ${root}: run npm ci there`, { cause: error });
  }
}

/**
 * @param {{ formatMessages: (messages: unknown, options: object) => Promise<string[]> }} esbuild
 * @param {unknown} error
 */
async function inPlainWords(esbuild, error) {
  if (!(error instanceof Error) || !('errors' in error)) return String(error);
  const messages = await esbuild.formatMessages(error.errors, { kind: 'error' });
  return `the sources do not compile\n${messages.join('').trim()}`;
}

function isCheckout() {
  return !root.includes(`${sep}node_modules${sep}`) && statOrNothing(join(root, entries.cli)) !== undefined;
}

/** Whether dist/ is what the present sources give, and whole: two builds at once may have mixed their entries. */
function isCurrent() {
  const stamp = readStamp();
  if (stamp === undefined || stamp.inputs !== describeInputs()) return false;
  return Object.entries(stamp.files).every(([name, expected]) => {
    const path = join(dist, name);
    if (!Object.hasOwn(entries, name.replace('.js', ''))) return statOrNothing(path) !== undefined;
    return statOrNothing(path) !== undefined && digest(readFileSync(path, 'utf8')) === expected;
  });
}

/** @returns {{ inputs: string, files: Record<string, string> } | undefined} */
function readStamp() {
  try {
    const stamp = JSON.parse(readFileSync(stampPath, 'utf8'));
    return typeof stamp.inputs === 'string' && typeof stamp.files === 'object' ? stamp : undefined;
  } catch {
    return undefined;
  }
}

/** Name, size and time of every input as one digest: any difference counts, a file restored from older too. */
function describeInputs() {
  const names = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' });
  const paths = [...names.map((name) => join('src', name)), ...otherInputs].sort();
  return digest(
    paths
      .map((path) => ({ path, stat: statOrNothing(join(root, path)) }))
      .filter(({ stat }) => stat?.isFile())
      .map(({ path, stat }) => `${path} ${stat?.size} ${stat?.mtimeMs}`)
      .join('\n'),
  );
}

/** @param {string} path */
function statOrNothing(path) {
  return statSync(path, { throwIfNoEntry: false });
}

/** @param {string} text */
function digest(text) {
  return createHash('sha1').update(text).digest('hex');
}

/** @param {string} path @param {string} text */
function writeWhole(path, text) {
  const unfinished = `${path}.${pid}.tmp`;
  writeFileSync(unfinished, text);
  renameSync(unfinished, path);
}

/** @param {ReadonlySet<string>} keep */
function removeLeftovers(keep) {
  for (const name of readdirSync(dist)) {
    const modified = statOrNothing(join(dist, name))?.mtimeMs ?? Number.POSITIVE_INFINITY;
    if (!keep.has(name) && Date.now() - modified > leftoverAgeMs) rmSync(join(dist, name), { force: true });
  }
}

/** @param {unknown} error */
function cannotWrite(error) {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const { files, bytes } = await build();
  stderr.write(`dist: ${files} files, ${Math.round(bytes / 1024)} KiB\n`);
}
