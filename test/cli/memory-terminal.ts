// A terminal in memory: what a command prints, by stream, in plain text of a chosen width.

import { main } from '../../src/cli/main.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { createStyle } from '../../src/cli/terminal.ts';

export interface Printed {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

export interface MemoryTerminal extends Terminal {
  readonly printed: () => { readonly out: string; readonly err: string };
}

export function memoryTerminal(columns = 80, colour = false): MemoryTerminal {
  let out = '';
  let err = '';
  return {
    columns,
    style: createStyle(colour),
    out(text) {
      out += text;
    },
    err(text) {
      err += text;
    },
    progress() {},
    printed: () => ({ out, err }),
  };
}

/** Runs the command line in this process. */
export async function command(words: readonly string[], columns = 80, colour = false): Promise<Printed> {
  const terminal = memoryTerminal(columns, colour);
  const status = await main(words, terminal);
  return { status, ...terminal.printed() };
}

/** The longest line, in columns. */
export const widest = (text: string): number => Math.max(...text.split('\n').map((line) => line.length));
