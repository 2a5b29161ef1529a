// The union of all parts' events, and the envelope in which they are recorded.

import type { DeviceEvent } from '../devices/events.ts';
import type { GuestEvent } from '../guest/events.ts';
import type { HostEvent } from '../host/events.ts';
import type { AdversaryEvent } from './adversary.ts';

export type MachineEvent = HostEvent | GuestEvent | DeviceEvent | AdversaryEvent;

export interface Envelope {
  /** Number of the event in its run, from 0. */
  readonly seq: number;
  /** The event that led to this one; null for what came from outside. */
  readonly cause: number | null;
  /** Virtual time in nanoseconds. */
  readonly at: number;
}

export type Recorded<E = MachineEvent> = E & Envelope;
