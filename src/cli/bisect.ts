// `stagetwo bisect`: the first event after which a property of the state no longer holds.

import type { Bisection } from '../record/bisect.ts';
import { chainOf } from '../record/why.ts';
import { wrap } from './layout.ts';
import type { RecordedRun } from './recorded-run.ts';
import { asked, eventNumber, openRun } from './recorded-run.ts';
import type { SourceOptions } from './run-source.ts';
import type { Terminal } from './terminal.ts';
import { linkLines } from './why.ts';
import { count, toJson } from './words.ts';

export interface BisectOptions extends SourceOptions {
  readonly from?: number;
  readonly to?: number;
  readonly scan?: boolean;
  readonly json?: boolean;
}

/**
 * @returns exit status: 1 where the property fails
 * @throws InputError for a run that cannot be read and an expression that is none
 */
export async function bisect(
  argument: string,
  expression: string,
  { from, to, scan, json, ...options }: BisectOptions,
  terminal: Terminal,
): Promise<number> {
  const run = await openRun(argument, options, terminal);
  const bounds = {
    from: from === undefined ? -1 : eventNumber('--from', from, run),
    to: eventNumber('--to', to, run),
  };
  const found = asked(`'${expression}'`, "write for example 'not vm0.dead'", () =>
    run.timeline.bisect(expression, { ...bounds, scan: scan === true }),
  );
  if (json === true) {
    const chain = found.event === null ? [] : chainOf(run.timeline, found.event.seq);
    terminal.out(toJson({ expression, ...found, chain }));
  } else terminal.out(`${bisectLines(expression, found, run, terminal).join('\n')}\n`);
  return found.kind === 'holds' ? 0 : 1;
}

function bisectLines(expression: string, found: Bisection, run: RecordedRun, terminal: Terminal): string[] {
  const { columns: width, style } = terminal;
  const { kind, event, from, to, examined } = found;
  const looked = style.dim(`${count(examined, 'state')} looked at`);
  const start = from === -1 ? 'before the first event' : `after event ${from}`;
  if (kind === 'holds')
    return [...wrap(`${expression} holds from ${start} to after event ${to}`, width), looked];
  if (event === null) {
    const todo = `it does not hold ${start}: name a later event, where it does, with --from`;
    return [...wrap(expression, width).map(style.strong), ...wrap(todo, width)];
  }
  const chain = chainOf(run.timeline, event.seq).flatMap((link) => linkLines(link, width, style));
  const heading = `${expression} fails from event ${event.seq} on`;
  return [...wrap(heading, width).map(style.strong), looked, '', ...chain];
}
