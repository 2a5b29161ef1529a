import { mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshVms, storeToPages } from '../../bench/faults.ts';
import type { Recorded } from '../../src/machine/events.ts';
import { createSimulation } from '../../src/machine/simulation.ts';
import { JournalError } from '../../src/record/journal/error.ts';
import { createJournal } from '../../src/record/journal/journal.ts';
import { timelineOfJournal } from '../../src/record/journal-timeline.ts';
import { stateHash } from '../../src/record/state-hash.ts';
import type { Timeline } from '../../src/record/timeline.ts';
import { timelineOf } from '../../src/record/timeline.ts';

const FAULTS = 1500;
const header = { source: 'stores', hash: '', seed: 1, preset: '6.12' };

let folder = '';
let events: Recorded[] = [];

const inFolder = (name: string): string => join(folder, name);

/** More events than two chunks of the log have, in a journal with checkpoints between them. */
function write(file: string): void {
  const journal = createJournal<Recorded>(file, header);
  for (const event of events) {
    journal.append(event);
    if (event.seq % 1000 === 0) journal.checkpoint('a state');
  }
  journal.close();
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'stagetwo-'));
  const simulation = createSimulation({ state: 'plain' });
  simulation.record((event, seq, cause, at) => events.push({ ...event, seq, cause, at }));
  freshVms(simulation, 1, FAULTS);
  storeToPages(simulation, 0, 0, FAULTS);
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  events = [];
});

const MOMENTS = [0, 1, 4094, 4095, 4096, 4097, 8191, 8192, 9000, 57];

function expectSame(timeline: Timeline): void {
  const held = timelineOf(events);
  expect(timeline.length).toBe(events.length);
  for (const seq of MOMENTS) {
    expect(timeline.event(seq)).toEqual(events[seq]);
    expect(stateHash(timeline.at(seq)), String(seq)).toBe(stateHash(held.at(seq)));
  }
}

describe('the timeline of a journal', () => {
  it.each(['whole.journal', 'whole.journal.gz'])('has the events and states of the run: %s', (name) => {
    write(inFolder(name));

    expectSame(timelineOfJournal(inFolder(name), { keyframeEvery: 500 }));
  });

  it('shows every record to who wants to see them, the last one too', () => {
    const file = inFolder('seen.journal');
    write(file);
    const kinds = new Map<string, number>();

    timelineOfJournal(file, { seen: ({ kind }) => kinds.set(kind, (kinds.get(kind) ?? 0) + 1) });

    expect(Object.fromEntries(kinds)).toEqual({
      event: events.length,
      checkpoint: Math.ceil(events.length / 1000),
      finish: 1,
    });
  });

  it('finds why a leaf is as it is without the events in memory', () => {
    const file = inFolder('why.journal');
    write(file);

    const { changed, chain } = timelineOfJournal(file, { keyframeEvery: 64 }).why('vm0.stage2[0x40003000]');

    expect(chain.map(({ event }) => event.type)).toEqual([
      'stage2-mapped',
      'stage2-map-begun',
      'stage2-faulted',
      'access-issued',
    ]);
    expect(changed).toMatchObject({
      before: null,
      seq: timelineOf(events).why('vm0.stage2[0x40003000]').changed?.seq,
    });
  });

  it('says where it was damaged since it was opened', () => {
    const file = inFolder('cut.journal');
    write(file);
    const timeline = timelineOfJournal(file);

    truncateSync(file, 2000);

    expect(() => timeline.event(4097)).toThrow(JournalError);
    expect(() => timeline.event(4097)).toThrow('changed since');
  });
});
