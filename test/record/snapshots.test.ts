import { describe, expect, it } from 'vitest';
import { evolve } from '../../src/machine/evolve.ts';
import { initialState } from '../../src/machine/state.ts';
import { differences } from '../../src/record/difference.ts';
import { copyState } from '../../src/record/state-copy.ts';
import { timelineOf } from '../../src/record/timeline.ts';
import { recordedRun } from './recorded.ts';

/** Little is held, so that nearly every state is made anew. */
const TIGHT = { keyframeEvery: 7, keyframes: 4, recent: 3, heldEvents: 0 };

describe('a timeline that holds little', () => {
  it('has the same state after every event as one that holds everything', () => {
    const all = recordedRun('6.12', 'immer').timeline;
    for (const mode of ['immer', 'plain'] as const) {
      const { timeline } = recordedRun('6.12', mode, TIGHT);
      expect(timeline.length).toBe(all.length);
      for (let seq = timeline.length - 1; seq >= -1; seq -= 1) {
        expect(differences(all.snapshotAt(seq), timeline.snapshotAt(seq)), `${mode} ${seq}`).toEqual([]);
      }
    }
  });

  it('has it in whatever order one asks', () => {
    const all = recordedRun('6.1', 'immer').timeline;
    const { timeline } = recordedRun('6.1', 'plain', TIGHT);
    for (let step = 0; step < 200; step += 1) {
      const seq = ((step * 37) % (timeline.length + 1)) - 1;
      expect(differences(all.at(seq), timeline.at(seq)), String(seq)).toEqual([]);
    }
  });

  it('gives immutable states that later events leave alone', () => {
    const { timeline } = recordedRun('6.12', 'plain', TIGHT);
    for (let seq = -1; seq < timeline.length; seq += 1) {
      const state = timeline.at(seq);
      expect(Object.isFrozen(state) && state.vms.every(Object.isFrozen)).toBe(true);
    }
    const events = Array.from({ length: timeline.length }, (_, seq) => timeline.event(seq));
    const plain = initialState();
    for (const event of events) evolve(plain, event);
    expect(timeline.at(timeline.length - 1)).toEqual(plain);
  });

  it('is made of recorded events as well', () => {
    const { timeline, run } = recordedRun('6.12');
    const again = timelineOf(run.events, TIGHT);
    for (let seq = -1; seq < timeline.length; seq += 1) {
      expect(differences(timeline.at(seq), again.at(seq)), String(seq)).toEqual([]);
    }
  });
});

describe('events that are packed', () => {
  it('come back exactly', () => {
    const { run } = recordedRun('6.12');
    const [first] = run.events;
    const many = Array.from({ length: 10_000 }, (_, seq) => ({
      ...(run.events[seq] ?? first),
      seq,
    })) as typeof run.events;
    const timeline = timelineOf(many, { ...TIGHT, heldEvents: 100 });
    for (const seq of [0, 4095, 4096, 57, 9999, 8191]) expect(timeline.event(seq)).toEqual(many[seq]);
  });
});

describe('a copy of a state', () => {
  it('stays as it was whatever happens afterwards, registers and interrupts included', () => {
    const { run } = recordedRun('6.12');
    const live = initialState();
    for (const [seq, event] of run.events.entries()) {
      const copy = copyState(live);
      const was = structuredClone({ ...copy, vms: [], devices: copy.devices.map(({ vgics }) => vgics) });
      evolve(live, event);
      const is = { ...copy, vms: [], devices: copy.devices.map(({ vgics }) => vgics) };
      expect(is, String(seq)).toEqual(was);
      expect(differences(copy, run.snapshot(seq)).length > 0 || seq > 0).toBe(true);
    }
  });
});
