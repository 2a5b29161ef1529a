// What the commands share: where they print and report to, and how options are read and examples shown.

import { InvalidArgumentError } from 'commander';
import type { Terminal } from './terminal.ts';

export interface Context {
  readonly terminal: Terminal;
  /** Reports the exit status; the highest reported one counts. */
  readonly exitWith: (status: number) => void;
}

/** Commander knows no examples: they follow its help as text. */
export function examples(lines: readonly (readonly [command: string, what: string])[]) {
  return () =>
    ['', 'Examples:', ...lines.flatMap(([command, what]) => [`  # ${what}`, `  ${command}`])].join('\n');
}

export const repeated = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError('Give a whole number from 0.');
  }
  return value;
}

export const JSON_OPTION = ['--json', 'print one JSON document'] as const;

export const JOURNAL_OPTION = [
  '--journal <file>',
  'write every event to a new journal; .gz compresses',
] as const;
