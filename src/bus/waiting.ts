// Events that wait for their turn, first in first out, each with what led to it. Places are written over rather than
// taken away: an array that shrinks to nothing is allocated anew each time.

/** Places that are kept for the next events, with the last ones that stood there. */
const MOST_KEPT = 64;

export class Waiting<E> {
  private events: E[] = [];
  private causes: (number | null)[] = [];
  private head = 0;
  private tail = 0;

  add(event: E, cause: number | null): void {
    this.events[this.tail] = event;
    this.causes[this.tail] = cause;
    this.tail += 1;
  }

  /** Hands over what waits, and what is added meanwhile; what is left when `deliver` throws is dropped. */
  drain(deliver: (event: E, cause: number | null) => void): void {
    try {
      for (; this.head < this.tail; this.head++) {
        deliver(this.events[this.head] as E, this.causes[this.head] as number | null);
      }
    } finally {
      this.clear();
    }
  }

  private clear(): void {
    if (this.tail > MOST_KEPT) {
      this.events = [];
      this.causes = [];
    }
    this.head = 0;
    this.tail = 0;
  }
}
