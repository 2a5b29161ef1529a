import { ActionCreators, instrument } from '@redux-devtools/instrument';
import { legacy_createStore } from 'redux';
import type { Recorded } from 'stagetwo';
import { describe, expect, it } from 'vitest';
import { junitXml } from '../../../src/trace/export/junit.ts';
import { MOST_REDUX_EVENTS, reduxDocument } from '../../../src/trace/export/redux.ts';
import { vitestFile } from '../../../src/trace/export/vitest-file.ts';
import { recordedRun } from '../../record/recorded.ts';

const JUDGED = {
  scenario: "a <story> & it's end",
  kernel: '6.1',
  seed: 3,
  schedule: [0, 0, 1],
  expectations: [
    { what: 'guest died', expected: 'errno "EFAULT"', actual: 'lives\u0007', ok: false },
    { what: 'nic received', expected: '1', actual: '1', ok: true },
  ],
};

describe('JUnit XML', () => {
  it('has a case for each expectation, whatever characters it holds', () => {
    const xml = junitXml(JUDGED);
    expect(xml).toContain('<testsuites tests="2" failures="1">');
    expect(xml).toContain('name="a &lt;story&gt; &amp; it\'s end"');
    expect(xml).toContain('<failure message="expected errno &quot;EFAULT&quot;; found lives "/>');
    expect(xml.match(/<testcase/g)).toHaveLength(2);
  });
});

describe('a vitest file', () => {
  it('asks for what failed, under the same kernel, seed and schedule', () => {
    const file = vitestFile(JUDGED, './story.ts') ?? '';
    expect(file).toContain("import story from './story.ts';");
    expect(file).toContain('const SCHEDULE = [0,0,1];');
    expect(file).toContain("runScenario(story, { kernel: '6.1', seed: 3, schedule: SCHEDULE })");
    expect(file).toContain('it(\'guest died: errno "EFAULT"\', () => {');
    expect(file).toContain("describe('a <story> & it\\'s end, kernel 6.1'");
    expect(file).not.toContain('nic received');
  });

  it('is not written where nothing failed', () => {
    const expectations = JUDGED.expectations.filter(({ ok }) => ok);
    expect(vitestFile({ ...JUDGED, expectations }, './story.ts')).toBeNull();
  });
});

/** The part of the lifted store that the test asks. */
interface Lifted {
  dispatch(action: unknown): void;
  getState(): {
    readonly currentStateIndex: number;
    readonly actionsById: Readonly<Record<number, { readonly action: Partial<Recorded> }>>;
  };
}

/** As a file carries it; numbers beyond JSON as text. */
const throughJson = (value: unknown) =>
  JSON.parse(JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? `${part}` : part)));

describe('a Redux DevTools document', () => {
  it('has an action and a state for each event, and the state before', () => {
    const { run } = recordedRun('6.12');
    const events = run.events.slice(0, 20);
    const { actionsById, computedStates, stagedActionIds, currentStateIndex } = reduxDocument(
      events,
      (seq) => ({ seq }),
    );
    expect(stagedActionIds).toHaveLength(21);
    expect(currentStateIndex).toBe(20);
    expect(actionsById[1]).toMatchObject({ type: 'PERFORM_ACTION', action: { type: 'host-booted' } });
    expect(computedStates.at(0)).toEqual({ state: { seq: -1 } });
    expect(computedStates.at(-1)).toEqual({ state: { seq: 19 } });
  });

  it('is imported by Redux DevTools, which then travel to any event', () => {
    const { run, timeline } = recordedRun('6.1');
    const document = reduxDocument(run.events, (seq) => timeline.at(seq).vms);
    const store = legacy_createStore((state: unknown = null) => state, instrument());
    const { liftedStore } = store as typeof store & { readonly liftedStore: Lifted };

    liftedStore.dispatch(ActionCreators.importState(throughJson(document), true));
    expect(store.getState()).toEqual(throughJson(timeline.at(run.events.length - 1).vms));
    for (const seq of [0, 5, run.events.length - 2]) {
      liftedStore.dispatch(ActionCreators.jumpToAction(seq + 1));
      expect(store.getState()).toEqual(throughJson(timeline.at(seq).vms));
      const lifted = liftedStore.getState();
      expect(lifted.actionsById[lifted.currentStateIndex]?.action).toMatchObject({
        type: run.events[seq]?.type,
        seq,
      });
    }
  });

  it('refuses a run that is too long for it', () => {
    const [event] = recordedRun('6.12').run.events;
    const many = Array.from({ length: MOST_REDUX_EVENTS + 1 }, () => event).filter((it) => it !== undefined);
    expect(() => reduxDocument(many, () => null)).toThrow(RangeError);
  });
});
