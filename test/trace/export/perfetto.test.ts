import protobuf from 'protobufjs';
import type { Recorded } from 'stagetwo';
import { describe, expect, it } from 'vitest';
import type { Timeline } from '../../../src/record/timeline.ts';
import { timelineOf } from '../../../src/record/timeline.ts';
import { perfettoTrace } from '../../../src/trace/export/perfetto.ts';
import { addFixed64, addVarint } from '../../../src/trace/export/protobuf.ts';
import { recordedRun } from '../../record/recorded.ts';
import { captureEvents, storyEvents } from '../../runs/runs.ts';
import type { Packet, TrackEvent } from './perfetto-proto.ts';
import { packetsIn } from './perfetto-proto.ts';

function packetsOf(timeline: Timeline): readonly Packet[] {
  const last = timeline.at(timeline.length - 1);
  const trace = perfettoTrace({
    length: timeline.length,
    event: timeline.event,
    vms: last.vms.map(({ name }) => name),
    vcpus: last.vcpus,
    devices: last.devices.map(({ description }) => description.name),
  });
  return packetsIn(Buffer.concat([...trace]));
}

const seqOf = ({ debugAnnotations = [] }: TrackEvent): number | undefined =>
  debugAnnotations.find(({ name }) => name === 'seq')?.uintValue;

/** `process / track` by uuid, as the viewer draws them. */
function tracksIn(packets: readonly Packet[]): ReadonlyMap<number, string> {
  const processes = new Map<number, string>();
  const tracks = new Map<number, string>();
  for (const { trackDescriptor: it } of packets) {
    if (it === undefined) continue;
    if (tracks.has(it.uuid) || processes.has(it.uuid)) expect.fail(`uuid ${it.uuid} twice`);
    if (it.process !== undefined) processes.set(it.uuid, it.process.processName);
    else tracks.set(it.uuid, `${processes.get(it.parentUuid ?? -1)} / ${it.name}`);
  }
  return tracks;
}

/** What the format and the viewer ask of every trace, and what ours promises besides. */
function check(timeline: Timeline): ReadonlyMap<number, string> {
  const packets = packetsOf(timeline);
  const tracks = tracksIn(packets);
  const described = new Set<number>();
  const names = new Map<number, string>();
  const depth = new Map<number, number>();
  const flows = new Map<number, number>();
  const seqs: number[] = [];
  let time = 0;
  for (const { trackDescriptor, internedData, trackEvent, timestamp = -1, ...packet } of packets) {
    if (packet.trustedPacketSequenceId !== 1) expect.fail('a packet is of no sequence');
    if (trackDescriptor !== undefined) described.add(trackDescriptor.uuid);
    for (const { iid, name } of internedData?.eventNames ?? []) names.set(iid, name);
    if (trackEvent === undefined) continue;
    const { trackUuid, type, flowIds = [], terminatingFlowIds = [] } = trackEvent;
    if (!described.has(trackUuid)) expect.fail(`track ${trackUuid} is used before it is described`);
    if (timestamp < time) expect.fail(`${timestamp} comes after ${time}`);
    time = timestamp;
    if (type !== 'TYPE_INSTANT') {
      const open = (depth.get(trackUuid) ?? 0) + (type === 'TYPE_SLICE_BEGIN' ? 1 : -1);
      if (open < 0 || open > 1) expect.fail(`${open} accesses are open on ${tracks.get(trackUuid)}`);
      depth.set(trackUuid, open);
    }
    const seq = seqOf(trackEvent);
    if (seq === undefined) continue;
    seqs.push(seq);
    const event = timeline.event(seq);
    const isNamed = type !== 'TYPE_INSTANT' || names.get(trackEvent.nameIid ?? -1) === event.type;
    if (!isNamed) expect.fail(`event ${seq} has another name than ${event.type}`);
    for (const flow of flowIds) flows.set(flow, seq);
    const causes = terminatingFlowIds.map((flow) => flows.get(flow));
    if (causes.length > 1 || (causes[0] ?? null) !== event.cause)
      expect.fail(`event ${seq} comes from ${causes}`);
    for (const flow of terminatingFlowIds) flows.delete(flow);
  }
  expect(seqs).toEqual(Array.from({ length: timeline.length }, (_, seq) => seq));
  expect([...flows.keys()], 'flows that lead nowhere').toEqual([]);
  return tracks;
}

const recorded = (events: readonly Recorded[]): Timeline => timelineOf(events);

describe('a Perfetto trace', () => {
  it('has a track for the guest, for KVM on behalf of its vCPU, for each device and for the host', () => {
    const tracks = [...check(recordedRun('6.1').timeline).values()];

    expect(tracks).toEqual(
      expect.arrayContaining([
        'host / host',
        'devices / nic',
        'vm0 guest / VMM',
        'vm0 guest / vCPU 0',
        'vm0 guest / KVM for vCPU 0',
      ]),
    );
  });

  it('keeps VMs and vCPUs apart', async () => {
    const story = 'scenarios/two-vms.ts';
    const timeline = recorded(await storyEvents(story, '6.12'));
    const tracks = [...check(timeline).values()];
    for (const [vm, { name }] of timeline.at(timeline.length - 1).vms.entries()) {
      expect(tracks).toContain(`vm${vm} ${name} / vCPU 0`);
      expect(tracks).toContain(`vm${vm} ${name} / KVM for vCPU 0`);
    }
    const smp = [...check(recorded(captureEvents('6.1-gicv3-max-smp2'))).values()];
    for (const vcpu of [0, 1]) expect(smp).toContain(`vm0 vm0 / KVM for vCPU ${vcpu}`);
  });

  it('opens a slice for each access, named by what it does and where', () => {
    const { timeline, run } = recordedRun('6.12');
    const events = packetsOf(timeline).flatMap(({ trackEvent }) => trackEvent ?? []);
    const begun = events.filter(({ type }) => type === 'TYPE_SLICE_BEGIN');
    expect(begun).toHaveLength(run.events.filter(({ type }) => type === 'access-issued').length);
    expect(events.filter(({ type }) => type === 'TYPE_SLICE_END')).toHaveLength(begun.length);
    expect(begun[0]?.name).toMatch(/^write of 8 B at (ipa|va) 0x[0-9a-f]+$/);
  });

  it('says with its first packet that it needs nothing from before', () => {
    const flags = packetsOf(recordedRun('6.1').timeline)
      .filter(({ trackEvent }) => trackEvent !== undefined)
      .map(({ sequenceFlags }) => sequenceFlags);
    expect(flags[0]).toBe(3);
    expect(new Set(flags.slice(1))).toEqual(new Set([2]));
  });
});

describe('the wire format', () => {
  it.each([0, 1, 127, 128, 300, 2 ** 31, 2 ** 32, 2 ** 45 + 7, Number.MAX_SAFE_INTEGER])(
    'holds %d',
    (value) => {
      const message: number[] = [];
      addVarint(message, 1, value);
      addFixed64(message, 2, value);
      const reader = protobuf.Reader.create(Uint8Array.from(message));
      expect([reader.uint32(), Number(reader.uint64())]).toEqual([1 << 3, value]);
      expect([reader.uint32(), Number(reader.fixed64())]).toEqual([(2 << 3) | 1, value]);
      expect(reader.pos).toBe(message.length);
    },
  );
});
