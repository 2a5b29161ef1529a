// The event bus: one queue, first in first out, one RxJS Subject for each event type and one for all. An
// event emitted while another is handled waits its turn; a handler that throws stops the run and names the
// event.

import type { Observable } from 'rxjs';
import { Subject } from 'rxjs';

interface Typed {
  readonly type: string;
}

export interface Bus<In extends Typed, E extends Typed> {
  /** Every event, in order, for observers: RxJS reports an observer's error later, the run goes on. */
  readonly all: Observable<E>;
  /** Events of one type for observers, in order. */
  on<T extends E['type']>(type: T): Observable<Extract<E, { readonly type: T }>>;
  /** Calls `handler` for every event of these types; an error it throws stops the run as a HandlerError. */
  handle(types: readonly E['type'][], handler: (event: E) => void): void;
  /** Queues the event; returns when the queue is empty, unless called from within a handler. */
  emit(event: In): void;
}

/** A handler threw while this event was handled; the run cannot go on. */
export class HandlerError extends Error {
  readonly event: Typed;

  constructor(event: Typed, cause: unknown) {
    const seq = 'seq' in event ? ` (seq ${String(event.seq)})` : '';
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`a handler of '${event.type}'${seq} failed: ${reason}`, { cause });
    this.name = 'HandlerError';
    this.event = event;
  }
}

/**
 * @param accept turns what was emitted into what is published, in queue order: the place to number and record
 */
export function createBus<In extends Typed, E extends Typed>(accept: (event: In) => E): Bus<In, E> {
  const all = new Subject<E>();
  const topics = new Map<string, Subject<E>>();
  const queue: In[] = [];
  let head = 0;
  let draining = false;
  let failure: { readonly error: unknown } | null = null;

  const topic = (type: string): Subject<E> => {
    const known = topics.get(type) ?? new Subject<E>();
    topics.set(type, known);
    return known;
  };

  const publish = (event: E): void => {
    if (all.observed) all.next(event);
    topics.get(event.type)?.next(event);
    if (failure !== null) throw new HandlerError(event, failure.error);
  };

  // A next() within a next() would reorder events for later subscribers: the emission is queued, not the
  // delivery.
  const drain = (): void => {
    draining = true;
    try {
      while (head < queue.length) publish(accept(queue[head++] as In));
    } finally {
      queue.length = 0;
      head = 0;
      failure = null;
      draining = false;
    }
  };

  return {
    all: all.asObservable(),
    on: <T extends E['type']>(type: T) =>
      topic(type).asObservable() as unknown as Observable<Extract<E, { readonly type: T }>>,
    handle(types, handler) {
      for (const type of types) {
        topic(type).subscribe((event) => {
          try {
            handler(event);
          } catch (error) {
            failure ??= { error };
          }
        });
      }
    },
    emit(event) {
      queue.push(event);
      if (!draining) drain();
    },
  };
}
