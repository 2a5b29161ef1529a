// A run as a trace for ui.perfetto.dev (protos/perfetto/trace): a process for the host, for its devices and for each
// VM, a track for each vCPU and for KVM on its behalf. Every event is an instant, every access a slice, and a flow
// leads from each cause to each of its effects.

import type { Recorded } from '../../machine/events.ts';
import type { Message } from './protobuf.ts';
import { addFixed64, addMessage, addText, addVarint } from './protobuf.ts';

/** What is exported: events, and names for the tracks. */
export interface PerfettoRun {
  readonly length: number;
  event(seq: number): Recorded;
  readonly vms: readonly string[];
  readonly vcpus: readonly { readonly vm: number; readonly index: number }[];
  readonly devices: readonly string[];
}

/** Field numbers of the protos. */
const TRACE = { packet: 1 };
const PACKET = {
  timestamp: 8,
  sequence: 10,
  trackEvent: 11,
  internedData: 12,
  sequenceFlags: 13,
  trackDescriptor: 60,
};
const DESCRIPTOR = { uuid: 1, name: 2, process: 3, parent: 5 };
const PROCESS = { pid: 1, name: 6 };
const EVENT = { annotation: 4, type: 9, nameIid: 10, track: 11, name: 23, flow: 47, terminatingFlow: 48 };
const INTERNED = { eventNames: 2 };
const EVENT_NAME = { iid: 1, name: 2 };
const ANNOTATION = { name: 10, uint: 3, text: 6 };

const SLICE_BEGIN = 1;
const SLICE_END = 2;
const INSTANT = 3;

const STATE_CLEARED = 1;
const NEEDS_STATE = 2;

const SEQUENCE = 1;

/** What KVM does on behalf of a vCPU, in its thread but not in the guest. */
const BY_KVM: ReadonlySet<Recorded['type']> = new Set<Recorded['type']>([
  'vcpu-run',
  'stage2-map-begun',
  'stage2-mapped',
  'stage2-relaxed',
  'stage2-made-young',
  'fault-retried',
  'guest-reentered',
  'instruction-skipped',
  'abort-injected',
  'mmio-exited',
  'mmio-handled',
  'sea-exited',
  'serror-injected',
  'nisv-exited',
  'run-failed',
]);

/** After these the pending access of the vCPU is over. */
const ENDS_ACCESS: ReadonlySet<Recorded['type']> = new Set<Recorded['type']>([
  'access-completed',
  'stage1-faulted',
  'abort-injected',
  'sea-exited',
  'serror-injected',
  'nisv-exited',
  'run-failed',
]);

/** The trace in pieces, one for each packet or two, to be written one after the other. */
export function* perfettoTrace(run: PerfettoRun): Generator<Uint8Array> {
  const writer = createWriter(run);
  const effects = effectsOf(run);
  const open = new Set<number>();
  for (let seq = 0; seq < run.length; seq++) {
    const event = run.event(seq);
    const vcpu = 'vcpu' in event ? event.vcpu : null;
    if (event.type === 'access-issued' && open.has(event.vcpu)) yield* writer.end(event.vcpu, event.at);
    yield* writer.event(event, effects.get(seq) ?? []);
    if (vcpu === null) continue;
    if (event.type === 'access-issued') open.add(vcpu);
    else if (ENDS_ACCESS.has(event.type) && open.delete(vcpu)) yield* writer.end(vcpu, event.at + 1);
  }
}

function effectsOf(run: PerfettoRun): ReadonlyMap<number, readonly number[]> {
  const effects = new Map<number, number[]>();
  for (let seq = 0; seq < run.length; seq++) {
    const { cause } = run.event(seq);
    if (cause === null) continue;
    const known = effects.get(cause);
    if (known === undefined) effects.set(cause, [seq]);
    else known.push(seq);
  }
  return effects;
}

/** A track of a process, or of what stands for one. */
interface Place {
  readonly group: string;
  readonly track: string;
}

function placeOf(run: PerfettoRun, event: Recorded): Place {
  if ('device' in event && typeof event.device === 'number') {
    return { group: 'devices', track: run.devices[event.device] ?? `device ${event.device}` };
  }
  if ('vcpu' in event) return vcpuPlace(run, event.vcpu, BY_KVM.has(event.type));
  if ('vm' in event && typeof event.vm === 'number') return { group: vmName(run, event.vm), track: 'VMM' };
  return { group: 'host', track: event.type === 'transaction-unclaimed' ? 'interconnect' : 'host' };
}

function vcpuPlace(run: PerfettoRun, id: number, byKvm: boolean): Place {
  const { vm = 0, index = id } = run.vcpus[id] ?? {};
  return { group: vmName(run, vm), track: byKvm ? `KVM for vCPU ${index}` : `vCPU ${index}` };
}

const vmName = ({ vms }: PerfettoRun, vm: number): string => `vm${vm} ${vms[vm] ?? ''}`.trimEnd();

