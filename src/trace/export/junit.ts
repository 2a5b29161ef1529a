// The expectations of a run as JUnit XML, which CI servers read: one test case for each.

import type { ScenarioRun } from '../../machine/report.ts';

type Judged = Pick<ScenarioRun, 'scenario' | 'kernel' | 'expectations'>;

/** Same run, same bytes: no times and no names of machines. */
export function junitXml({ scenario, kernel, expectations }: Judged): string {
  const failures = expectations.filter(({ ok }) => !ok).length;
  const counts = `tests="${expectations.length}" failures="${failures}"`;
  const cases = expectations.map(({ what, expected, actual, ok }) => {
    const name = `name="${escaped(`${what}: ${expected}`)}" classname="${escaped(`${scenario}, kernel ${kernel}`)}"`;
    if (ok) return `    <testcase ${name}/>\n`;
    const message = escaped(`expected ${expected}; found ${actual}`);
    return `    <testcase ${name}>\n      <failure message="${message}"/>\n    </testcase>\n`;
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>\n',
    `<testsuites ${counts}>\n`,
    `  <testsuite name="${escaped(scenario)}" ${counts}>\n`,
    ...cases,
    '  </testsuite>\n</testsuites>\n',
  ].join('');
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** XML 1.0 has no control characters, not even escaped. */
const escaped = (text: string): string =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
    .replace(/[\u0000-\u001f\u007f-\u009f\ud800-\udfff\ufffe\uffff]+/g, ' ')
    .replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
