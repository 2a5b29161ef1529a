// `stagetwo why`: the event that made a fact what it is, and the chain of causes behind it, with the rule of each.

import type { Link, Why } from '../record/why.ts';
import { eventLine } from './event-words.ts';
import { facts, wrap } from './layout.ts';
import { asked, eventNumber, openRun } from './recorded-run.ts';
import { ruleText } from './rule-words.ts';
import type { SourceOptions } from './run-source.ts';
import { plainOf, valueText } from './state-words.ts';
import type { Terminal } from './terminal.ts';
import { toJson } from './words.ts';

export interface WhyOptions extends SourceOptions {
  readonly at?: number;
  readonly json?: boolean;
}

/** @throws InputError for a run that cannot be read, an event that is not there, a path that names nothing */
export async function why(
  argument: string,
  path: string,
  { at, json, ...options }: WhyOptions,
  terminal: Terminal,
): Promise<number> {
  const run = await openRun(argument, options, terminal);
  const seq = eventNumber('--at', at, run);
  const answer = asked(path, 'write for example vm0.stage2[0x10000000] or vm0.dead', () =>
    run.timeline.why(path, seq),
  );
  if (json === true) terminal.out(toJson(document(answer)));
  else terminal.out(`${whyLines(answer, terminal).join('\n')}\n`);
  return 0;
}

function document({ path, at, value, changed, chain }: Why) {
  return {
    path,
    at,
    value: plainOf(value),
    changed: changed && { seq: changed.seq, before: plainOf(changed.before), after: plainOf(changed.after) },
    chain: chain.map(({ event, because }) => ({ event, because })),
  };
}

function whyLines({ path, at, value, changed, chain }: Why, { columns: width, style }: Terminal): string[] {
  const heading = wrap(`${path} after event ${at}: ${valueText(path, value)}`, width).map(style.strong);
  if (changed === null) return [...heading, 'no event has changed it'];
  const before = `event ${changed.seq} made it so; before: ${valueText(path, changed.before)}`;
  return [...heading, ...wrap(before, width), '', ...chain.flatMap((link) => linkLines(link, width, style))];
}

/** What happened, in its chain; an outside event says so. */
export function linkLines({ event, because }: Link, width: number, style: Terminal['style']): string[] {
  const from = event.cause === null ? 'from outside' : `caused by ${event.cause}`;
  const about = eventLine(event);
  return [
    `${style.strong(event.type)} ${style.dim(`event ${event.seq}, ${from}`)}`,
    ...(about === '' ? [] : wrap(`  ${about}`, width)),
    ...(because.length === 0
      ? []
      : facts(
          because.map((rule) => ['because', ruleText(rule)] as const),
          { width, indent: 2, headerStyle: style.dim },
        )),
  ];
}
