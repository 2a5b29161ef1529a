// Expectations that failed, as a test file of their own: the same scenario under the same kernel, seed and schedule, so
// that the failure repeats wherever the file is run.

import type { ScenarioRun } from '../../machine/report.ts';

type Judged = Pick<ScenarioRun, 'scenario' | 'kernel' | 'seed' | 'schedule' | 'expectations'>;

/**
 * @param scenarioPath how the test file imports the scenario: './my-case.ts'
 * @returns null where nothing failed
 */
export function vitestFile(run: Judged, scenarioPath: string): string | null {
  const failed = run.expectations.filter(({ ok }) => !ok);
  if (failed.length === 0) return null;
  const options = `{ kernel: ${quoted(run.kernel)}, seed: ${run.seed}, schedule: SCHEDULE }`;
  return [
    `// Expectations of ${quoted(run.scenario)} that failed under kernel ${run.kernel}, exactly as it ran then.\n`,
    "import { runScenario } from 'stagetwo';",
    "import { describe, expect, it } from 'vitest';",
    `import story from ${quoted(scenarioPath)};\n`,
    '/** Who took each turn. */',
    `const SCHEDULE = ${JSON.stringify(run.schedule)};\n`,
    `describe(${quoted(`${run.scenario}, kernel ${run.kernel}`)}, () => {`,
    `  const { expectations } = runScenario(story, ${options});\n`,
    ...failed.map(testOf),
    '});\n',
  ].join('\n');
}

function testOf({ what, expected, actual }: ScenarioRun['expectations'][number]): string {
  const wanted = `what: ${quoted(what)}, expected: ${quoted(expected)}`;
  return [
    `  it(${quoted(`${what}: ${expected}`)}, () => {`,
    `    // It was: ${oneLine(actual)}`,
    `    expect(expectations).toContainEqual(expect.objectContaining({ ${wanted}, ok: true }));`,
    '  });',
  ].join('\n');
}

/** A string of the language, whatever it holds. */
const quoted = (text: string): string =>
  `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;

const oneLine = (text: string): string => text.replace(/[\r\n\u2028\u2029]+/g, ' ');
