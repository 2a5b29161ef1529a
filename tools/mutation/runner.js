// A test runner for Stryker in one process: a mutant costs what its tests cost, a tenth of a start of vitest. Tests
// stay loaded where no module keeps a memo; mutants that act while a module loads always get it afresh.

import { register } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { collected } from './collect.js';

/** @typedef {{ id: string, fileName: string, body: () => unknown }} Test */
/**
 * @typedef {{ activeMutant?: string, currentTestId?: string, hitCount?: number, hitLimit?: number,
 * mutantCoverage?: object }} Switches
 */

const global = /** @type {{ __stryker__?: Switches }} */ (globalThis);

/** What Stryker's instrumented code reads and counts. */
const switches = global.__stryker__ ?? {};
global.__stryker__ = switches;

/** STAGETWO_TESTS: the test files, separated by commas. */
const files = (process.env.STAGETWO_TESTS ?? '').split(',');

/** STAGETWO_MEMO: a module under test remembers results, which must not pass from one mutant to the next. */
const alwaysAfresh = process.env.STAGETWO_MEMO !== undefined;

let runs = 0;

/** Imports the test files afresh, from the working directory, which is Stryker's copy. */
async function load() {
  runs += 1;
  /** @type {Test[]} */
  const tests = [];
  for (const fileName of files) {
    await import(`${pathToFileURL(join(process.cwd(), fileName))}?run=${runs}`);
    for (const { name, body } of collected()) tests.push({ id: `${fileName} > ${name}`, fileName, body });
  }
  return tests;
}

/** @param {Test} test @returns {Promise<{ error: unknown } | null>} what it threw */
async function failureOf(test) {
  try {
    await test.body();
    return null;
  } catch (error) {
    return { error };
  }
}

const TEST_PASSED = 0;
const TEST_FAILED = 1;

function createRunner() {
  /** The fastest first: most mutants never get to the others. @type {Test[]} */
  let loaded = [];

  return {
    capabilities: () => ({ reloadEnvironment: true }),
    init: async () => register('./loader.js', import.meta.url),

    async dryRun() {
      const measured = [];
      for (const test of await load()) {
        switches.currentTestId = test.id;
        const start = performance.now();
        const failure = await failureOf(test);
        measured.push({ test, failure, timeSpentMs: performance.now() - start });
      }
      delete switches.currentTestId;
      measured.sort((a, b) => a.timeSpentMs - b.timeSpentMs);
      loaded = measured.map(({ test }) => test);
      const tests = measured.map(({ test: { id, fileName }, failure, timeSpentMs }) => ({
        id,
        name: id,
        fileName,
        timeSpentMs,
        ...(failure === null
          ? { status: TEST_PASSED }
          : { status: TEST_FAILED, failureMessage: String(failure.error) }),
      }));
      return { status: 'complete', tests, mutantCoverage: switches.mutantCoverage };
    },

    /**
     * @param {{ activeMutant: { id: string }, testFilter?: string[], hitLimit?: number, reloadEnvironment?:
     * boolean }} options
     */
    async mutantRun({ activeMutant, testFilter, hitLimit, reloadEnvironment = false }) {
      // After a time out Stryker goes on with a new process, which has not seen the first run.
      if (loaded.length === 0) loaded = await load();
      Object.assign(switches, { activeMutant: activeMutant.id, hitCount: 0, hitLimit });
      try {
        return await verdict(await testsFor(testFilter, alwaysAfresh || reloadEnvironment), hitLimit);
      } catch (error) {
        return {
          status: 'killed',
          killedBy: loaded.slice(0, 1).map(({ id }) => id),
          failureMessage: String(error),
        };
      } finally {
        delete switches.activeMutant;
      }
    },
  };

  /** @param {readonly string[] | undefined} wanted ids; all if there is none @param {boolean} afresh */
  async function testsFor(wanted, afresh) {
    const order = new Map(loaded.map(({ id }, index) => [id, index]));
    const tests = afresh ? await load() : loaded;
    tests.sort((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0));
    return wanted === undefined ? tests : tests.filter(({ id }) => wanted.includes(id));
  }
}

/** Runs until one fails. @param {readonly Test[]} tests @param {number | undefined} hitLimit */
async function verdict(tests, hitLimit) {
  for (const [index, test] of tests.entries()) {
    const failure = await failureOf(test);
    if (failure === null) continue;
    if (hitLimit !== undefined && (switches.hitCount ?? 0) > hitLimit)
      return { status: 'timeout', reason: 'a loop does not end' };
    return {
      status: 'killed',
      killedBy: [test.id],
      failureMessage: String(failure.error),
      nrOfTests: index + 1,
    };
  }
  return { status: 'survived', nrOfTests: tests.length };
}

export const strykerPlugins = [{ kind: 'TestRunner', name: 'loaded', factory: createRunner }];
