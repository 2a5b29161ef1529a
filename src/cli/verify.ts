// `stagetwo verify`: a journal read to its end, every line checked, replayed, and the state compared with every hash
// that the run left in it; then its scenario or bundle is run again and every event compared.

import type { Recorded } from '../machine/events.ts';
import { evolve } from '../machine/evolve.ts';
import { initialState } from '../machine/state.ts';
import { openJournal } from '../record/journal/journal.ts';
import { stateHash } from '../record/state-hash.ts';
import { facts, wrap } from './layout.ts';
import type { RunAgain } from './run-again.ts';
import { runAgain } from './run-again.ts';
import type { Terminal } from './terminal.ts';
import { count, grouped, toJson } from './words.ts';

export interface VerifyOptions {
  readonly json?: boolean;
}

interface Verdict {
  readonly events: number;
  readonly checkpoints: number;
  /** The first checkpoint whose state is another; null if there is none. */
  readonly mismatch: { readonly seq: number; readonly recorded: string; readonly replayed: string } | null;
  readonly ending: 'closed' | 'open' | 'torn';
  readonly again: RunAgain;
}

/**
 * @returns exit status: 1 where a replayed state or an event of the run done again differs from the recorded one
 * @throws JournalError for what is no journal, and for one that is damaged
 */
export async function verify(file: string, { json }: VerifyOptions, terminal: Terminal): Promise<number> {
  const { header } = openJournal<Recorded>(file);
  const read = replayed(file, terminal);
  terminal.progress(`running ${header.source} again`);
  const again = await runAgain(file, header, read.ending === 'closed');
  terminal.progress('');
  const verdict = { ...read, again };
  if (json === true) terminal.out(toJson({ journal: file, ...header, ...verdict }));
  else {
    const { columns: width, style } = terminal;
    const { mismatch } = verdict;
    const same =
      verdict.checkpoints === 0
        ? 'no checkpoint to compare with'
        : `${count(verdict.checkpoints, 'checkpoint')}, each the state that a replay gives`;
    const lines = facts(
      [
        ['recorded from', `${header.source}, kernel ${header.preset}`],
        ['events', `${grouped(verdict.events)}, every line whole`],
        ['end', ENDINGS[verdict.ending]],
        mismatch === null
          ? ['states', verdict.checkpoints === 0 ? same : { text: same, style: style.good }]
          : [
              'states',
              { text: `after event ${mismatch.seq} a replay gives another state`, style: style.bad },
            ],
        ['run again', againWords(again, style)],
      ],
      { width, headerStyle: style.dim },
    );
    terminal.out(`${[...wrap(file, width).map(style.strong), ...lines].join('\n')}\n`);
  }
  return verdict.mismatch === null && again.kind !== 'different' ? 0 : 1;
}

const ENDINGS: Readonly<Record<Verdict['ending'], string>> = {
  closed: 'closed as it should be',
  open: 'not closed: the run stopped early or is still writing',
  torn: 'cut within a line, as a crash leaves it; everything before is whole',
};

function againWords(again: RunAgain, style: Terminal['style']) {
  if (again.kind === 'same') return { text: `the same ${count(again.events, 'event')}`, style: style.good };
  if (again.kind === 'not-run') return `no: ${again.why}`;
  const { seq, recorded, now } = again;
  const words =
    recorded === now
      ? `event ${seq}, ${now}, says something else`
      : `event ${seq} is ${now ?? 'not there'}, the journal has ${recorded ?? 'no more'}`;
  return { text: words, style: style.bad };
}

function replayed(file: string, terminal: Terminal): Omit<Verdict, 'again'> {
  const state = initialState();
  let checkpoints = 0;
  let mismatch: Verdict['mismatch'] = null;
  for (const record of openJournal<Recorded>(file).records()) {
    if (record.kind === 'event') {
      evolve(state, record.event);
      const { seq } = record.event;
      if (seq % 50_000 === 0) terminal.progress(`replaying ${file}: ${grouped(seq)} events`);
    } else if (record.kind === 'checkpoint') {
      checkpoints += 1;
      const hash = stateHash(state);
      if (hash !== record.state) mismatch ??= { seq: record.seq, recorded: record.state, replayed: hash };
    } else {
      terminal.progress('');
      return { events: record.events, checkpoints, mismatch, ending: record.ending };
    }
  }
  throw new Error(`${file}: the journal ended without saying how`);
}
