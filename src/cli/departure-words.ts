// What a finding of the hunt did: each departure from the typical run with what it sent to the device and what that
// did there, the turns that went another way, and the expectations that broke.

import { CHOICES } from '../guest/choices.ts';
import type { MachineEvent, Recorded } from '../machine/events.ts';
import type { Decision } from '../machine/hunt.ts';
import type { Finding } from '../machine/hunt-shrink.ts';
import { eventLine } from './event-words.ts';
import { wrap } from './layout.ts';
import type { Terminal } from './terminal.ts';

export function departureLines({ attempt, departures }: Finding, terminal: Terminal): string[] {
  const { columns, style } = terminal;
  const { events, expectations, stuck } = attempt.run;
  const indented = (text: string, by: number): string[] =>
    wrap(text, columns - by).map((line) => `${' '.repeat(by)}${line}`);
  const turns = departures.filter((it): it is Decision & { kind: 'turn' } => it.kind === 'turn');
  const taken = events.flatMap((event) => (event.type === 'choices-taken' ? [event] : []));
  return [
    ...taken.flatMap((event) => {
      const departed = event.choices.filter(({ chosen }) => chosen !== 0);
      if (departed.length === 0) return [];
      return [
        '',
        ...departed.flatMap(({ what }) => indented(`event ${event.seq}: ${what}: ${CHOICES[what]}`, 2)),
        ...sentBy(events, event).flatMap((sent) => indented(`${sent.type} ${eventLine(sent)}`, 4)),
      ];
    }),
    ...turns.flatMap(({ ready, chosen }) =>
      indented(`turn of ${ready[chosen]} where ${ready[0]} could go, too`, 2),
    ),
    '',
    ...expectations
      .filter(({ ok }) => !ok)
      .flatMap(({ what, expected, actual }) =>
        indented(`${what}: expected ${expected}; found ${actual}`, 2).map(style.bad),
      ),
    ...stuck.map((name) => style.bad(`  ${name} waits for a signal that nobody raises`)),
  ];
}

const SENT: ReadonlySet<MachineEvent['type']> = new Set(['transaction-issued', 'store-lines-drained']);

/** What left the processor in the same step, and what it did to a device. */
function sentBy(events: readonly Recorded[], { cause }: Recorded): Recorded[] {
  const sent = events.filter((it) => it.cause === cause && SENT.has(it.type));
  return sent.flatMap((it) => [
    it,
    ...events.filter(
      (other) =>
        other.cause === it.seq &&
        (other.type === 'device-read' || other.type === 'device-written') &&
        other.effect !== null,
    ),
  ]);
}
