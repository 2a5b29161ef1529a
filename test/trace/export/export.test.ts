import { describe, expect, it } from 'vitest';
import { junitXml } from '../../../src/trace/export/junit.ts';
import { perfettoTrace } from '../../../src/trace/export/perfetto.ts';
import { addFixed64, addVarint } from '../../../src/trace/export/protobuf.ts';
import { MOST_REDUX_EVENTS, reduxDocument } from '../../../src/trace/export/redux.ts';
import { vitestFile } from '../../../src/trace/export/vitest-file.ts';
import { recordedRun } from '../../record/recorded.ts';
import type { Fields } from './protobuf-reader.ts';
import { inner, numberOf, readMessage, text } from './protobuf-reader.ts';

/** Packets of the trace of a run under 6.1, in order. */
function packetsOf(kernel: string): {
  readonly packets: readonly Fields[];
  readonly run: ReturnType<typeof recordedRun>;
} {
  const run = recordedRun(kernel);
  const { timeline } = run;
  const last = timeline.at(timeline.length - 1);
  const trace = perfettoTrace({
    length: timeline.length,
    event: timeline.event,
    vms: last.vms.map(({ name }) => name),
    vcpus: last.vcpus,
    devices: last.devices.map(({ description }) => description.name),
  });
  const bytes = Buffer.concat([...trace]);
  return { packets: inner(readMessage(bytes), 1), run };
}

const TRACK_EVENT = 11;
const DESCRIPTOR = 60;

const eventsIn = (packets: readonly Fields[]): Fields[] =>
  packets.flatMap((packet) => inner(packet, TRACK_EVENT));

describe('a Perfetto trace', () => {
  it('has a track for the guest, for KVM on behalf of its vCPU, for each device and for the host', () => {
    const { packets } = packetsOf('6.1');

    const descriptors = packets.flatMap((packet) => inner(packet, DESCRIPTOR));
    const processes = descriptors.flatMap((it) => inner(it, 3)).map((it) => text(it, 6));
    const tracks = descriptors.map((it) => text(it, 2)).filter((name) => name !== null);

    expect(processes).toEqual(['host', 'devices', 'vm0 guest']);
    expect(tracks).toEqual(expect.arrayContaining(['host', 'nic', 'VMM', 'vCPU 0', 'KVM for vCPU 0']));
    const uuids = descriptors.map((it) => numberOf(it, 1));
    expect(new Set(uuids).size).toBe(descriptors.length);
    for (const it of descriptors) if (text(it, 2) !== null) expect(uuids).toContain(numberOf(it, 5));
  });

  it('has every event once, in order of time, on a track that is described before it', () => {
    const { packets, run } = packetsOf('6.12');
    const known = new Set<number | null>();
    const seqs: (number | null)[] = [];
    let time = 0;
    for (const packet of packets) {
      for (const it of inner(packet, DESCRIPTOR)) known.add(numberOf(it, 1));
      for (const event of inner(packet, TRACK_EVENT)) {
        expect(known.has(numberOf(event, 11))).toBe(true);
        const at = numberOf(packet, 8) ?? -1;
        expect(at).toBeGreaterThanOrEqual(time);
        time = at;
        const seq = inner(event, 4).find((it) => text(it, 10) === 'seq');
        if (seq !== undefined) seqs.push(numberOf(seq, 3));
      }
    }
    expect(seqs).toEqual(Array.from({ length: run.timeline.length }, (_, seq) => seq));
  });

  it('leads from each cause to each of its effects', () => {
    const { packets, run } = packetsOf('6.12');
    const starts = new Map<bigint, number>();
    const ends = new Map<bigint, number>();
    for (const event of eventsIn(packets)) {
      const seq = inner(event, 4).find((it) => text(it, 10) === 'seq');
      if (seq === undefined) continue;
      const id = numberOf(seq, 3) ?? -1;
      for (const flow of event.get(47) ?? []) starts.set(flow as bigint, id);
      for (const flow of event.get(48) ?? []) ends.set(flow as bigint, id);
    }
    let effects = 0;
    for (let seq = 0; seq < run.timeline.length; seq += 1) {
      const { cause } = run.timeline.event(seq);
      if (cause === null) continue;
      effects += 1;
      expect([starts.get(BigInt(seq + 1)), ends.get(BigInt(seq + 1))]).toEqual([cause, seq]);
    }
    expect(starts.size).toBe(effects);
  });

  it('opens a slice for each access and closes it, and names events by interned names', () => {
    const { packets, run } = packetsOf('6.1');
    const types = eventsIn(packets).map((event) => numberOf(event, 9));
    const issued = run.run.events.filter(({ type }) => type === 'access-issued').length;
    expect(types.filter((type) => type === 1)).toHaveLength(issued);
    expect(types.filter((type) => type === 2)).toHaveLength(issued);
    const interned = packets.flatMap((packet) => inner(packet, 12)).flatMap((it) => inner(it, 2));
    const names = new Map(interned.map((it) => [numberOf(it, 1), text(it, 2)]));
    const named = eventsIn(packets).flatMap((event) => numberOf(event, 10) ?? []);
    expect(named.map((iid) => names.get(iid))).toContain('run-failed');
    expect(numberOf(packets.find((packet) => packet.has(TRACK_EVENT)) ?? new Map(), 13)).toBe(3);
  });
});

describe('the wire format', () => {
  it.each([0, 1, 127, 128, 300, 2 ** 31, 2 ** 32, 2 ** 45 + 7, Number.MAX_SAFE_INTEGER])(
    'holds %d',
    (value) => {
      const message: number[] = [];
      addVarint(message, 1, value);
      addFixed64(message, 2, value);
      const fields = readMessage(Uint8Array.from(message));
      expect(fields.get(1)).toEqual([value]);
      expect(fields.get(2)).toEqual([BigInt(value)]);
    },
  );
});

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

  it('refuses a run that is too long for it', () => {
    const [event] = recordedRun('6.12').run.events;
    const many = Array.from({ length: MOST_REDUX_EVENTS + 1 }, () => event).filter((it) => it !== undefined);
    expect(() => reduxDocument(many, () => null)).toThrow(RangeError);
  });
});
