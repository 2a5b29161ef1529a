// The published format, read by a protobuf library: the messages of protos/perfetto/trace that a trace of ours uses,
// with the numbers and types that Perfetto gives their fields. A field that is not here fails the reading.

import protobuf from 'protobufjs';

/** trace.proto, trace_packet.proto, interned_data.proto, and in track_event/ the files named as their messages. */
const PUBLISHED = `
  syntax = "proto2";
  package perfetto.protos;
  message Trace { repeated TracePacket packet = 1; }
  message TracePacket {
    enum SequenceFlags {
      SEQ_UNSPECIFIED = 0;
      SEQ_INCREMENTAL_STATE_CLEARED = 1;
      SEQ_NEEDS_INCREMENTAL_STATE = 2;
    }
    optional uint64 timestamp = 8;
    optional uint32 trusted_packet_sequence_id = 10;
    optional TrackEvent track_event = 11;
    optional InternedData interned_data = 12;
    optional uint32 sequence_flags = 13;
    optional TrackDescriptor track_descriptor = 60;
  }
  message InternedData { repeated EventName event_names = 2; }
  message EventName { optional uint64 iid = 1; optional string name = 2; }
  message TrackDescriptor {
    optional uint64 uuid = 1;
    optional string name = 2;
    optional ProcessDescriptor process = 3;
    optional uint64 parent_uuid = 5;
  }
  message ProcessDescriptor { optional int32 pid = 1; optional string process_name = 6; }
  message TrackEvent {
    enum Type {
      TYPE_UNSPECIFIED = 0;
      TYPE_SLICE_BEGIN = 1;
      TYPE_SLICE_END = 2;
      TYPE_INSTANT = 3;
      TYPE_COUNTER = 4;
    }
    repeated DebugAnnotation debug_annotations = 4;
    optional Type type = 9;
    oneof name_field { uint64 name_iid = 10; string name = 23; }
    optional uint64 track_uuid = 11;
    repeated fixed64 flow_ids = 47;
    repeated fixed64 terminating_flow_ids = 48;
  }
  message DebugAnnotation {
    oneof name_field { uint64 name_iid = 1; string name = 10; }
    oneof value {
      bool bool_value = 2;
      uint64 uint_value = 3;
      int64 int_value = 4;
      double double_value = 5;
      string string_value = 6;
    }
  }
`;

export interface Packet {
  readonly timestamp?: number;
  readonly trustedPacketSequenceId?: number;
  readonly trackEvent?: TrackEvent;
  readonly internedData?: {
    readonly eventNames?: readonly { readonly iid: number; readonly name: string }[];
  };
  readonly sequenceFlags?: number;
  readonly trackDescriptor?: {
    readonly uuid: number;
    readonly name?: string;
    readonly parentUuid?: number;
    readonly process?: { readonly pid: number; readonly processName: string };
  };
}

export interface TrackEvent {
  readonly type: string;
  readonly nameIid?: number;
  readonly name?: string;
  readonly trackUuid: number;
  readonly flowIds?: readonly number[];
  readonly terminatingFlowIds?: readonly number[];
  readonly debugAnnotations?: readonly {
    readonly name: string;
    readonly uintValue?: number;
    readonly stringValue?: string;
  }[];
}

const Trace = protobuf.parse(PUBLISHED).root.lookupType('perfetto.protos.Trace');

/**
 * The packets of a trace.
 * @throws Error for bytes that are no trace, or hold anything that the published messages above do not
 */
export function packetsIn(bytes: Uint8Array): readonly Packet[] {
  const message = Trace.decode(bytes);
  // The library drops fields that it does not know; without them the message would be shorter.
  if (Trace.encode(message).finish().length !== bytes.length) {
    throw new Error('the trace holds fields that are not in the published format');
  }
  const { packet = [] } = Trace.toObject(message, { longs: Number, enums: String });
  return packet as readonly Packet[];
}