function createWriter(run: PerfettoRun) {
  const uuids = new Map<string, number>();
  const names = new Map<string, number>();
  let processes = 0;

  /** The track's number, and its descriptors if it is new. */
  function* trackOf({ group, track }: Place): Generator<Uint8Array, number> {
    const parent = uuids.get(group);
    if (parent === undefined) {
      const uuid = uuids.size + 1;
      uuids.set(group, uuid);
      processes += 1;
      yield descriptorPacket(uuid, group, { pid: processes });
    }
    const key = `${group}\n${track}`;
    const known = uuids.get(key);
    if (known !== undefined) return known;
    const uuid = uuids.size + 1;
    uuids.set(key, uuid);
    yield descriptorPacket(uuid, track, { parent: uuids.get(group) ?? 0 });
    return uuid;
  }

  return {
    *event(event: Recorded, effects: readonly number[]): Generator<Uint8Array> {
      const track = yield* trackOf(placeOf(run, event));
      const packet = startPacket(event.at, names.size === 0);
      let iid = names.get(event.type);
      if (iid === undefined) {
        iid = names.size + 1;
        names.set(event.type, iid);
        addMessage(packet, PACKET.internedData, internedName(iid, event.type));
      }
      addMessage(packet, PACKET.trackEvent, trackEvent(event, track, iid, effects));
      yield wrapped(packet);
    },
    *end(vcpu: number, at: number): Generator<Uint8Array> {
      const track = yield* trackOf(vcpuPlace(run, vcpu, false));
      const packet = startPacket(at, false);
      const body: Message = [];
      addVarint(body, EVENT.type, SLICE_END);
      addVarint(body, EVENT.track, track);
      addMessage(packet, PACKET.trackEvent, body);
      yield wrapped(packet);
    },
  };
}

function startPacket(at: number, isFirst: boolean): Message {
  const packet: Message = [];
  addVarint(packet, PACKET.timestamp, at);
  addVarint(packet, PACKET.sequence, SEQUENCE);
  addVarint(packet, PACKET.sequenceFlags, isFirst ? STATE_CLEARED + NEEDS_STATE : NEEDS_STATE);
  return packet;
}

function wrapped(packet: Message): Uint8Array {
  const trace: Message = [];
  addMessage(trace, TRACE.packet, packet);
  return Uint8Array.from(trace);
}

function descriptorPacket(
  uuid: number,
  name: string,
  kind: { pid: number } | { parent: number },
): Uint8Array {
  const descriptor: Message = [];
  addVarint(descriptor, DESCRIPTOR.uuid, uuid);
  if ('pid' in kind) {
    const owner: Message = [];
    addVarint(owner, PROCESS.pid, kind.pid);
    addText(owner, PROCESS.name, name);
    addMessage(descriptor, DESCRIPTOR.process, owner);
  } else {
    addText(descriptor, DESCRIPTOR.name, name);
    addVarint(descriptor, DESCRIPTOR.parent, kind.parent);
  }
  const packet: Message = [];
  addVarint(packet, PACKET.sequence, SEQUENCE);
  addMessage(packet, PACKET.trackDescriptor, descriptor);
  return wrapped(packet);
}

function internedName(iid: number, name: string): Message {
  const entry: Message = [];
  addVarint(entry, EVENT_NAME.iid, iid);
  addText(entry, EVENT_NAME.name, name);
  const interned: Message = [];
  addMessage(interned, INTERNED.eventNames, entry);
  return interned;
}

/** A flow has the number of its effect: an event continues one flow for each effect, and ends its own. */
function trackEvent(event: Recorded, track: number, iid: number, effects: readonly number[]): Message {
  const body: Message = [];
  addVarint(body, EVENT.type, event.type === 'access-issued' ? SLICE_BEGIN : INSTANT);
  addVarint(body, EVENT.track, track);
  if (event.type === 'access-issued') addText(body, EVENT.name, accessName(event.access));
  else addVarint(body, EVENT.nameIid, iid);
  addAnnotation(body, 'seq', event.seq);
  if (event.cause !== null) addAnnotation(body, 'cause', event.cause);
  if ('because' in event && event.because !== null) addAnnotation(body, 'because', event.because);
  for (const effect of effects) addFixed64(body, EVENT.flow, effect + 1);
  if (event.cause !== null) addFixed64(body, EVENT.terminatingFlow, event.seq + 1);
  return body;
}

type Issued = Extract<Recorded, { readonly type: 'access-issued' }>;

const accessName = ({ kind, size, ipa, va }: Issued['access']): string =>
  `${kind} of ${size} B at ${ipa === null ? `va 0x${va.toString(16)}` : `ipa 0x${ipa.toString(16)}`}`;

function addAnnotation(body: Message, name: string, value: number | string): void {
  const annotation: Message = [];
  addText(annotation, ANNOTATION.name, name);
  if (typeof value === 'number') addVarint(annotation, ANNOTATION.uint, value);
  else addText(annotation, ANNOTATION.text, value);
  addMessage(body, EVENT.annotation, annotation);
}
