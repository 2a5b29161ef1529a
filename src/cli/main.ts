// The command line: arguments in, exit status out. 0 as expected, 1 an expectation or a prediction failed, 2
// bad usage or bad input, told in one line. Each command is loaded when it is asked for, so that `--help`
// starts fast.

import { CommanderError } from 'commander';
import { JournalError } from '../record/journal/error.ts';
import { InputError } from '../trace/input-error.ts';
import { createProgram } from './program.ts';
import type { Terminal } from './terminal.ts';
import { processTerminal } from './terminal.ts';
import { oneLine } from './words.ts';

/** Exit status of bad usage and of bad input. */
const BAD_INPUT = 2;

/**
 * Runs one command.
 * @param argv arguments without node and script; none runs the headline comparison
 * @param terminal where to print
 * @returns exit status: 0, 1 or 2
 */
export async function main(argv: readonly string[], terminal: Terminal = processTerminal()): Promise<number> {
  let status = 0;
  const program = createProgram(terminal, (code) => {
    status = Math.max(status, code);
  });
  const isHeadline = argv.length === 0 || argv[0] === '--json';
  try {
    await program.parseAsync(isHeadline ? ['headline', ...argv] : [...argv], { from: 'user' });
    terminal.progress('');
    return status;
  } catch (error) {
    terminal.progress('');
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    terminal.err(`stagetwo: ${complaint(error, argv)}\n`);
    return BAD_INPUT;
  }
}

/** One line for anything that stops a command. An error nobody foresaw shows its stack only when asked to. */
function complaint(error: unknown, argv: readonly string[]): string {
  const isDebug = process.env.STAGETWO_DEBUG !== undefined;
  if (error instanceof InputError || error instanceof JournalError) {
    const cause = isDebug && error.cause instanceof Error ? `\n${error.cause.stack}` : '';
    return `${oneLine(error.message, 600)}${cause}`;
  }
  if (error instanceof CommanderError) {
    const what = oneLine(error.message)
      .replace(/^error: /, '')
      .replace(/\.$/, '');
    const command = argv.find((word) => !word.startsWith('-'));
    const isKnown = command !== undefined && error.code !== 'commander.unknownCommand';
    return `${what}; see 'stagetwo ${isKnown ? `${command} ` : ''}--help'`;
  }
  const stack = error instanceof Error ? error.stack : undefined;
  if (isDebug && stack !== undefined) return stack;
  const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return `this is a fault of stagetwo itself: ${oneLine(reason)}; STAGETWO_DEBUG=1 shows where`;
}
