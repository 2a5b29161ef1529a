// Where a command prints: standard output for the answer, standard error for complaints and progress. Colour
// and width come from here alone, so that tests print into memory and a pipe gets plain text that never
// changes.

import colours from 'picocolors';

/** Roles, not colours: what a piece of text means. Each returns its text unchanged where colour is off. */
export interface Style {
  readonly strong: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  /** Memory types, from the strictest to the loosest. */
  readonly device: (text: string) => string;
  readonly nonCacheable: (text: string) => string;
  readonly cacheable: (text: string) => string;
}

export interface Terminal {
  /** Columns that a line may fill, 40 to 160. */
  readonly columns: number;
  readonly style: Style;
  /** Writes to standard output as it is; a text block ends its own lines. */
  out(text: string): void;
  /** Writes to standard error. */
  err(text: string): void;
  /** Replaces the progress line; '' removes it. Silent unless standard error is a terminal. */
  progress(text: string): void;
}

const DEFAULT_COLUMNS = 80;
const MIN_COLUMNS = 40;
const MAX_COLUMNS = 160;

/** Restrained on purpose: three hues, each with one meaning everywhere. */
export function createStyle(enabled: boolean): Style {
  const { bold, dim, green, red, yellow, cyan } = colours.createColors(enabled);
  return {
    strong: bold,
    dim,
    good: green,
    bad: (text) => bold(red(text)),
    device: yellow,
    nonCacheable: cyan,
    cacheable: green,
  };
}

/** NO_COLOR wins over FORCE_COLOR; a pipe and TERM=dumb get none (https://no-color.org). */
function wantsColour(environment: NodeJS.ProcessEnv, isTty: boolean): boolean {
  if ((environment.NO_COLOR ?? '') !== '') return false;
  if ((environment.FORCE_COLOR ?? '0') !== '0') return true;
  return isTty && environment.TERM !== 'dumb';
}

function widthOf(environment: NodeJS.ProcessEnv, ttyColumns: number | undefined): number {
  const asked = Number(environment.COLUMNS);
  const columns = ttyColumns ?? (Number.isInteger(asked) && asked > 0 ? asked : DEFAULT_COLUMNS);
  return Math.min(MAX_COLUMNS, Math.max(MIN_COLUMNS, columns));
}

/** The terminal of this process. A reader that goes away (`| head`) ends the command without a word. */
export function processTerminal(): Terminal {
  const { stdout, stderr, env } = process;
  const onError = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  };
  if (stdout.listenerCount('error') === 0) stdout.on('error', onError);
  if (stderr.listenerCount('error') === 0) stderr.on('error', onError);
  let showing = false;
  const progress = (text: string): void => {
    if (stderr.isTTY !== true || (text === '' && !showing)) return;
    showing = text !== '';
    stderr.write(`\r\u001b[K${text.slice(0, (stderr.columns ?? DEFAULT_COLUMNS) - 1)}`);
  };
  return {
    columns: widthOf(env, stdout.isTTY === true ? stdout.columns : undefined),
    style: createStyle(wantsColour(env, stdout.isTTY === true)),
    out(text) {
      progress('');
      stdout.write(text);
    },
    err(text) {
      progress('');
      stderr.write(text);
    },
    progress,
  };
}
