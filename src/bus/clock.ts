// The virtual clock: whole nanoseconds that only ever grow, moved by the run itself and never by the machine
// the simulator runs on.

export interface VirtualClock {
  /** Nanoseconds since the start of the run. */
  readonly now: number;
  /** @throws RangeError for a step back */
  advanceTo(at: number): void;
}

export function createClock(): VirtualClock {
  let now = 0;
  return {
    get now() {
      return now;
    },
    advanceTo(at) {
      if (at < now) throw new RangeError(`the virtual clock is at ${now} ns and cannot go back to ${at} ns`);
      now = at;
    },
  };
}
