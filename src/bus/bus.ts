// The event bus: one queue, first in first out, one RxJS Subject for each event type that a part handles, and Subjects
// for observers. An event emitted while another is handled waits its turn; a handler that throws stops the run and
// names the event.

import type { Observable } from 'rxjs';
import { Subject } from 'rxjs';
import { Waiting } from './waiting.ts';

interface Typed {
  readonly type: string;
}

export interface Bus<E extends Typed, P extends E> {
  /** Every event, in order, for observers: RxJS reports an observer's error later, the run goes on. */
  readonly all: Observable<P>;
  /** Number of the event that is being delivered, or of the last one; -1 before the first. */
  readonly seq: number;
  /** Events of one type for observers, in order. */
  on<T extends E['type']>(type: T): Observable<Extract<P, { readonly type: T }>>;
  /** Calls `handler` for every event of these types; an error it throws stops the run as a HandlerError. */
  handle(types: readonly E['type'][], handler: (event: E) => void): void;
  /**
   * Queues the event; returns when the queue is empty, unless called from within a handler.
   * @param cause number of the event that led to it; null for one from outside
   */
  emit(event: E, cause: number | null): void;
}

/** What happens to an event when its turn comes, before anybody hears of it. */
export interface Reception<E, P> {
  /** Every event, with its number: the place to change the state and to record. */
  readonly accept: (event: E, seq: number, cause: number | null) => void;
  /** What observers are given; asked for only where there are any, right after `accept`. */
  readonly published: (event: E, seq: number, cause: number | null) => P;
}

/** A handler threw while this event was handled; the run cannot go on. */
export class HandlerError extends Error {
  readonly event: Typed;

  constructor(event: Typed, seq: number, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`a handler of '${event.type}' (seq ${seq}) failed: ${reason}`, { cause });
    this.name = 'HandlerError';
    this.event = event;
  }
}

export function createBus<E extends Typed, P extends E>({ accept, published }: Reception<E, P>): Bus<E, P> {
  const all = new Subject<P>();
  const topics = new Map<string, Subject<P>>();
  const handled = new Map<string, Subject<E>>();
  const waiting = new Waiting<E>();
  let seq = -1;
  let draining = false;
  let failure: { readonly error: unknown } | null = null;

  const observe = (event: E, cause: number | null): void => {
    const form = published(event, seq, cause);
    all.next(form);
    topics.get(event.type)?.next(form);
  };

  const deliver = (event: E, cause: number | null): void => {
    seq += 1;
    accept(event, seq, cause);
    if (topics.size > 0 || all.observed) observe(event, cause);
    handled.get(event.type)?.next(event);
    if (failure !== null) throw new HandlerError(event, seq, failure.error);
  };

  // A next() within a next() would reorder events for later subscribers: the emission is queued, not the
  // delivery.
  const drain = (): void => {
    draining = true;
    try {
      waiting.drain(deliver);
    } finally {
      failure = null;
      draining = false;
    }
  };

  return {
    all: all.asObservable(),
    get seq() {
      return seq;
    },
    on: <T extends E['type']>(type: T) =>
      subjectOf(topics, type).asObservable() as unknown as Observable<Extract<P, { readonly type: T }>>,
    handle(types, handler) {
      for (const type of types) {
        subjectOf(handled, type).subscribe((event) => {
          try {
            handler(event);
          } catch (error) {
            failure ??= { error };
          }
        });
      }
    },
    emit(event, cause) {
      waiting.add(event, cause);
      if (!draining) drain();
    },
  };
}

function subjectOf<T>(subjects: Map<string, Subject<T>>, type: string): Subject<T> {
  const known = subjects.get(type) ?? new Subject<T>();
  subjects.set(type, known);
  return known;
}
