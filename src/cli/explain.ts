// `stagetwo explain`: one pasted line in words.

import type { Explanation } from '../trace/explain/explain.ts';
import { explain } from '../trace/explain/explain.ts';
import { facts, paragraph, table } from './layout.ts';
import type { Terminal } from './terminal.ts';
import { oneLine, toJson } from './words.ts';

export interface ExplainOptions {
  readonly json?: boolean;
}

/**
 * @param words the line, as the shell hands it over: one argument or several
 * @returns exit status 0
 * @throws InputError if the text says nothing of a fault
 */
export function explainCommand(
  words: readonly string[],
  options: ExplainOptions,
  terminal: Terminal,
): number {
  const explanation = explain(words.join(' '));
  terminal.out(
    options.json === true ? toJson(explanation) : `${explainLines(explanation, terminal).join('\n')}\n`,
  );
  return 0;
}

function explainLines(explanation: Explanation, { columns: width, style }: Terminal): string[] {
  const { title, fields, story, perKernel, missing } = explanation;
  const fieldRows = fields.map(({ name, value, meaning }) => [name, value, oneLine(meaning)]);
  const columns = [{ header: '' }, { header: '' }, { header: '', wrapsTo: 24 }];
  return [
    style.strong(oneLine(title)),
    '',
    ...table(columns, fieldRows, { width, indent: 2 }),
    '',
    ...story.flatMap((sentence) => paragraph('  ', sentence, width)),
    ...section(
      'by kernel',
      perKernel.map(({ kernels, what }): [string, string] => [kernels, what]),
    ),
    ...section(
      'what would settle it',
      missing.map(({ what, how }): [string, string] => [what, how]),
    ),
  ];

  function section(name: string, rows: readonly (readonly [string, string])[]): string[] {
    if (rows.length === 0) return [];
    return ['', style.strong(name), ...facts(rows, { width, indent: 2 })];
  }
}
