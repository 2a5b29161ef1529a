// `npm run mutation [-- FOLDER | FILE...]`: changes each source in one spot at a time and lists the changes that its
// own tests do not notice. Installs what that takes on first use, here and not in the project.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';

const here = import.meta.dirname;
const root = join(here, '..', '..');
const stryker = join(here, 'node_modules', '@stryker-mutator', 'core', 'bin', 'stryker.js');

const ARCH = 'src/arch';
const HOST = 'src/host';

/** Types and departures as data: nothing in them decides. */
const DATA = ['cpu.ts', 'stage2-fault.ts'];

/** What a leaf gets, when a fault is retried or ends otherwise, and what the host puts behind a page. */
const POLICY = [
  ...['abort', 'user-mem-abort', 'gmem-abort', 'io-mem-abort', 'inject'],
  ...['leaf', 'map', 'memslot', 'mte', 'mm-fault', 'notifier', 'vfio-zap', 'vma'],
].map((name) => `${name}.ts`);

/** combine.ts remembers what it computed; nothing in src/host, and nothing that its tests use, does. */
const WITH_MEMO = 'src/arch/';

/** Files of src/arch whose tests have another name. */
const TESTED_AS = new Map([
  ['combine-rules', 'combine'],
  ['leaves-apart', 'translation-table'],
  ['table-page', 'translation-table'],
]);

/** @param {string} folder @param {(name: string) => boolean} wanted @returns {string[]} */
const sourcesIn = (folder, wanted) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.ts') && wanted(name))
    .map((name) => `${folder}/${name}`);

/**
 * Tests of seconds, which look at every encoding or at thousands of random ones: a mutant only they find has
 * no name.
 */
const SLOW = ['test/arch/combine-algebra.test.ts', 'test/arch/combine-space.test.ts'];

/**
 * The tests a mutant of `file` has to survive: those of its name in src/arch, all of the host's in src/host.
 * @param {string} file
 */
function testsOf(file) {
  const folder = file.startsWith(ARCH) ? 'test/arch' : 'test/host';
  const name = basename(file, '.ts');
  const testedAs = TESTED_AS.get(name) ?? name;
  const isOwn = (/** @type {string} */ test) =>
    folder === 'test/host' || test.startsWith(`${testedAs}.`) || test.startsWith(`${testedAs}-`);
  return readdirSync(join(root, folder))
    .filter((test) => test.endsWith('.test.ts') && isOwn(test))
    .map((test) => `${folder}/${test}`)
    .filter((test) => !SLOW.includes(test));
}

/** Stryker's report of a file. @param {string} file */
const reportOf = (file) => `.mutation/${file.replaceAll('/', '-')}.json`;

/** @param {string} file @returns {boolean} whether the run itself succeeded, whatever survived */
function mutate(file) {
  console.log(`\n== ${file}`);
  const config = join(relative(root, here), 'stryker.config.json');
  const args = [stryker, 'run', config, '--mutate', file, '--incrementalFile', reportOf(file)];
  const memo = file.startsWith(WITH_MEMO) ? { STAGETWO_MEMO: '1' } : {};
  const env = { ...process.env, STAGETWO_TESTS: testsOf(file).join(), ...memo };
  return spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit', env }).status === 0;
}

/** @param {readonly string[]} wanted files and folders; the architecture and the policy if none is named */
function filesOf(wanted) {
  const all = [
    ...sourcesIn(ARCH, (name) => !DATA.includes(name)),
    ...sourcesIn(HOST, (name) => POLICY.includes(name)),
    ...sourcesIn(`${HOST}/calls`, () => true),
  ];
  return wanted.length === 0
    ? all
    : wanted.flatMap((it) => all.filter((file) => `${file}/`.startsWith(`${it}/`)));
}

/** @param {readonly string[]} files */
function summary(files) {
  const rows = files.map((file) => ({ file, ...countsOf(file) })).filter(({ mutants }) => mutants > 0);
  const total = { file: 'all', mutants: 0, killed: 0, timeout: 0, survived: 0, ignored: 0 };
  for (const row of rows)
    for (const key of /** @type {const} */ (['mutants', 'killed', 'timeout', 'survived', 'ignored']))
      total[key] += row[key];
  const score = (/** @type {typeof total} */ { mutants, survived }) =>
    `${(100 - (100 * survived) / mutants).toFixed(1)}`;
  return [
    '| file | mutants | killed | timed out | survived | score | ignored |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...[...rows, total].map(
      (row) =>
        `| ${[row.file, row.mutants, row.killed, row.timeout, row.survived, score(row), row.ignored].join(' | ')} |`,
    ),
  ].join('\n');
}

/**
 * Mutants that were run, by how they ended; `ignored` are those that a comment or the plugin explains.
 * @param {string} file
 */
function countsOf(file) {
  const path = join(root, reportOf(file));
  /** @type {{ files: { [file: string]: { mutants: { status: string }[] } } }} */
  const report = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : { files: {} };
  const mutants = report.files[file]?.mutants ?? [];
  const count = (/** @type {string} */ status) => mutants.filter((it) => it.status === status).length;
  const killed = count('Killed');
  const timeout = count('Timeout');
  const survived = count('Survived') + count('NoCoverage');
  return { mutants: killed + timeout + survived, killed, timeout, survived, ignored: count('Ignored') };
}

if (!existsSync(stryker))
  execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: here, stdio: 'inherit' });

const files = filesOf(process.argv.slice(2));
const failed = files.filter((file) => !mutate(file));
console.log(`\n${summary(files)}`);
for (const file of failed) console.log(`no result for ${file}: see above`);
process.exitCode = failed.length === 0 && files.length > 0 ? 0 : 1;
